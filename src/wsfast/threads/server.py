"""A threaded server: one thread accepts, one thread for each connection runs the handler."""

import contextlib
import errno
import logging
import os
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias, Unpack

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import ConnectionClosed, WebSocketError
from wsfast.protocol.options import ServerOptions, ServerOptionsDict, server_options
from wsfast.system.listening import listen
from wsfast.threads.connection import Connection
from wsfast.threads.stream import PlainStream, Stream, TLSStream

__all__ = ["Handler", "Server", "serve"]

Handler: TypeAlias = Callable[[Connection], object]

logger = logging.getLogger("wsfast.server")

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_HEARTBEAT = 0.5 if sys.platform == "win32" else None
"""Seconds after which `serve_forever` looks up: on Windows Ctrl-C does not end a wait."""
_PAUSE = 0.1
"""Seconds without accepting after the system has run out of descriptors."""


_servers: "weakref.WeakSet[Server]" = weakref.WeakSet()


class Server:
    """A listening server; made by `serve`. Methods may be called from any thread.

    `_lock` guards the set of connections and `_closing`; it is not held while a handler runs.
    """

    def __init__(
        self, handler: Handler, sockets: list[socket.socket], options: ServerOptions
    ) -> None:
        self._handler = handler
        self._options = options
        self.port: int = sockets[0].getsockname()[1]
        """The TCP port, also where port 0 asked the system to choose one."""
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._closing = False
        self._closed = threading.Event()
        self._descriptors = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._accept_loop, name="wsfast-accept", daemon=True)
        try:
            self._prepare(sockets)
            self._thread.start()
        except BaseException:
            self._descriptors.close()
            raise
        _servers.add(self)

    def _prepare(self, sockets: list[socket.socket]) -> None:
        """Gathers all that accepting needs, so that no want of descriptors can end it later."""
        for sock in sockets:
            self._descriptors.callback(sock.close)
        self._selector = self._descriptors.enter_context(selectors.DefaultSelector())
        self._woken, self._waker = socket.socketpair()
        for sock in (self._woken, self._waker):
            self._descriptors.callback(sock.close)
        for sock in (self._woken, *sockets):
            self._selector.register(sock, selectors.EVENT_READ)

    @property
    def connections(self) -> list[Connection]:
        """The connections of now, handshakes included."""
        with self._lock:
            return list(self._connections)

    def serve_forever(self) -> None:
        """Waits until `shutdown` has been called. The server works without this call, too."""
        while not self._closed.wait(_HEARTBEAT):
            pass

    def shutdown(
        self, timeout: float = 10.0, *, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """Stops accepting, closes every connection with `code`, and waits for their handlers.

        After `timeout` seconds the connections that are left are dropped; handlers that still do
        not return are left to themselves. Called twice, it waits twice and does nothing else.
        Called from a handler, it does not wait for that one.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            first = not self._closing
            if first:
                self._waker.send(b"x")  # while it is surely open: what comes next ends the thread
                self._closing = True
        if first:
            self._thread.join()
            for connection in self.connections:
                connection.close(code, reason)
        self._join(deadline)
        for connection in self.connections:
            connection.abandon(ConnectionClosed(code, "the server was shut down"))
        self._join(time.monotonic() + min(1.0, timeout))
        self._closed.set()

    def _join(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._connections.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _after_fork(self) -> None:
        """In the child, where none of its threads are: as if it had been shut down, without waking
        the parent's accepting thread, and without keeping its port taken."""
        self._descriptors.close()
        self._lock = threading.Lock()
        self._connections = {}
        self._closing = True
        self._closed = threading.Event()
        self._closed.set()

    # -------------------------------------------------------------- accepting

    def _accept_loop(self) -> None:
        with self._descriptors:
            while not self._closing:
                for key, _ in self._selector.select():
                    if key.fileobj is not self._woken and not self._closing:
                        assert isinstance(key.fileobj, socket.socket)
                        self._accept(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except OSError as exc:
            if exc.errno in _OUT_OF_DESCRIPTORS:
                logger.error("cannot accept a connection: %s", exc)
                self._closed.wait(_PAUSE)  # the listener stays readable: do not spin
            return  # otherwise the client has gone again
        sock.setblocking(True)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(Protocol.server(self._options, time.monotonic()), self._options)
        thread = threading.Thread(
            target=self._serve, args=(connection, sock), name=f"wsfast-serve {address}", daemon=True
        )
        with self._lock:
            full = len(self._connections) >= self._options.max_connections
            if not full:
                self._connections[connection] = thread
        if full:
            logger.warning("refused a connection: max_connections reached")
            sock.close()
            return
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no thread left
            logger.error("cannot serve a connection: %s", exc)
            self._forget(connection)
            sock.close()

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            del self._connections[connection]

    # -------------------------------------------------------------- serving

    def _serve(self, connection: Connection, sock: socket.socket) -> None:
        try:
            try:
                connection.start(self._stream(sock))
            except WebSocketError as exc:
                logger.info("no connection: %s", exc)
                connection.finish()
            else:
                self._handle(connection)
        finally:
            self._forget(connection)

    def _stream(self, sock: socket.socket) -> Stream:
        context = self._options.ssl_context
        if context is None:
            return PlainStream(sock)
        return TLSStream(sock, context, peer="a client", server_side=True)

    def _handle(self, connection: Connection) -> None:
        code, reason = CloseCode.NORMAL, ""
        try:
            self._handler(connection)
        except ConnectionClosed:
            pass  # the handler need not catch what every handler sees
        except (Exception, SystemExit):
            logger.exception("the handler failed")
            code, reason = CloseCode.INTERNAL_ERROR, "handler failed"
        connection.finish(code, reason)


def serve(
    handler: Handler,
    host: str | None = None,
    port: int = 0,
    **options: Unpack[ServerOptionsDict],
) -> Server:
    """Starts a server: `handler(connection)` is called on a thread of its own for each client.

        with serve(handler, "localhost", 8765) as server:
            server.serve_forever()

    When the handler returns the connection is closed with 1000, when it raises with 1011.

    Args:
        handler: gets a `Connection`: `send`, `receive`, `close`, iteration over messages,
            `request`. `ConnectionClosed` may escape from it.
        host: the name or address to listen on; None: every address, IPv6 and IPv4. All addresses
            of a name are listened on.
        port: the TCP port; 0: one that is free, see `Server.port`.
        options: as a client's, with durations in milliseconds or as Go strings; `ssl_context` makes
            it a wss:// server; see `ServerOptionsDict`.

    Raises `TypeError`, `InvalidOption` for options, `OSError` if it cannot listen there,
    `RuntimeError` if the system has no thread left.
    """
    if not callable(handler):
        raise TypeError(f"handler: {handler!r} is not callable")
    checked = server_options(**options)
    return Server(handler, listen(host, port), checked)


def _after_fork() -> None:
    for server in list(_servers):
        server._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
