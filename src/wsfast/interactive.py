"""`wsfast connect`: what is typed is sent, what comes is shown.

The main thread waits for what others find: lines (the keyboard thread), the end (the receiver
thread, which prints messages), Ctrl-C. It reads no input itself, so that nothing has to wait for a
line to be complete. The keyboard thread is left behind, because nothing can wake it.
"""

import importlib
import math
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Any

from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import ConnectionClosed, WebSocketError
from wsfast.threads.connection import Connection

__all__ = ["POLL", "Screen", "Session", "harmless", "silence"]


def _optional(name: str) -> Any:
    """A module, or None where the system has none. Windows lacks both, and edits lines itself."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


readline, termios = _optional("readline"), _optional("termios")

PROMPT = "> "
PONG_TIMEOUT = 5.0
BYTES_SHOWN = 64
CHARACTERS_SHOWN = 4096

POLL = 0.2
"""Seconds. Ctrl-C is handled after a wait that it does not interrupt: any on Windows, elsewhere one
that was just about to begin, or if the system chose another thread for the signal."""

HELP = """\
A line is sent as a text message; //text sends "/text". Commands:
  /binary HEX        send bytes, such as /binary 00 ff 1f
  /binary @FILE      send the bytes of a file
  /ping [TEXT]       send a ping and show how long the pong takes
  /close [CODE] [REASON]   close, with 1000 if no code is given
  /quit              close and leave; so do Ctrl-D and Ctrl-C
  /help              show this"""

_FINE = frozenset({CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.NO_STATUS})

# Control characters but the tab, line breaks of Unicode, and what reverses the direction of text.
_HARMFUL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Text from a peer as one line that cannot move the cursor or change the terminal."""
    return _HARMFUL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def silence() -> None:
    """Makes standard output go nowhere, once its reader has gone: Python flushes it at exit, and
    would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Screen:
    """Standard output and error. Thread-safe: `_lock` keeps lines whole.

    While a line is being typed, what comes is put above it.
    """

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        # There is no sys.stdin if the shell has closed it.
        typed = sys.stdin is not None and sys.stdin.isatty()
        self.prompts = self.terminal and typed and readline is not None
        self._lock = threading.Lock()
        self._typing = False

    def message(self, message: Message) -> None:
        """Shows a message: on a terminal marked and shortened, elsewhere alone and whole."""
        if isinstance(message, str):
            text = harmless(message)
            if self.terminal:
                more = f"... ({len(text)} characters)" if len(text) > CHARACTERS_SHOWN else ""
                text = f"< {text[:CHARACTERS_SHOWN]}{more}"
        elif self.terminal:
            more = " ..." if len(message) > BYTES_SHOWN else ""
            text = f"< [{len(message)} bytes] {message[:BYTES_SHOWN].hex(' ')}{more}"
        else:
            text = message.hex()
        self._line(text, sys.stdout)

    def note(self, text: str) -> None:
        """Shows something that is no message; apart from messages if these go to a file."""
        self._line(text, sys.stdout if self.prompts else sys.stderr)

    def _line(self, text: str, stream: Any) -> None:
        with self._lock:
            if self._typing:
                text = f"\r\x1b[K{text}\n{PROMPT}{readline.get_line_buffer()}"
            else:
                text += "\n"
            stream.write(text)
            stream.flush()

    def _set_typing(self, typing: bool) -> None:
        with self._lock:
            self._typing = typing

    def lines(self) -> Iterator[str]:
        """What is typed or piped, line by line."""
        if sys.stdin is None:
            return
        if not self.prompts:
            # A file object of its own: the interpreter cannot end while sys.stdin is being read.
            with open(
                sys.stdin.fileno(), encoding="utf-8", errors="surrogateescape", closefd=False
            ) as file:
                for line in file:
                    yield line.removesuffix("\n").removesuffix("\r")
            return
        while True:
            self._set_typing(True)
            try:
                line = input(PROMPT)
            except EOFError:
                self._set_typing(False)
                self._line("", sys.stdout)
                return
            self._set_typing(False)
            yield line

    @contextmanager
    def terminal_restored(self) -> Iterator[None]:
        """Undoes what readline did to the terminal for the line that will not be completed."""
        if termios is None or not self.prompts:
            yield
            return
        mode = termios.tcgetattr(sys.stdin)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
            with self._lock:
                if self._typing:
                    self._typing = False
                    sys.stdout.write("\r\x1b[K")
                    sys.stdout.flush()


class _Event(Enum):
    """What the main thread waits for, beside lines."""

    ENDED = auto()  # the connection
    NO_MORE_INPUT = auto()
    LEAVE = auto()  # the user wants to


class Session:
    """One connection and one user."""

    def __init__(self, connection: Connection, screen: Screen, wait: float) -> None:
        """`wait`: seconds to go on listening when piped input has ended."""
        self._connection = connection
        self._screen = screen
        self._wait = wait
        self._events: queue.SimpleQueue[str | _Event] = queue.SimpleQueue()
        self._done = threading.Semaphore(1)  # with the last line: the next may be read
        self._we_closed = False
        self._failed = False  # something that was piped in could not be done
        self._commands: dict[str, Callable[[str], None]] = {
            "/binary": self._binary,
            "/ping": self._ping,
            "/close": self._close,
            "/quit": self._quit,
            "/help": self._help,
        }

    def run(self, greeting: str) -> int:
        """Says `greeting` and goes on until one side closes.

        Returns the exit status: 0 for a regular end, 1 for any other, and if something that was
        piped in could not be sent or done.
        """
        receiver = threading.Thread(target=self._receive, name="wsfast-receiver", daemon=True)
        keyboard = threading.Thread(target=self._type, name="wsfast-keyboard", daemon=True)
        with self._screen.terminal_restored():
            with self._ctrl_c_leaves():
                self._screen.note(greeting)
                receiver.start()
                keyboard.start()
                self._obey()
            self._close_now()
            # Bounded by close_timeout.
            receiver.join()
            self._connection.finish()
        return self._report()

    @contextmanager
    def _ctrl_c_leaves(self) -> Iterator[None]:
        """Ctrl-C becomes an event, so that it interrupts nothing half done; a second one comes as
        the exception, for when that takes too long."""

        def leave(*_: object) -> None:
            signal.signal(signal.SIGINT, before)
            self._events.put(_Event.LEAVE)

        before = signal.signal(signal.SIGINT, leave)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _obey(self) -> None:
        while isinstance(event := self._next(), str):
            self._do(event)
            self._done.release()
        if event is _Event.NO_MORE_INPUT and not self._screen.prompts:
            self._next(self._wait)  # replies to what was piped in are still to come

    def _next(self, timeout: float = math.inf) -> str | _Event:
        """The next event; after `timeout` seconds that is to leave."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                return self._events.get(timeout=min(left, POLL))
            except queue.Empty:
                pass
        return _Event.LEAVE

    # -------------------------------------------------------------- the threads

    def _receive(self) -> None:
        try:
            for message in self._connection:
                self._screen.message(message)
        except ConnectionClosed:
            pass  # _report says it
        except BrokenPipeError:
            silence()
            self._close_now()
        finally:
            self._events.put(_Event.ENDED)

    def _type(self) -> None:
        lines = self._screen.lines()
        while True:
            self._done.acquire()
            try:
                event = next(lines, _Event.NO_MORE_INPUT)
            except OSError as error:
                self._screen.note(f"Cannot read the input: {error.strerror}")
                self._failed = True
                event = _Event.NO_MORE_INPUT
            self._events.put(event)

    # -------------------------------------------------------------- commands

    def _do(self, line: str) -> None:
        try:
            if line.startswith("//"):
                self._connection.send(line[1:])
            elif line.startswith("/"):
                name, _, rest = line.partition(" ")
                if name not in self._commands:
                    raise ValueError(f"there is no command {harmless(name)}; /help lists them")
                self._commands[name](rest.strip())
            elif line or not self._screen.prompts:
                self._connection.send(line)
        except (WebSocketError, OSError, ValueError) as error:
            self._screen.note(f"Not done: {_reason(error)}")
            self._failed = not self._screen.prompts

    def _binary(self, text: str) -> None:
        if text.startswith("@"):
            data = Path(text[1:]).expanduser().read_bytes()
        else:
            try:
                data = bytes.fromhex(text)
            except ValueError:
                raise ValueError("use hexadecimal digits in pairs, or @ and a file name") from None
        self._connection.send(data)

    def _ping(self, text: str) -> None:
        start = time.perf_counter()
        number = self._connection.ping(text.encode())
        if self._connection.wait_pong(number, PONG_TIMEOUT):
            milliseconds = (time.perf_counter() - start) * 1000
            self._screen.note(f"Pong after {milliseconds:.2f} ms")
        else:
            self._screen.note(f"No pong within {PONG_TIMEOUT:g} seconds")

    def _close(self, text: str) -> None:
        first, _, reason = text.partition(" ")
        if first and not first.isdecimal():
            raise ValueError("the code must be a number, such as /close 1000 bye")
        self._connection.close(int(first or CloseCode.NORMAL), reason.strip())
        self._we_closed = True

    def _quit(self, text: str) -> None:
        self._events.put(_Event.LEAVE)

    def _help(self, text: str) -> None:
        self._screen.note(HELP)

    # -------------------------------------------------------------- the end

    def _close_now(self) -> None:
        if self._connection.state is State.CONNECTED:
            self._we_closed = True
            self._connection.close()

    def _report(self) -> int:
        connection = self._connection
        code, error = connection.close_code, connection.error
        if error is not None:
            self._screen.note(harmless(str(error)))
            return 1
        name = f" ({_code_name(code)})" if code is not None else ""
        reason = f": {harmless(connection.close_reason)}" if connection.close_reason else ""
        who = "Closed" if self._we_closed else "Closed by the server"
        self._screen.note(f"{who} with {code}{name}{reason}")
        return 0 if not self._failed and (self._we_closed or code in _FINE) else 1


def _code_name(code: int) -> str:
    try:
        return CloseCode(code).name.lower().replace("_", " ")
    except ValueError:
        return "a code of the application"


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "the line is not valid UTF-8; /binary sends any bytes"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
