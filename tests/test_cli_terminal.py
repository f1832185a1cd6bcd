"""`wsfast connect` on a terminal: what is typed, what is shown, and how it is left."""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TIMEOUT = 30.0
# As a program that controls its terminal, so that Ctrl-C there becomes a signal.
WSFAST_ON_TERMINAL = [
    sys.executable,
    "-c",
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " from wsfast.cli import main; sys.exit(main())",
]
# Ctrl-C then interrupts this thread, and never the main thread's wait.
SIGNALS_ELSEWHERE = """\
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


class Terminal:
    """A pseudo-terminal with `wsfast connect` on it."""

    def __init__(self, *args: str, **env: str) -> None:
        import termios

        self._ours, theirs = os.openpty()
        self._theirs = theirs
        self._output = ""
        self._settings = lambda: termios.tcgetattr(theirs)
        self._before = self._settings()
        self.process = subprocess.Popen(
            [*WSFAST_ON_TERMINAL, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm", "INPUTRC": os.devnull} | env,
        )

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, expected: str) -> str:
        """Reads output up to and including what is expected."""
        while expected not in self._output:
            ready, _, _ = select.select([self._ours], [], [], TIMEOUT)
            assert ready, self._output
            self._output += os.read(self._ours, 65536).decode()
        before, found, self._output = self._output.partition(expected)
        return before + found

    def check_restored(self) -> None:
        assert self._settings() == self._before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def open_(*args: str, **env: str) -> Terminal:
        terminals.append(Terminal(*args, **env))
        return terminals[-1]

    yield open_
    for terminal in terminals:
        terminal.close()


def test_a_conversation(
    start_server: Callable[..., Any], open_terminal: Callable[..., Terminal]
) -> None:
    endpoint = start_server(echo)
    terminal = open_terminal("connect", endpoint.url)
    assert "/help lists the commands" in terminal.until("> ")
    terminal.type("hello\n")
    terminal.until("< hello\r\n> ")
    terminal.type("/binary 00 ff\n")
    terminal.until("< [2 bytes] 00 ff\r\n> ")
    terminal.type("/ping\n")
    terminal.until(" ms\r\n> ")

    # What comes while a line is being typed is put above it, and the line stays.
    terminal.type("half a li")
    terminal.until("half a li")
    (connection,) = endpoint.server.connections
    connection.send("\x1b[2J\nsurprise")
    terminal.until("\r\x1b[K< \\x1b[2J\\nsurprise\r\n> half a li")
    terminal.type("ne\n")
    terminal.until("< half a line\r\n> ")

    terminal.type("/quit\n")
    terminal.until("Closed with 1000 (normal)\r\n")
    assert terminal.process.wait(TIMEOUT) == 0
    terminal.check_restored()


def test_long_messages_are_shortened(
    start_server: Callable[..., Any], open_terminal: Callable[..., Terminal]
) -> None:
    def handler(connection: Any) -> None:
        connection.send("x" * 5000)
        connection.send(b"y" * 100)

    terminal = open_terminal("connect", start_server(handler).url)
    output = terminal.until("Closed by the server")
    assert "< " + "x" * 4096 + "... (5000 characters)\r\n" in output
    assert "< [100 bytes] " + "79 " * 64 + "...\r\n" in output
    assert terminal.process.wait(TIMEOUT) == 0


def test_an_empty_line_is_no_message(
    start_server: Callable[..., Any], open_terminal: Callable[..., Terminal]
) -> None:
    """Only what is piped in may be empty on purpose."""
    terminal = open_terminal("connect", start_server(echo).url)
    terminal.until("> ")
    terminal.type("\n")
    terminal.until("\n> ")
    terminal.type("hello\n")
    assert "< \r\n" not in terminal.until("< hello\r\n> ")
    terminal.type("/quit\n")
    assert terminal.process.wait(TIMEOUT) == 0


def test_a_python_without_readline(
    start_server: Callable[..., Any], open_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    """The terminal itself edits the line, and there is no prompt to keep in place."""
    (tmp_path / "readline.py").write_text("raise ImportError('not built')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    url = start_server(echo).url
    terminal = open_terminal("connect", url, PYTHONPATH=path)
    terminal.until(f"Connected to {url}\r\n")
    terminal.type("hello\n")
    assert terminal.until("< hello\r\n") == "hello\r\n< hello\r\n"
    terminal.type("\x04")
    terminal.until("Closed with 1000 (normal)\r\n")
    assert terminal.process.wait(TIMEOUT) == 0
    terminal.check_restored()


def test_ctrl_c_that_interrupts_no_wait(
    start_server: Callable[..., Any], open_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SIGNALS_ELSEWHERE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    terminal = open_terminal("connect", start_server(echo).url, PYTHONPATH=path)
    terminal.until("> ")
    terminal.type("\x03")
    terminal.until("Closed with 1000 (normal)\r\n")
    assert terminal.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("how", ["Ctrl-C", "Ctrl-D", "server"])
def test_the_terminal_is_left_as_it_was(
    how: str, start_server: Callable[..., Any], open_terminal: Callable[..., Terminal]
) -> None:
    endpoint = start_server(echo)
    terminal = open_terminal("connect", endpoint.url)
    terminal.until("> ")
    if how != "Ctrl-D":  # which deletes where there is something to delete
        terminal.type("half a li")
        terminal.until("half a li")
    if how == "server":
        endpoint.server.connections[0].close(1001, "bye")
        terminal.until("\r\x1b[KClosed by the server with 1001 (going away): bye\r\n")
    else:
        terminal.type("\x03" if how == "Ctrl-C" else "\x04")
        terminal.until("Closed with 1000 (normal)\r\n")
    assert terminal.process.wait(TIMEOUT) == 0
    terminal.check_restored()
