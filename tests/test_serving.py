"""`wsfast serve`: in a process of its own, with an application in the folder it is started in."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsfast import cli
from wsfast.client import connect

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "echoing.py").write_text(APPLICATION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def serving(*args: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process, and where it listens."""
    command = [sys.executable, "-m", "wsfast", "serve", *args, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            found = None
            while found is None:
                line = child.stderr.readline()
                assert line, "it has ended"
                found = re.search(r"running on http(s?)://\S+:([0-9]+)", line)
            yield child, f"ws{found[1]}://localhost:{found[2]}/"
        finally:
            child.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_comes(folder: Path, how: signal.Signals) -> None:
    with serving("echoing:app", "--host", "127.0.0.1", "--max-size", "10") as (child, url):
        with connect(url.replace("localhost", "127.0.0.1")) as client:
            client.send("hello")
            assert next(client.channel()).data == "hello"
            client.send("x" * 11)
            assert list(client.channel()) == []
            assert client.close_code == 1009
        child.send_signal(how)
        assert child.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_tls(folder: Path, certificates: Any) -> None:
    authority = certificates.authority.issue_cert("localhost", "127.0.0.1", "::1")
    authority.private_key_and_cert_chain_pem.write_to_path(folder / "all.pem")
    with serving("echoing:app", "--certfile", "all.pem", "--compression") as (child, url):
        assert url.startswith("wss://")
        options = {"ssl_context": certificates.client, "compression": "no_context"}
        with connect(url, **options) as client:
            client.send("hello")
            assert next(client.channel()).data == "hello"
        child.terminate()
        assert child.wait(60) == 0


def test_what_it_cannot_serve(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for app, problem in (("echoing:nothing", "not found"), ("echoing:app", "in use")):
            command = ["serve", app, "--host", "127.0.0.1", "--port", port]
            done = subprocess.run(
                [sys.executable, "-m", "wsfast", *command],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 1
            assert problem in done.stderr


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve", "echoing:app"]) == 1
    assert "pip install 'wsfast[uvicorn]'" in capsys.readouterr().err
