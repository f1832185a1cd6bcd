"""A server on an event loop: a task for each connection runs the handler."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias, Unpack

from wsfast.aio.client import check_callback
from wsfast.aio.connection import Connection
from wsfast.aio.hooks import Hooks, ProcessRequest, ProcessResponse
from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import ConnectionClosed, InvalidOption
from wsfast.protocol.options import ServerOptions, ServerOptionsDict, server_options
from wsfast.system.listening import BACKLOG, bind, passive
from wsfast.system.tls import TLSSession

__all__ = ["Handler", "Server", "Serving", "serve"]

Handler: TypeAlias = Callable[[Connection], Awaitable[object]]
OnMessage: TypeAlias = Callable[[Connection, Message], object]

logger = logging.getLogger("wsfast.aio")

AFTER_CANCEL = 1.0
"""Seconds that handlers get to end once they have been cancelled."""


class Server:
    """A listening server; made by `serve`. On its loop's thread only."""

    def __init__(
        self,
        handler: Handler | None,
        on_message: OnMessage | None,
        hooks: Hooks,
        options: ServerOptions,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._handler = handler
        self._on_message = on_message
        self._hooks = hooks
        self._options = options
        self._loop = loop
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._judging: dict[Connection, asyncio.Task[None]] = {}
        self._closing = False
        self._empty = asyncio.Event()
        self.addresses: list[Any] = []
        """What it listens on, or did, each in the form of its address family."""

    @property
    def port(self) -> int | None:
        """The TCP port, also where port 0 asked the system to choose one; None for a Unix
        socket."""
        address = self.addresses[0]
        return int(address[1]) if isinstance(address, tuple) else None

    @property
    def connections(self) -> list[Connection]:
        """The connections of now, handshakes included."""
        return list(self._connections)

    # -------------------------------------------------------------- listening

    async def _listen(
        self, host: str | None, port: int, path: str | None, sock: socket.socket | None
    ) -> None:
        loop = self._loop
        # A server that is cancelled as it starts is lost. So each is there first, to be closed.
        how: Any = {"backlog": BACKLOG, "start_serving": False}
        with contextlib.ExitStack() as stack:
            if path is not None:
                self._listeners.append(await loop.create_unix_server(self._new, path, **how))
            else:
                socks = [sock] if sock is not None else await _bind(host, port)
                for each in socks:
                    stack.callback(each.close)
                for each in socks:
                    is_ip = each.family in (socket.AF_INET, socket.AF_INET6)
                    create = loop.create_server if is_ip else loop.create_unix_server
                    self._listeners.append(await create(self._new, sock=each, **how))
            stack.pop_all()
        for listener in self._listeners:
            await listener.start_serving()
            self.addresses += [each.getsockname() for each in listener.sockets]

    def _new(self) -> asyncio.BaseProtocol:
        """The protocol of a connection that has been accepted."""
        if len(self._connections) >= self._options.max_connections or self._closing:
            logger.warning("refused a connection: max_connections reached")
            return _Refused()
        options = self._options
        connection = Connection(
            Protocol.server(options, time.monotonic()),
            options,
            self._loop,
            on_message=self._on_message,
            owner=self,
            session=(
                None
                if options.ssl_context is None
                else TLSSession(options.ssl_context, server_side=True)
            ),
            peer="a client",
        )
        self._connections.add(connection)
        return connection._wire()

    # -------------------------------------------------------------- what its connections say

    def requested(self, connection: Connection) -> None:
        """There is a request."""
        if self._hooks:
            task = self._start(self._hooks.judge(connection))
            if not task.done():  # as an eager one may be
                self._judging[connection] = task
        else:
            connection._accept()

    def opened(self, connection: Connection) -> None:
        """The connection is open."""
        self._judging.pop(connection, None)
        if self._handler is not None:
            self._start(self._serve(connection, self._handler))

    def gone(self, connection: Connection) -> None:
        """It has ended, and its socket is closed."""
        self._connections.discard(connection)
        judging = self._judging.pop(connection, None)
        if judging is not None:
            judging.cancel()  # nobody waits for the answer
        self._check_empty()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._check_empty()

    def _check_empty(self) -> None:
        if self._closing and not self._connections and not self._tasks:
            self._empty.set()

    async def _serve(self, connection: Connection, handler: Handler) -> None:
        code, reason = CloseCode.NORMAL, ""
        try:
            await handler(connection)
        except ConnectionClosed:
            pass  # the handler need not catch what every handler sees
        except asyncio.CancelledError:
            connection.abort()
            raise
        except Exception:
            logger.exception("the handler failed")
            code, reason = CloseCode.INTERNAL_ERROR, "handler failed"
        connection._let_go(code, reason)

    # -------------------------------------------------------------- the end

    async def serve_forever(self) -> None:
        """Waits until `close` or `shutdown` has been called and everything has ended. The server
        works without this call, too."""
        await self.wait_closed()

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stops accepting and begins to close every connection with `code`.

        For a signal handler: `loop.add_signal_handler(signal.SIGTERM, server.close)`. Called again
        it does nothing.
        """
        if self._closing:
            return
        self._closing = True
        for listener in self._listeners:
            for sock in listener.sockets:
                with contextlib.suppress(NotImplementedError):  # not every loop accepts that way
                    self._loop.remove_reader(sock.fileno())
        # What asyncio has accepted may not have reached us yet, and needs its server until then.
        self._loop.call_soon(self._close_listeners)
        for connection in self.connections:
            connection.close_nowait(code, reason)
        self._check_empty()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    async def wait_closed(self) -> None:
        """Waits until `close` has been called and the last connection and handler have ended."""
        await self._empty.wait()

    async def shutdown(
        self, timeout: float = 10.0, *, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """Stops accepting, closes every connection with `code`, and waits for their handlers.

        After `timeout` seconds, or when it is cancelled, the connections that are left are dropped
        and their handlers cancelled. Handlers that still do not return are left to themselves.
        """
        self.close(code, reason)
        try:
            async with asyncio.timeout(timeout):
                await self.wait_closed()
        except TimeoutError:
            pass
        finally:
            self._drop()
        try:
            async with asyncio.timeout(AFTER_CANCEL):
                await self.wait_closed()
        except TimeoutError:
            logger.warning("%d handlers do not end", len(self._tasks))

    def _drop(self) -> None:
        for connection in self.connections:
            connection._abandon(ConnectionClosed(CloseCode.GOING_AWAY, "the server was shut down"))
        for task in list(self._tasks):
            task.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()


async def _bind(host: str | None, port: int) -> list[socket.socket]:
    addresses = await asyncio.to_thread(passive, host, port)  # which leaves nothing if cancelled
    return bind(addresses, host, port)


class _Refused(asyncio.Protocol):
    """There is no place for this one."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()


class Serving:
    """A server to be started: `await` it, or enter it with `async with`. Made by `serve`."""

    def __init__(
        self,
        handler: Handler | None,
        on_message: OnMessage | None,
        hooks: Hooks,
        options: ServerOptions,
        where: tuple[str | None, int, str | None, socket.socket | None],
    ) -> None:
        self._handler = handler
        self._on_message = on_message
        self._hooks = hooks
        self._options = options
        self._where = where
        self._server: Server | None = None

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def _start(self) -> Server:
        loop = asyncio.get_running_loop()
        server = Server(self._handler, self._on_message, self._hooks, self._options, loop)
        try:
            await server._listen(*self._where)
        except BaseException:
            server.close()
            raise
        return server

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await self._server.shutdown()


def serve(
    handler: Handler | None,
    host: str | None = None,
    port: int = 0,
    *,
    on_message: OnMessage | None = None,
    process_request: ProcessRequest | None = None,
    process_response: ProcessResponse | None = None,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    **options: Unpack[ServerOptionsDict],
) -> Serving:
    """Starts a server: `handler(connection)` is called in a task of its own for each client.

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    When the handler returns the connection is closed with 1000, when it raises with 1011.

    Args:
        handler: a coroutine function that gets a `Connection`. `ConnectionClosed` may escape from
            it. None if `on_message` is all there is to do.
        host: the name or address to listen on; None: every address, IPv6 and IPv4. All addresses
            of a name are listened on.
        port: the TCP port; 0: one that is free, see `Server.port`.
        on_message: as in `connect`, for every connection.
        process_request: called with the connection and its `Request` once that is found to be good,
            origin included, and before it is answered. May be a coroutine function; `dial_timeout`
            bounds it. What it raises or returns as `Refusal` turns the request down, None lets it
            pass.
        process_response: called with the connection and the `Response` that is to be sent. What it
            returns are further header fields, such as Set-Cookie, or None. Likewise.
        path: a Unix socket to listen on, in place of host and port.
        sock: a listening socket, or one that is bound, in place of these.
        options: as a client's, with durations in milliseconds or as Go strings; `ssl_context` makes
            it a wss:// server; see `ServerOptionsDict`.

    Raises at the call `TypeError`, `InvalidOption`; when it is awaited `OSError` if it cannot
    listen there.
    """
    if handler is not None and not callable(handler):
        raise TypeError(f"handler: {handler!r} is not callable")
    if on_message is not None:
        check_callback(on_message)
    elif handler is None:
        raise TypeError("handler: a coroutine function is needed, or on_message")
    if (host is not None or port) + (path is not None) + (sock is not None) > 1:
        raise InvalidOption("host and port, path, and sock contradict each other")
    hooks = Hooks(process_request, process_response)
    hooks.check()
    checked = server_options(**options)
    if checked.streaming:
        raise InvalidOption("streaming is for threads: there is no receive_stream here")
    where = None if path is None else os.fspath(path)
    return Serving(handler, on_message, hooks, checked, (host, port, where, sock))
