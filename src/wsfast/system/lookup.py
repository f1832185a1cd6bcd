"""Names to addresses. The system's resolver knows no deadline, so it runs on threads of its own.

Whoever wants a name that is being looked up waits for that same lookup. So however often clients
try again while the resolver hangs, they leave one thread behind, not one for each attempt.
"""

import os
import socket
import threading
import time
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

from wsfast.protocol.errors import ConnectError
from wsfast.system.background import start_thread

__all__ = ["Address", "getaddrinfo", "look_up"]

Address: TypeAlias = tuple[socket.AddressFamily, Any]

STALE = 60.0
"""Seconds after which a lookup that has not been answered does not keep others from trying."""


class _Lookup(NamedTuple):
    began: float
    result: "Future[list[Address]]"


def getaddrinfo(host: str, port: int, flags: int = 0) -> list[Address]:
    """The addresses, as the system orders them. Blocks; raises `OSError` or `UnicodeError`."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in infos]


def look_up(host: str, port: int) -> "Future[list[Address]]":
    """As `getaddrinfo`, on another thread. Thread-safe.

    Raises `ConnectError` if there is no thread for it.
    """
    key = host, port
    now = time.monotonic()
    with _lock:
        running = _running.get(key)
        if running is not None and now - running.began < STALE:
            return running.result
        lookup = _Lookup(now, Future())
        if start_thread(lambda: _run(host, port, lookup), "wsfast-resolve") is None:
            raise ConnectError(f"cannot look up {host}: the system has no thread left")
        _running[key] = lookup
    return lookup.result


def _run(host: str, port: int, lookup: _Lookup) -> None:
    found: list[Address] = []
    error: Exception | None = None
    try:
        found = getaddrinfo(host, port)
    except (OSError, UnicodeError, MemoryError) as exc:
        error = exc
    with _lock:
        if _running.get((host, port)) is lookup:
            del _running[host, port]
    if error is None:
        lookup.result.set_result(found)
    else:
        lookup.result.set_exception(error)


def _reset() -> None:
    """In the child of a fork: the threads stay in the parent, where one may have held the lock."""
    global _lock, _running
    _lock = threading.Lock()
    _running = {}


_lock: threading.Lock
_running: dict[tuple[str, int], _Lookup]
_reset()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
