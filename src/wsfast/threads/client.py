"""The client's way to an open connection: DNS, TCP, TLS, upgrade, under one deadline."""

import functools
import ssl
import time

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import WebSocketError
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
        `error` from then on; `Cancelled` after `cancel`, which is none.
        """
        try:
            stream = self._dial()
            with self._cancel.interrupting(stream.abort):
                self.connection.start(stream)
        except Cancelled:
            raise
        except WebSocketError as error:
            self.connection.abandon(error)
            self._cancel.check()
            raise
        self._cancel.check()

    def cancel(self) -> None:
        """Gives it up, from any thread; the connection ends without an error."""
        self.connection.close(CloseCode.NORMAL)
        self._cancel.cancel()

    def _dial(self) -> Stream:
        url, deadline = self._url, self._protocol.deadline
        sock = connect_tcp(url.host, url.port, deadline, self._cancel)
        if not url.secure:
            return PlainStream(sock)
        try:
            stream = TLSStream(
                sock,
                self._options.ssl_context or _default_context(self._options.verify),
                server_hostname=self._options.server_name or url.server_name,
            )
            with self._cancel.interrupting(stream.abort):
                stream.handshake(url.host_header, deadline)
        except BaseException:
            sock.close()
            raise
        return stream


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
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
