"""Connections and messages in bulk: what the two processes under test do when all goes well."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from soak_pool import Message, Tally, messages

import wsfast
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection
from wsfast.threads.client import connect

PATIENCE = 60.0
"""Seconds. Only a hang lasts that long."""

POLL = 0.001
"""Seconds between two calls of `get_messages` that find nothing."""

IN_FLIGHT = 64
"""Messages of an echo that have not come back yet."""


class Call:
    """A connection by the ID API that must end cleanly. `failed` says what went wrong, if so."""

    def __init__(
        self, url: str, options: Any, *, takes: Callable[[Message], object] | None
    ) -> None:
        self.opened = threading.Event()
        self.closed = threading.Event()
        self.failed = ""
        self.id = wsfast.connect(
            url,
            on_message=takes,
            on_open=self._on_open,
            on_error=self._on_error,
            on_close=self._on_close,
            **options,
        )

    def _on_open(self) -> None:
        self.opened.set()

    def _on_error(self, text: str) -> None:
        self.failed = text

    def _on_close(self, code: int, reason: str) -> None:
        if code != 1000 and not self.failed:
            self.failed = f"closed with {code} {reason}"
        self.closed.set()
        self.opened.set()  # nobody need wait for that any more

    def wait_opened(self) -> None:
        assert self.opened.wait(PATIENCE), "not open"
        assert not self.failed, self.failed

    def wait_closed(self) -> None:
        assert self.closed.wait(PATIENCE), "not closed"
        assert not self.failed, self.failed


# ---------------------------------------------------------------- connects and closes


def greet(connection: Connection) -> None:
    """The server's side of `call`: closes at once, or echoes."""
    assert connection.request is not None
    if connection.request.path != "/bye":
        for message in connection:
            connection.send(message)


def call(url: str, kind: int, options: Any) -> int:
    """One connection, which is opened and closed. `kind`, 0 to 5, says how."""
    if kind == 0:  # we close
        one = Call(url, options, takes=None)
        one.wait_opened()
        wsfast.close(one.id)
    elif kind == 1:  # the server closes
        one = Call(f"{url}bye", options, takes=None)
    elif kind == 2:  # both do
        one = Call(f"{url}bye", options, takes=None)
        one.wait_opened()
        wsfast.close(one.id)
    elif kind == 3:  # we do, inside a callback
        one = Call(url, options, takes=lambda message: wsfast.close(wsfast.current()))
        one.wait_opened()
        assert wsfast.send(one.id, "hello")
    elif kind == 4:  # the application of the ID API that polls
        one = Call(url, options, takes=None)
        one.wait_opened()
        assert wsfast.send(one.id, b"hello")
        got: list[Message] = []
        while not got:
            got = wsfast.get_messages(one.id)
            assert got or not one.closed.wait(POLL), one.failed
        assert got == [b"hello"]
        wsfast.close(one.id)
    else:  # the one that waits in receive
        connection = connect(parse_url(url), client_options(**options))
        connection.send("hello")
        assert connection.receive(PATIENCE) == "hello"
        connection.finish()
        assert connection.error is None
        return 1
    one.wait_closed()
    return 1


def give_up(url: str, options: Any) -> int:
    """One connection that is closed before it is open, if we are fast enough."""
    closed = threading.Event()
    number = wsfast.connect(url, on_close=lambda code, reason: closed.set(), **options)
    assert wsfast.close(number)
    assert closed.wait(PATIENCE)
    return 1


# ---------------------------------------------------------------- messages


def stream(connection: Connection) -> None:
    """The server's side of `STREAMS`; the path says what and how many."""
    assert connection.request is not None
    _, what, number = connection.request.path.split("/")
    count = int(number)
    with ThreadPoolExecutor(1) as pool:
        if what == "source":
            _send(connection, count)
        elif what == "sink":
            _receive(connection, count)
        elif what == "duplex":
            sending = pool.submit(_send, connection, count)
            _receive(connection, count)
            sending.result(PATIENCE)
        else:
            for _ in range(count):
                connection.send(connection.receive(PATIENCE))


def _send(connection: Connection, count: int) -> None:
    for message in messages(0, count):
        connection.send(message)


def _receive(connection: Connection, count: int) -> None:
    tally = Tally(0)
    while tally.count < count:
        tally.take(connection.receive(PATIENCE))
    assert not tally.wrong, tally.wrong


def _checked(tally: Tally, count: int) -> None:
    assert not tally.wrong, tally.wrong
    assert tally.count == count, f"{tally.count} of {count} messages"


def sink(url: str, count: int, options: Any) -> int:
    """Sends only."""
    one = Call(f"{url}sink/{count}", options, takes=None)
    one.wait_opened()
    for message in messages(0, count):
        assert wsfast.send(one.id, message), one.failed
    one.wait_closed()
    return count


def callbacks(url: str, count: int, options: Any) -> int:
    """Receives by `on_message`."""
    tally = Tally(0)
    Call(f"{url}source/{count}", options, takes=tally.take).wait_closed()
    _checked(tally, count)
    return count


def polling(url: str, count: int, options: Any) -> int:
    """Receives by `get_messages`."""
    tally = Tally(0)
    one = Call(f"{url}source/{count}", options, takes=None)
    over = False
    while not over:
        taken = wsfast.get_messages(one.id)
        tally.take_all(taken)
        over = not taken and one.closed.wait(POLL)
    tally.take_all(wsfast.get_messages(one.id))
    one.wait_closed()
    _checked(tally, count)
    return count


def receiving(url: str, count: int, options: Any) -> int:
    """Receives by `receive`."""
    tally = Tally(0)
    connection = connect(parse_url(f"{url}source/{count}"), client_options(**options))
    for message in connection:
        tally.take(message)
    connection.finish()
    _checked(tally, count)
    return count


def duplex(url: str, count: int, options: Any) -> int:
    """Both directions at once."""
    tally = Tally(0)
    one = Call(f"{url}duplex/{count}", options, takes=tally.take)
    one.wait_opened()
    for message in messages(0, count):
        assert wsfast.send(one.id, message), one.failed
    one.wait_closed()
    _checked(tally, count)
    return 2 * count


def echo(url: str, count: int, options: Any) -> int:
    """There and back, with some in flight."""
    tally = Tally(0)
    room = threading.Semaphore(IN_FLIGHT)

    def take(message: Message) -> None:
        tally.take(message)
        room.release()

    one = Call(f"{url}echo/{count}", options, takes=take)
    one.wait_opened()
    for message in messages(0, count):
        assert room.acquire(timeout=PATIENCE), one.failed
        assert wsfast.send(one.id, message), one.failed
    one.wait_closed()
    _checked(tally, count)
    return 2 * count


STREAMS = [sink, callbacks, polling, receiving, duplex, echo]
"""Each is called with a URL, how many messages, and options; returns how many were checked."""


def in_parallel(work: Callable[[int], int], first: int, count: int, threads: int) -> int:
    """The sum of `work(first)` and those that follow, done by some threads."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(first, first + count)))
