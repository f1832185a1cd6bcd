"""The client's way to an open connection: DNS, TCP, proxy, TLS, upgrade, redirects, under one
deadline."""

import threading
import time

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode, State, check_close
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.proxy import choose_proxy
from wsfast.protocol.redirects import Hop
from wsfast.protocol.scope import Guard, Scope
from wsfast.protocol.url import URL
from wsfast.system.tls import default_context
from wsfast.threads.connection import Connection
from wsfast.threads.dial import Cancel, Cancelled, connect_tcp
from wsfast.threads.secure import over_tls
from wsfast.threads.stream import PlainStream
from wsfast.threads.tunnel import open_tunnel

__all__ = ["Dial", "connect"]


class Dial:
    """A connection that is being opened, and may be given up by another thread.

    The connection exists from the start, in state CONNECTING. A redirect puts another in its
    place, in the same state. `_lock` guards that exchange; order: `_lock`, then `Connection._lock`.
    """

    def __init__(
        self,
        url: URL,
        options: ClientOptions,
        scope: Scope | None = None,
        guard: Guard | None = None,
    ) -> None:
        """The security policies that count are those of `scope`, by default of who calls this.
        `guard` is what they have let `url` pass with, if they have been asked."""
        self._scope = scope or Scope.current()
        self._guard = guard
        self._cancel = Cancel()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._set(Hop(url, options))

    def _set(self, hop: Hop) -> None:
        """Begins anew, with nothing left of what was before but the deadline."""
        self._hop = hop
        self._protocol = Protocol.client(hop.url, hop.options, self._began, followed=hop.followed)
        self.connection = Connection(self._protocol, hop.options)

    def open(self) -> None:
        """Blocks until the connection is open.

        Raises a `WebSocketError` (`ConnectError` and its subclasses; `PermissionDenied` and
        `NoContext`; `InvalidURL` for a bad proxy in the environment), which is the connection's
        `error` from then on; or `Cancelled`, after `close`, and then there is no error.
        """
        try:
            guard = self._guard or self._scope.admit(self._hop.url)
            self.connection.start(*self._dial(guard))
            while self._protocol.redirect is not None:
                self._follow(self._protocol.redirect)
                guard.admit(self._hop.url)
                self.connection.start(*self._dial(guard))
        except WebSocketError as error:
            self.connection.abandon(error)
            self._cancel.check()
            raise
        except BaseException:  # Ctrl-C: whoever catches it has no connection to close
            self.connection.abandon(WebSocketError("interrupted while connecting"))
            raise
        if self.connection.state is State.DISCONNECTED:
            raise Cancelled("cancelled")

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Gives the opening up, or closes the connection if it is open. From any thread."""
        check_close(code, reason)
        with self._lock:
            given_up = self.connection.give_up()
        if given_up:
            self._cancel.cancel()
        else:
            self.connection.close(code, reason)

    def after_fork(self) -> None:
        """In the child, where another thread may have held a lock. The connection is dead there."""
        self._lock = threading.Lock()
        self._cancel = Cancel()

    def _follow(self, hop: Hop) -> None:
        with self._lock:
            left = self.connection
            if left.state is not State.CONNECTING:
                raise Cancelled("cancelled")
            self._set(hop)
            self.connection.keep(left.take_all())  # from before, if this is a reconnection
        left.abandon(WebSocketError("redirected"))

    def _dial(self, guard: Guard) -> tuple[PlainStream, bytes]:
        """A stream to the server, whose URL has been let pass, and what has come through it."""
        url, options, deadline = self._hop.url, self._hop.options, self._protocol.deadline
        proxy = choose_proxy(url, options.proxy)
        early = b""
        if proxy is None:
            sock = connect_tcp(url.host, url.port, deadline, self._cancel, guard.permitted)
            stream = PlainStream(sock)
        else:
            stream, early = open_tunnel(proxy, url, options, deadline, self._cancel, guard)
        if not url.secure:
            return stream, early
        context = options.ssl_context or default_context(options.verify)
        name = options.server_name or url.server_name
        return over_tls(stream, context, peer=url.host_header, name=name, early=early), b""


def connect(url: URL, options: ClientOptions) -> Connection:
    """Opens a connection on the calling thread; `Connection.receive` takes its messages.

    Raises `ConnectError` or a subclass; `PermissionDenied` or `NoContext`, by the caller's security
    policies; `InvalidURL` for a bad proxy in the environment.
    """
    dial = Dial(url, options)
    dial.open()
    return dial.connection
