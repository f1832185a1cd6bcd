"""From a host name to a TCP connection: name resolution and Happy Eyeballs (RFC 8305)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from wsfast.system.dialing import (
    ATTEMPT_DELAY,
    interleave,
    lookup_failure,
    numeric,
    out_of_time,
    tcp_failure,
)
from wsfast.system.lookup import Address, look_up

Permitted: TypeAlias = Callable[[str, list[Address]], list[Address]]

__all__ = ["connect_tcp", "connect_unix", "resolve", "within"]


@contextlib.asynccontextmanager
async def within(deadline: float | None, what: str) -> AsyncIterator[None]:
    """Raises `ConnectTimeout` naming `what` if the block takes longer than until `deadline`, on the
    clock of `time.monotonic`. The block itself must not raise a `TimeoutError`."""
    left = None if deadline is None else deadline - time.monotonic()
    try:
        async with asyncio.timeout(left):
            yield
    except TimeoutError as exc:
        raise out_of_time(what) from exc


async def resolve(host: str, port: int, deadline: float | None) -> list[Address]:
    """The addresses of a host, as the system orders them.

    A lookup that is not waited for any more is left behind, and its answer ignored. Raises
    `ConnectError`, `ConnectTimeout`.
    """
    addresses = numeric(host, port)
    if addresses is not None:
        return addresses
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(answered.set)

    lookup = look_up(host, port)
    lookup.add_done_callback(wake)
    async with within(deadline, f"looking up {host}"):
        await answered.wait()
    error = lookup.exception()
    if error is not None:
        raise lookup_failure(host, error) from error
    return lookup.result()


async def connect_tcp(
    host: str, port: int, deadline: float | None, permitted: Permitted | None = None
) -> socket.socket:
    """A connected, non-blocking socket with TCP_NODELAY.

    The addresses are tried one after the other, each with a head start over the next; the first
    that connects wins. `permitted` is given the host and its addresses, and returns those that may
    be connected to, or raises. Raises `ConnectError`, `ConnectTimeout`.
    """
    found = await resolve(host, port, deadline)
    addresses = interleave(found if permitted is None else permitted(host, found))
    where = f"{host} port {port}"
    async with within(deadline, f"connecting to {where}"):
        sock = await _race(addresses, where)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def connect_unix(path: str, deadline: float | None) -> socket.socket:
    """A connected, non-blocking Unix socket. Raises `ConnectError`, `ConnectTimeout`."""
    async with within(deadline, f"connecting to {path}"):
        try:
            return await _attempt(socket.AF_UNIX, path)
        except OSError as exc:
            raise tcp_failure(path, [exc]) from exc


async def _race(addresses: list[Address], where: str) -> socket.socket:
    """The socket of the attempt that succeeds first."""
    errors: list[OSError] = []
    waiting = addresses[::-1]
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_attempt(*waiting.pop())))
            head_start = ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(
                running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.remove(task)
                try:
                    return task.result()
                except OSError as exc:
                    errors.append(exc)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_drop)
    raise tcp_failure(where, errors)


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    """Another was first."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _attempt(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
