"""The client's way to an open connection: DNS, TCP, proxy, TLS, upgrade, redirects, under one
deadline."""

import asyncio
import inspect
import os
import socket
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Unpack

from wsfast.aio.connection import Connection
from wsfast.aio.dial import connect_tcp, connect_unix
from wsfast.aio.tunnel import Tunnel, open_tunnel
from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import InvalidOption, WebSocketError
from wsfast.protocol.options import ClientOptions, ClientOptionsDict, client_options
from wsfast.protocol.proxy import choose_proxy
from wsfast.protocol.redirects import Hop
from wsfast.protocol.scope import Guard, Scope
from wsfast.protocol.url import URL, parse_url
from wsfast.system.tls import TLSSession, default_context, setup_failure

__all__ = ["Opening", "connect"]


class Opening:
    """A connection to be opened: `await` it, or enter it with `async with`. Made by `connect`.

    Each use opens another connection.
    """

    def __init__(
        self,
        url: URL,
        options: ClientOptions,
        on_message: Callable[[Connection, Message], object] | None,
        path: str | None,
        sock: socket.socket | None,
    ) -> None:
        self._url = url
        self._options = options
        self._on_message = on_message
        self._path = path
        self._sock = sock
        self._entered: list[Connection] = []

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        connection = await self._open()
        self._entered.append(connection)
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await finish(self._entered.pop(), exc)

    async def _open(self) -> Connection:
        began = time.monotonic()
        guard = Scope.current().admit(self._url)
        hop = Hop(self._url, self._options)
        while True:
            protocol = Protocol.client(hop.url, hop.options, began, followed=hop.followed)
            connection = await self._try(hop, protocol, guard)
            if protocol.redirect is None:
                return connection
            connection._abandon(WebSocketError("redirected"))
            hop = protocol.redirect
            guard.admit(hop.url)

    async def _try(self, hop: Hop, protocol: Protocol, guard: Guard) -> Connection:
        """A connection that is open, or has been redirected."""
        session = _tls(hop) if hop.url.secure else None
        way, early = await self._dial(hop, protocol.deadline, guard)
        connection = Connection(
            protocol,
            hop.options,
            asyncio.get_running_loop(),
            on_message=self._on_message,
            session=session,
            peer=hop.url.host_header,
            early=early,
        )
        await _attach(connection, way)
        try:
            await connection._until_open()
        except BaseException:
            connection._abandon(WebSocketError("interrupted while connecting"))
            raise
        return connection

    async def _dial(self, hop: Hop, deadline: float | None, guard: Guard) -> Tunnel:
        url = hop.url
        if self._sock is not None:
            return Tunnel(self._sock, b"")
        if self._path is not None:
            return Tunnel(await connect_unix(self._path, deadline), b"")
        proxy = choose_proxy(url, hop.options.proxy)
        if proxy is not None:
            return await open_tunnel(proxy, url, hop.options, deadline, guard)
        sock = await connect_tcp(url.host, url.port, deadline, guard.permitted)
        return Tunnel(sock, b"")


async def _attach(connection: Connection, way: socket.socket | asyncio.Transport) -> None:
    """Gives the connection its transport."""
    wire = connection._wire()
    if not isinstance(way, socket.socket):
        way.set_protocol(wire)
        wire.connection_made(way)
        way.resume_reading()
        return
    loop = asyncio.get_running_loop()
    is_ip = way.family in (socket.AF_INET, socket.AF_INET6)
    create: Any = loop.create_connection if is_ip else loop.create_unix_connection
    try:
        await create(lambda: wire, sock=way)
    except BaseException:
        connection._detach()  # the loop may have closed it without a word
        way.close()
        connection._abandon(WebSocketError("interrupted while connecting"))
        raise


def _tls(hop: Hop) -> TLSSession:
    url, options = hop.url, hop.options
    context = options.ssl_context or default_context(options.verify)
    try:
        return TLSSession(context, server_hostname=options.server_name or url.server_name)
    except (ValueError, OSError) as exc:
        raise setup_failure(url.host_header, exc) from exc


async def finish(connection: Connection, error: BaseException | None) -> None:
    """Closes a connection after the block that it was for: with 1000, with 1011 if `error` ended
    the block, with 1001 if that was cancelled. Cancelled itself, it drops the connection."""
    if error is None:
        code = CloseCode.NORMAL
    elif isinstance(error, Exception):
        code = CloseCode.INTERNAL_ERROR
    else:
        code = CloseCode.GOING_AWAY
    try:
        await connection.close(code)
    except BaseException:
        connection.abort()
        raise


def connect(
    url: str,
    *,
    on_message: Callable[[Connection, Message], object] | None = None,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    **options: Unpack[ClientOptionsDict],
) -> Opening:
    """Opens a connection.

        async with connect("wss://example.com/") as ws:
            await ws.send("hello")
            async for message in ws:
                ...

    Or `ws = await connect(...)`, and `await ws.close()` later.

    Args:
        url: ws:// or wss://.
        on_message: called with the connection and each message, as it comes, in place of the
            queue that `receive` takes from. It must not block; `send_nowait` is its way to answer.
            What it raises goes to the loop's exception handler.
        path: a Unix socket to connect to, in place of the URL's host.
        sock: a connected socket to use, which is the connection's from then on.
        options: as everywhere; see `ClientOptionsDict`. A duration is a number of milliseconds, or
            a Go duration string.

    Raises at the call `TypeError`, `InvalidURL`, `InvalidOption`; when it is awaited `ConnectError`
    or a subclass, `PermissionDenied` or `NoContext` by the security policies of the task that
    awaits it, `InvalidURL` for a bad proxy in the environment.
    """
    if on_message is not None:
        check_callback(on_message)
    if (path is not None or sock is not None) and options.get("max_redirects"):
        raise InvalidOption("max_redirects contradicts path and sock, which lead to one server")
    if path is not None and sock is not None:
        raise InvalidOption("path contradicts sock")
    if sock is not None and not isinstance(sock, socket.socket):
        raise TypeError(f"sock must be a socket, not {type(sock).__name__}")
    checked = client_options(**options)
    if checked.streaming:
        raise InvalidOption("streaming is for threads: there is no receive_stream here")
    where = None if path is None else os.fspath(path)
    return Opening(parse_url(url), checked, on_message, where, sock)


def check_callback(on_message: object) -> None:
    """Raises `TypeError` for what cannot be called with a message."""
    if not callable(on_message):
        raise TypeError(f"on_message: {on_message!r} is not callable")
    if inspect.iscoroutinefunction(on_message):
        raise TypeError("on_message must be a plain function; start a task there if it has to wait")
