"""From a host name to a TCP connection: name resolution and Happy Eyeballs (RFC 8305).

One deadline bounds all of it, and another thread may cancel it at any time.
"""

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wsfast.protocol.errors import WebSocketError
from wsfast.system.dialing import (
    ATTEMPT_DELAY,
    interleave,
    lookup_failure,
    numeric,
    out_of_time,
    tcp_failure,
)
from wsfast.system.lookup import Address, look_up

__all__ = ["Cancel", "Cancelled", "connect_tcp", "resolve"]


class Cancelled(WebSocketError):
    """The dial was given up by `Cancel.cancel`."""


class Cancel:
    """Lets any thread interrupt an opening. Thread-safe; `_lock` guards the two fields."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Interrupts what is going on, and everything that would begin after it."""
        with self._lock:
            self.cancelled = True
            if self._interrupt is not None:
                self._interrupt()

    def check(self) -> None:
        """Raises `Cancelled` if it was."""
        if self.cancelled:
            raise Cancelled("cancelled")

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Within the block, `cancel` calls `interrupt`, which must not block. Raises `Cancelled`
        at the start if it is too late."""
        with self._lock:
            self.check()
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None


def remaining(deadline: float | None, what: str) -> float | None:
    """Seconds until `deadline`; raises `ConnectTimeout` naming `what` if it has passed."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise out_of_time(what)
    return left


# ---------------------------------------------------------------- names


def resolve(host: str, port: int, deadline: float | None, cancel: Cancel) -> list[Address]:
    """The addresses of a host, as the system orders them.

    The lookup is left behind if the deadline passes first. Raises `ConnectError`,
    `ConnectTimeout`, `Cancelled`.
    """
    addresses = numeric(host, port)
    if addresses is not None:
        return addresses
    done = threading.Event()
    left = remaining(deadline, f"looking up {host}")
    with cancel.interrupting(done.set):
        lookup = look_up(host, port)
        lookup.add_done_callback(lambda _: done.set())
        done.wait(left)
    cancel.check()
    if not lookup.done():
        raise out_of_time(f"looking up {host}")
    error = lookup.exception()
    if error is not None:
        raise lookup_failure(host, error) from error
    return lookup.result()


# ---------------------------------------------------------------- TCP


def connect_tcp(
    host: str,
    port: int,
    deadline: float | None,
    cancel: Cancel,
    permitted: Callable[[str, list[Address]], list[Address]] | None = None,
) -> socket.socket:
    """A connected, blocking socket with TCP_NODELAY.

    The addresses are tried one after the other, each with a head start over the next; the first
    that connects wins. `permitted`, as that of a `Guard`, says which of them may be.

    Raises `ConnectError`, `ConnectTimeout` (`deadline` is on the clock of `time.monotonic`),
    `Cancelled`, and what `permitted` raises.
    """
    found = resolve(host, port, deadline, cancel)
    addresses = interleave(found if permitted is None else permitted(host, found))
    where = f"{host} port {port}"
    try:
        race = _Race(addresses, where)
    except OSError as exc:  # there is no descriptor left
        raise tcp_failure(where, [exc]) from exc
    with race, cancel.interrupting(race.wake):
        return race.run(deadline, cancel)


class _Race:
    """Connection attempts under way at the same time."""

    def __init__(self, addresses: list[Address], where: str) -> None:
        self._waiting = addresses[::-1]
        self._where = where
        self._errors: list[OSError] = []
        self._selector = selectors.DefaultSelector()
        try:
            self._woken, self._waker = socket.socketpair()
        except OSError:
            self._selector.close()
            raise
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __enter__(self) -> "_Race":
        return self

    def __exit__(self, *exc: object) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._waker.close()

    def wake(self) -> None:
        self._waker.send(b"x")

    def run(self, deadline: float | None, cancel: Cancel) -> socket.socket:
        next_start = time.monotonic()
        while True:
            cancel.check()
            left = remaining(deadline, f"connecting to {self._where}")
            running = len(self._selector.get_map()) - 1
            if self._waiting and (running == 0 or time.monotonic() >= next_start):
                winner = self._start(*self._waiting.pop())
                if winner is not None:
                    return winner
                next_start = time.monotonic() + ATTEMPT_DELAY
                continue
            if running == 0:
                raise tcp_failure(self._where, self._errors)
            if self._waiting:
                head_start = max(0.0, next_start - time.monotonic())
                left = head_start if left is None else min(left, head_start)
            for key, _ in self._selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is not self._woken and self._connected(key.fileobj):
                    return key.fileobj

    def _start(self, family: socket.AddressFamily, address: Any) -> socket.socket | None:
        """Begins an attempt; returns the socket if it is connected at once."""
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:  # a family that this system does not speak
            self._errors.append(exc)
            return None
        sock.setblocking(False)
        try:
            code = sock.connect_ex(address)
        except OSError as exc:  # an address that does not fit the family's form
            sock.close()
            self._errors.append(exc)
            return None
        if code == 0:
            return _ready(sock)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, errno.EALREADY):
            self._selector.register(sock, selectors.EVENT_WRITE)
            return None
        sock.close()
        self._errors.append(OSError(code, os.strerror(code)))
        return None

    def _connected(self, sock: socket.socket) -> bool:
        self._selector.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            _ready(sock)
            return True
        sock.close()
        self._errors.append(OSError(code, os.strerror(code)))
        return False


def _ready(sock: socket.socket) -> socket.socket:
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
