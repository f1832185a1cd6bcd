"""The way through a proxy, as long as the deadline of the opening allows."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

from wsfast.aio.dial import connect_tcp, resolve, within
from wsfast.protocol.durations import MAX_SECONDS
from wsfast.protocol.errors import ConnectError, ConnectTimeout, ProxyError, WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.proxy import Proxy, proxy_target
from wsfast.protocol.proxy_connect import ProxyConnect
from wsfast.protocol.scope import Guard
from wsfast.protocol.url import URL
from wsfast.system.socks import check_socks, socks_client, socks_failures
from wsfast.system.tls import (
    TLSSession,
    default_context,
    describe,
    handshake_failure,
    setup_failure,
)

__all__ = ["Tunnel", "open_tunnel"]

ANSWER = 4096
"""Bytes of a proxy's answer to receive at once."""


class Tunnel(NamedTuple):
    """Leads to the server: a socket, or a transport where the way to the proxy is encrypted."""

    way: socket.socket | asyncio.Transport
    early: bytes
    """What has come through it already."""


async def open_tunnel(
    proxy: Proxy, url: URL, options: ClientOptions, deadline: float | None, guard: Guard
) -> Tunnel:
    """A way to the server of `url`.

    If only some addresses may be connected to, the proxy is asked for one of these, not for a name.

    Raises `ProxyError`, `TLSError` (of an https proxy), `ConnectError` (the server's name),
    `ConnectTimeout`, `PermissionDenied`; then nothing is left open.
    """
    if proxy.is_socks:
        check_socks(proxy)
    addresses: list[str] = []
    if guard.public_only or not proxy.resolves:
        found = guard.permitted(url.host, await resolve(url.host, url.port, deadline))
        addresses = [address[0] for _, address in found]
    host = proxy_target(proxy, url, addresses)
    if proxy.scheme == "https":
        _check_context(proxy, options)
    sock = await _connect(proxy, deadline)
    request = ProxyConnect(proxy, host, url.port, options.user_agent)
    async with within(deadline, f"the tunnel through {proxy}"):
        with _failures_of(proxy):
            if proxy.scheme == "https":
                return await _ask_over_tls(proxy, options, request, sock)
            try:
                if proxy.is_socks:
                    await _open_socks(proxy, sock, host, url.port)
                    return Tunnel(sock, b"")
                return Tunnel(sock, await _ask(request, sock))
            except BaseException:
                sock.close()
                raise


async def _connect(proxy: Proxy, deadline: float | None) -> socket.socket:
    try:
        return await connect_tcp(proxy.host, proxy.port, deadline)
    except ConnectTimeout as exc:
        raise ConnectTimeout(f"{exc} ({proxy})") from exc
    except ConnectError as exc:
        raise ProxyError(f"{proxy}: {exc}") from exc


@contextlib.contextmanager
def _failures_of(proxy: Proxy) -> Iterator[None]:
    """Tells failures of the transport as the proxy's."""
    try:
        yield
    except WebSocketError:
        raise
    except OSError as exc:
        raise ProxyError(f"{proxy}: connection lost: {describe(exc)}") from exc


# ---------------------------------------------------------------- HTTP


async def _ask(request: ProxyConnect, sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, request.request_bytes)
    done = False
    while not done:
        data = await loop.sock_recv(sock, ANSWER)
        if not data:
            raise request.eof()
        done = request.feed(data)
    return request.leftover


def _peer(proxy: Proxy) -> str:
    return f"the proxy {proxy.address}"


def _context(options: ClientOptions) -> ssl.SSLContext:
    return options.proxy_ssl_context or default_context()


def _name(proxy: Proxy) -> str:
    return proxy.host.removesuffix(".")


def _check_context(proxy: Proxy, options: ClientOptions) -> None:
    """Before there is a socket, which asyncio leaves open where TLS cannot be set up."""
    try:
        TLSSession(_context(options), server_hostname=_name(proxy))
    except (ValueError, OSError) as exc:
        raise setup_failure(_peer(proxy), exc) from exc


async def _ask_over_tls(
    proxy: Proxy, options: ClientOptions, request: ProxyConnect, sock: socket.socket
) -> Tunnel:
    """The socket is its own, and later the transport's."""
    loop = asyncio.get_running_loop()
    asking = _Asking(request, loop)
    try:
        try:
            transport, _ = await loop.create_connection(
                lambda: asking, sock=sock, ssl=_context(options), server_hostname=_name(proxy)
            )
        except OSError as exc:
            raise handshake_failure(_peer(proxy), exc) from exc
        await asking.answered
    except BaseException:
        asking.give_up()
        # asyncio goes on with a handshake that is cancelled before it has begun.
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        raise
    return Tunnel(transport, request.leftover)


class _Asking(asyncio.Protocol):
    """Asks through a transport, until its owner goes on with that in another way."""

    def __init__(self, request: ProxyConnect, loop: asyncio.AbstractEventLoop) -> None:
        self._request = request
        self._transport: Any = None
        self.answered: asyncio.Future[None] = loop.create_future()

    def give_up(self) -> None:
        """Nobody waits for the answer any more."""
        self.answered.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request.request_bytes)

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        try:
            if self._request.feed(data):
                self._transport.pause_reading()  # what comes next is not ours
                self.answered.set_result(None)
        except ProxyError as exc:
            self.answered.set_exception(exc)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered.done():
            lost = isinstance(error, OSError)
            self.answered.set_exception(error if lost and error else self._request.eof())


# ---------------------------------------------------------------- SOCKS


async def _open_socks(proxy: Proxy, sock: socket.socket, host: str, port: int) -> None:
    client = socks_client("async_.asyncio", proxy, _Forward(sock))
    with socks_failures(proxy):
        await client.connect(host, port, MAX_SECONDS)  # the deadline is ours


class _Forward:
    """What python-socks takes for a proxy before the proxy."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def connect(self, **_: Any) -> socket.socket:
        return self._sock
