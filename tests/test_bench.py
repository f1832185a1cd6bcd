"""`wsfast bench`: against servers that echo, that do not, and that do wrong."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_peers import CLOSE, PING, close_frame

import wsfast
from wsfast import bench, cli, measure

TIMEOUT = 30.0
SHORT = ["--duration", "20ms"]


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for as long as for a server far away."""
    monkeypatch.setattr(measure, "ECHO_TIMEOUT", 0.2)
    monkeypatch.setattr(measure, "ANSWER_TIMEOUT", 0.2)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command: its status, output and errors."""

    def call(*args: str) -> tuple[int, str, str]:
        try:
            status = cli.main(["bench", *SHORT, *args])
        except SystemExit as exit_:
            status = exit_.code  # type: ignore[assignment]
        out, err = capsys.readouterr()
        return status, out, err

    return call


# -------------------------------------------------------------- servers that echo


def test_the_table(run: Any, start_server: Callable[..., Any]) -> None:
    url = start_server(echo).url
    status, out, err = run(url)
    assert status == 0
    lines = out.splitlines()
    assert lines[:2] == [f"{url}, 1 connection, binary messages", ""]
    rows = [line.split("  ")[1] for line in lines if line.startswith("  ")]
    assert rows == ["32 B", "1 KiB", "64 KiB", "connecting", "32 B", "1 KiB", "64 KiB"]
    assert all(line.count("\u00b5s") == 3 for line in lines[3:7])
    assert err.splitlines() == [
        f"Measuring {name} ..."
        for name in (
            "round trips of 32 B", "round trips of 1 KiB", "round trips of 64 KiB",
            "pipelined messages of 32 B", "pipelined messages of 1 KiB",
            "pipelined messages of 64 KiB", "connecting",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_json(kind: str, run: Any, start_server: Callable[..., Any]) -> None:
    kinds: set[type] = set()
    most = 0
    here: set[object] = set()
    lock = threading.Lock()

    def handler(connection: Any) -> None:
        nonlocal most
        with lock:
            here.add(connection)
            most = max(most, len(here))
        for message in connection:
            kinds.add(type(message))
            connection.send(message)
        with lock:
            here.discard(connection)

    args = ["--json", f"--{kind}", "--size", "1,2k", "--connections", "3"]
    status, out, _ = run(start_server(handler).url, *args)
    found = json.loads(out)
    assert status == 0
    assert kinds == {str if kind == "text" else bytes}
    assert most == 3
    assert found["echoes"]
    assert found["connections"] == 3
    assert found["messages"] == kind
    assert found["duration"] == 0.02
    assert found["wsfast"] == wsfast.__version__
    assert found["pings"] is None
    assert [each["size"] for each in found["round_trips"]] == [1, 2048]
    assert [each["size"] for each in found["pipelined"]] == [1, 2048]
    assert [each["in_flight"] for each in found["pipelined"]] == [64, 64]
    for each in [*found["round_trips"], found["connecting"]]:
        assert 0 < each["p50"] <= each["p99"] <= each["p99.9"]
        assert each["count"] > 0
        assert each["per_second"] > 0


def test_large_messages_are_few_at_once(run: Any, start_server: Callable[..., Any]) -> None:
    url = start_server(echo, read_limit=1 << 23).url
    status, out, _ = run(url, "--json", "--size", "8M")
    assert status == 0
    assert json.loads(out)["pipelined"][0]["in_flight"] == 1


def test_tls(run: Any, start_server: Callable[..., Any], certificates: Any, tmp_path: Path) -> None:
    url = start_server(echo, "wss").url
    authority = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(authority)
    assert run(url, "--cafile", str(authority), "--size", "32")[0] == 0
    status, out, err = run(url, "--insecure", "--size", "32")
    assert status == 0
    assert err.startswith("Warning: the certificate is not verified")
    assert out.startswith(url)
    status, out, err = run(url)
    assert (status, out) == (1, "")
    assert "--cafile" in err


def test_a_greeting_is_no_echo(run: Any, start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        connection.send("welcome")
        connection.send(b"to this server")
        echo(connection)

    assert run(start_server(handler).url)[0] == 0


# -------------------------------------------------------------- servers that do not


def silent(connection: Any) -> None:
    for _ in connection:
        pass


def answering(connection: Any) -> None:
    for _ in connection:
        connection.send("no")


def refusing(connection: Any) -> None:
    connection.receive()
    connection.close(1003, "not that")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("handler", [silent, answering, refusing])
def test_pings_take_the_place_of_messages(
    handler: Callable[[Any], None], run: Any, start_server: Callable[..., Any]
) -> None:
    url = start_server(handler).url
    status, out, err = run(url)
    assert status == 1
    assert "The server does not echo: pings take the place of messages\n" in err
    rows = [line.split("  ")[1] for line in out.splitlines() if line.startswith("  ")]
    assert rows == ["ping", "connecting"]

    found = json.loads(run(url, "--json")[1])
    assert found["echoes"] is False
    assert found["round_trips"] == found["pipelined"] == []
    assert found["pings"]["p50"] > 0


@pytest.mark.usefixtures("impatient")
def test_a_server_that_talks_without_end(
    run: Any, start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "GREETINGS", 5)

    def handler(connection: Any) -> None:
        for _ in range(50):
            connection.send("news")
        silent(connection)

    assert "does not echo" in run(start_server(handler).url)[2]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("end", "says"),
    [(False, "pings: no answer within 0.2 seconds"), (True, "pings: connection lost: 1006")],
)
def test_no_pong(end: bool, says: str, run: Any, raw_server: Callable[..., Any]) -> None:
    def serve(peer: Any) -> None:
        peer.upgrade()
        while (opcode := peer.read_frame().opcode) != CLOSE:
            if opcode == PING and end:
                return
        peer.send(close_frame(1000))

    status, out, err = run(raw_server(serve).url)
    assert (status, out) == (1, "")
    assert f"wsfast: {says}" in err


# -------------------------------------------------------------- servers that do wrong


def changed(connection: Any) -> None:
    connection.send(connection.receive())
    for _ in connection:
        connection.send("something else")


def stopping(connection: Any) -> None:
    connection.send(connection.receive())
    silent(connection)


def leaving(connection: Any) -> None:
    connection.send(connection.receive())
    connection.receive()
    connection.close(1008, "too \x1b[1m much")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (changed, "the server has sent something else than the echo\n"),
        (stopping, "no answer within 0.2 seconds\n"),
        (leaving, "1008 too \\x1b[1m much. Perhaps it was too much: see --size, --connections\n"),
    ],
)
def test_echoes_that_end(
    handler: Callable[[Any], None], says: str, run: Any, start_server: Callable[..., Any]
) -> None:
    status, out, err = run(start_server(handler).url)
    assert (status, out) == (1, "")
    last = err.splitlines(keepends=True)[-1]
    assert last.startswith("wsfast: round trips of 32 B: ")
    assert last.endswith(says)


def test_too_large(run: Any, start_server: Callable[..., Any]) -> None:
    status, _, err = run(start_server(echo, read_limit=1000).url)
    assert status == 1
    assert "wsfast: round trips of 1 KiB: " in err
    assert "1009" in err


def test_too_many(run: Any, start_server: Callable[..., Any]) -> None:
    status, _, err = run(start_server(echo, max_connections=1).url, "--connections", "2")
    assert status == 1
    assert "Check host and port" in err  # a server of ours resets those that are too many


def test_nobody_listens(run: Any, refused_port: int) -> None:
    status, out, err = run(f"ws://127.0.0.1:{refused_port}/")
    assert (status, out) == (1, "")
    assert err.startswith("wsfast: connection refused")
    assert "wsfast echo" in err


# -------------------------------------------------------------- what is typed and shown


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--size", "0"], "'0' is no size"),
        (["--size", "32,"], "'' is no size"),
        (["--size", "1G"], "'1G' is no size"),
        (["--size", "65M"], "'65M' is no size"),
        (["--connections", "0"], "'0' is no number from 1 to 1000"),
        (["--connections", "1001"], "'1001' is no number"),
        (["--connections", "-1"], "'-1' is no number"),
        (["--duration", "0s"], "must be above zero"),
        (["--text", "--binary"], "not allowed with"),
    ],
)
def test_a_wrong_command_line(args: list[str], says: str, run: Any) -> None:
    status, out, err = run("ws://localhost/", *args)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert "wsfast bench --help" in err


def test_a_wrong_url(run: Any) -> None:
    status, _, err = run("http://localhost/")
    assert status == 2
    assert "Try: wsfast bench ws://localhost:8765/" in err


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("32", [32]), ("1k, 2KiB,3KB", [1024, 2048, 3072]), ("1M,64MiB", [1 << 20, 1 << 26])],
)
def test_sizes(text: str, sizes: list[int]) -> None:
    assert bench._sizes(text) == sizes


@pytest.mark.parametrize("size", [1, 2, 33, 1024])
def test_payloads_have_their_size(size: int) -> None:
    assert len(bench._payload(size, text=False)) == size
    assert len(bench._payload(size, text=True).encode()) == size  # type: ignore[union-attr]


def test_a_bar_on_a_terminal(
    run: Any, start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(measure, "TICK", 0.001)
    status, _, err = run(start_server(echo).url, "--size", "32")
    assert status == 0
    assert err.count("\n") == 0
    assert "\r\x1b[K[..............................] round trips of 32 B\r" in err
    assert "\r\x1b[K[####################.........." in err
    assert err.endswith("\r\x1b[K")


def test_percentiles() -> None:
    times = measure.Times([float(n) for n in range(1000)], 1.0)
    assert [times.percentile(p) for p in (0, 50, 99, 99.9, 100)] == [0, 500, 990, 999, 999]
    assert measure.Times([7.0], 1.0).percentile(99.9) == 7.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c(start_server: Callable[..., Any]) -> None:
    url = start_server(echo).url
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "wsfast", "bench", url, "--duration", "1m"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "Measuring round trips of 32 B ...\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert (out, err) == ("", "")
