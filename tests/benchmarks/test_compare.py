"""The programs of benchmarks/compare work, on a handful of messages. How fast they are is not asked
here."""

import importlib.util
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect

SIZES = (0, 1, 3, 125, 126, 127, 4096, 65535, 65536, 300_000)

FOLDER = Path(__file__).parents[2] / "benchmarks" / "compare"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the load program needs epoll"),
    pytest.mark.skipif(not shutil.which("make"), reason="needs make"),
    pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="needs rich"),
    pytest.mark.skipif(importlib.util.find_spec("trustme") is None, reason="needs trustme"),
]


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


def measure(path: Path, scenarios: str, libraries: str) -> dict:
    """The scenarios of a run in which nothing takes long."""
    done = compare(
        "--scenario", scenarios, "--libraries", libraries, "--repeat", "1", "--count", "50",
        "--json", str(path / "run.json"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "left out: TLS" in done.stdout:
        pytest.skip("OpenSSL's headers are missing")
    if "left out" in done.stdout:
        pytest.skip(done.stdout.splitlines()[0])
    return json.loads((path / "run.json").read_text())["scenarios"]


def test_our_programs(tmp_path: Path) -> None:
    wanted = (
        "echo-100kB,request-32B,flood-received-32B-text,flood-sent-32B,10-connections-*,connects,idle,"
        "deflate-received-1KiB,deflate-sent-1KiB"
    )
    results = measure(tmp_path, wanted, "wsfast,c")
    asyncio = {"wsfast-aio", "wsfast-aio-receive"}
    ours = {"wsfast", *asyncio}
    both = {"c", *ours}
    levels = {"wsfast-level-1", "wsfast-zlib"}
    assert {name: set(result["summary"]) for name, result in results.items()} == {
        "echo-100kB": both,
        "request-32B": {"wsfast-receive", "wsfast-client", "c"},
        "flood-received-32B-text": both | {"wsfast-polled"},
        "flood-sent-32B": both,
        "deflate-received-1KiB": ours | levels,
        "deflate-sent-1KiB": ours | levels,
        "10-connections-echo-256B": both,
        "10-connections-flood-received-256B": both,
        "10-connections-flood-sent-256B": both,
        "connects": both,
        "idle": ours,
    }
    assert results["idle"]["summary"]["wsfast"]["memory"] > 1024
    echo = results["echo-100kB"]["summary"]["wsfast"]
    assert 0 < echo["p50"] <= echo["p99"] <= echo["p99.9"]
    sent = results["deflate-sent-1KiB"]["summary"]
    assert 100 < sent["wsfast"]["wire"] < sent["wsfast-level-1"]["wire"] < 1024


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_the_pictures(tmp_path: Path) -> None:
    wanted = "--scenario", "echo-256B", "--libraries", "c", "--repeat", "1", "--count", "50"
    done = compare(*wanted, "--plots", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_our_programs_through_tls(tmp_path: Path) -> None:
    results = measure(tmp_path, "tls-echo-256B,tls-flood-received-4KiB", "wsfast,c")
    for result in results.values():
        assert set(result["summary"]) >= {"wsfast", "c"}


def test_the_load_program_echoes_every_size(tmp_path: Path) -> None:
    measure(tmp_path, "echo-32B", "c")  # builds it
    program = FOLDER.parents[1] / "build" / "benchmarks" / "load"
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        assert load.stdout is not None
        url = parse_url(f"ws://127.0.0.1:{int(load.stdout.readline())}/echo")
        connection = connect(url, client_options())
        messages = [random.Random(0).randbytes(size) for size in SIZES]
        for message in [*messages, "text", ""]:
            connection.send(message)
            assert connection.receive(10) == message
        for message in messages:  # several in one read, and parts of others
            connection.send(message)
        assert [connection.receive(10) for _ in messages] == messages
        connection.finish()
        assert load.stdin is not None
        load.stdin.close()
    assert load.returncode == 0


@pytest.mark.parametrize(
    ("library", "scenario"),
    [
        ("picows", "flood-received-32B-text"),
        ("picows-websockets", "deflate-received-1KiB"),
        ("aiohttp", "deflate-sent-1KiB"),
        ("websockets-asyncio", "deflate-sent-1KiB"),
        ("websockets-sync", "flood-sent-1KiB"),
        ("websocket-client", "request-256B"),
    ],
)
def test_a_peers_program(tmp_path: Path, library: str, scenario: str) -> None:
    results = measure(tmp_path, scenario, library)
    assert results[scenario]["summary"][library]["rate"] > 0


def test_what_does_not_exist_is_refused() -> None:
    for arguments in (["--scenario", "ehco-*"], ["--libraries", "picow"]):
        done = compare(*arguments)
        assert done.returncode == 2
        assert f"{arguments[1]!r}; see --list" in done.stderr


def test_the_list() -> None:
    lines = compare("--list").stdout.splitlines()
    assert "flood-received-32B  (short set)" in lines
    assert any(line.startswith("picows: core API") for line in lines)
