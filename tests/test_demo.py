"""The demo: the whole of it in a process of its own, its checks against servers that do wrong."""

import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wsfast import demo


def run_demo(**env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "wsfast", "demo"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | env,
    )


def test_the_whole_demo() -> None:
    result = run_demo()
    assert result.stderr == ""
    assert result.returncode == 0, result.stdout
    for url in (r"ws://localhost:\d+/", r"wss://localhost:\d+/  \(its throw-away .* verified\)"):
        assert re.search(f"^{url}$", result.stdout, re.MULTILINE)
    assert result.stdout.count("\n  16/16 1 MiB binary\n") == 2
    assert result.stdout.count("every byte came back\n") == 2
    for scheme in ("ws", "wss"):
        row = re.search(rf"^  {scheme} +(.+)$", result.stdout, re.MULTILINE)
        assert row is not None
        assert len(re.findall(r"\d+ \u00b5s", row[1])) == 4
        assert re.search(r" [\d,]+$", row[1])
    assert "\nEvery echo was right." in result.stdout


def test_without_the_extra_wss_is_left_out_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "trustme.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = run_demo(PYTHONPATH=path)
    assert result.stderr == ""
    assert result.returncode == 0, result.stdout
    assert "\nwss:// was left out: " in result.stdout
    assert "pip install 'wsfast[cli]'" in result.stdout
    assert re.search(r"^  ws  ", result.stdout, re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows break in other ways")
def test_whoever_reads_the_output_may_go() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "wsfast", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


def changing(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def handler(connection: Any) -> None:
        for message in connection:
            connection.send(change(message))

    return handler


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ROUND_TRIP_SECONDS", 0.01)
    monkeypatch.setattr(demo, "BURST", 1000)


def test_exchange(echo_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    demo.exchange(echo_server.url, **echo_server.options)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(demo.SIZES) + 1
    assert lines[0] == "  1/16 0 B text"


def test_progress_on_a_terminal(
    start_server: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    demo.exchange(start_server(echo).url)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("\r\x1b[K  [#...............] 0 B text\r\x1b[K  [##")


@pytest.mark.usefixtures("quick")
def test_measure(echo_server: Any) -> None:
    figures = demo.measure(echo_server.url, **echo_server.options)
    assert list(figures.round_trips) == [32, 16_384]
    for times in figures.round_trips.values():
        assert times
        assert times == sorted(times)
        assert times[0] > 0
    assert figures.burst_rate > 0


@pytest.mark.parametrize("size", demo.SIZES)
def test_text_has_the_size_it_says(size: int) -> None:
    assert len(demo._text(size).encode()) == size


def flip_byte(message: str | bytes) -> str | bytes:
    if isinstance(message, str) or len(message) < 4096:
        return message
    return message[:4000] + bytes([message[4000] ^ 1]) + message[4001:]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (flip_byte, r"sent 4 KiB binary, got 4 KiB binary: byte 4000 is 0x.. instead of 0x.."),
        (lambda message: message[:125], "sent 126 B binary, got 125 B binary"),
        (lambda message: bytes(message, "utf-8") if isinstance(message, str) else message,
         "sent 0 B text, got 0 B binary"),
        (lambda message: message + message[:1], "sent 1 B text, got 2 B text"),
    ],
)  # fmt: skip
def test_a_difference_is_found(
    change: Callable[[Any], Any], says: str, start_server: Callable[..., Any]
) -> None:
    with pytest.raises(demo.DemoFailed, match=says):
        demo.exchange(start_server(changing(change)).url)


@pytest.mark.usefixtures("quick")
def test_a_lost_message_is_found(start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        for message in connection:
            if message != b"%032d" % 500:
                connection.send(message)

    with pytest.raises(demo.DemoFailed, match=r"byte 31 is 0x31 instead of 0x30"):
        demo.measure(start_server(handler).url)


@pytest.mark.usefixtures("quick")
def test_a_wrong_round_trip_is_found(start_server: Callable[..., Any]) -> None:
    with pytest.raises(demo.DemoFailed, match="sent 32 B binary, got 31 B binary"):
        demo.measure(start_server(changing(lambda message: message[1:])).url)


def test_a_server_that_leaves(start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        connection.receive()
        connection.close(1001, "lunch")

    with pytest.raises(demo.DemoFailed, match="closed with 1001 lunch"):
        demo.exchange(start_server(handler).url)


def test_no_server(refused_port: int) -> None:
    with pytest.raises(demo.DemoFailed, match="connection refused"):
        demo.exchange(f"ws://127.0.0.1:{refused_port}/")


def test_a_bad_url() -> None:
    with pytest.raises(demo.DemoFailed, match="not a WebSocket scheme"):
        demo.exchange("http://localhost/")


def test_a_silent_server(start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TIMEOUT", 0.2)

    def handler(connection: Any) -> None:
        for _ in connection:
            pass

    with pytest.raises(demo.DemoFailed, match=r"no echo within 0\.2 seconds"):
        demo.exchange(start_server(handler).url)


def test_the_exit_status_tells(
    start_server: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def wrong_server(*, tls: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        yield start_server(changing(flip_byte)).url, {}

    monkeypatch.setattr(demo, "_server", wrong_server)
    assert demo.main() == 1
    assert "FAILED: sent 4 KiB binary" in capsys.readouterr().out


def test_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TIMEOUT", 0.05)
    ours, theirs = multiprocessing.Pipe()
    with ours:
        with theirs, pytest.raises(demo.DemoFailed, match=r"not start within 0\.05 seconds"):
            demo._started(ours)
        with pytest.raises(demo.DemoFailed, match="the server did not start$"):
            demo._started(ours)


def test_a_message_that_cannot_be_sent() -> None:
    with pytest.raises(demo.DemoFailed, match="5 B text could not be sent"):
        demo._send(0, "hello")
