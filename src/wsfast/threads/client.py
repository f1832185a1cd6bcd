"""The client's way to an open connection: DNS, TCP, TLS, upgrade, under one deadline."""

import functools
import ssl
import time

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode, State, check_close
from wsfast.protocol.errors import TLSError, WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.url import URL
from wsfast.threads.connection import Connection
from wsfast.threads.dial import Cancel, Cancelled, connect_tcp
from wsfast.threads.stream import PlainStream, Stream, TLSStream

__all__ = ["Dial", "connect"]


class Dial:
    """A connection that is being opened, and may be given up by another thread.

    The connection exists from the start, in state CONNECTING.
    """

    def __init__(self, url: URL, options: ClientOptions) -> None:
        self._url = url
        self._options = options
        self._cancel = Cancel()
        self._protocol = Protocol.client(url, options, time.monotonic())
        self.connection = Connection(self._protocol, options)

    def open(self) -> None:
        """Blocks until the connection is open.

        Raises a `WebSocketError` (`ConnectError` and its subclasses), which is the connection's
        `error` from then on; or `Cancelled`, after `close`, and then there is no error.
        """
        try:
            self.connection.start(self._dial())
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
        if self.connection.give_up():
            self._cancel.cancel()
        else:
            self.connection.close(code, reason)

    def _dial(self) -> Stream:
        url, options = self._url, self._options
        sock = connect_tcp(url.host, url.port, self._protocol.deadline, self._cancel)
        if not url.secure:
            return PlainStream(sock)
        try:
            return TLSStream(
                sock,
                options.ssl_context or _default_context(options.verify),
                peer=url.host_header,
                server_hostname=options.server_name or url.server_name,
            )
        except (ValueError, OSError) as exc:
            sock.close()
            raise TLSError(f"TLS: cannot be set up for {url.host_header}: {exc}") from exc


def connect(url: URL, options: ClientOptions) -> Connection:
    """Opens a connection on the calling thread; `Connection.receive` takes its messages.

    Raises `ConnectError` or a subclass.
    """
    dial = Dial(url, options)
    dial.open()
    return dial.connection


@functools.cache
def _default_context(verify: bool) -> ssl.SSLContext:
    """Made once: reading the system's certificates takes longer than a connection."""
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False  # no longer a host name (RFC 9525, section 2)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
