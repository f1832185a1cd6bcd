"""SOCKS on a stream."""

from typing import Any

from wsfast.protocol.errors import ProxyError
from wsfast.protocol.proxy import Proxy
from wsfast.system.socks import socks_client, socks_failures
from wsfast.threads.dial import remaining
from wsfast.threads.stream import PlainStream

__all__ = ["open_socks"]


def open_socks(
    proxy: Proxy, stream: PlainStream, host: str, port: int, what: str, deadline: float | None
) -> None:
    """Asks the proxy at the other end of the stream for a connection to `host`.

    Raises `ProxyError`, `OSError`, `TimeoutError` at the deadline.
    """
    client = socks_client("sync", proxy, _Pipe(proxy, stream, what, deadline))
    with socks_failures(proxy):
        client.connect(host, port)


class _Pipe:
    """What python-socks takes for a proxy before the proxy, and then for a socket."""

    def __init__(
        self, proxy: Proxy, stream: PlainStream, what: str, deadline: float | None
    ) -> None:
        self._proxy = proxy
        self._stream = stream
        self._what = what
        self._deadline = deadline

    def connect(self, **_: Any) -> "_Pipe":
        return self

    def sendall(self, data: bytes) -> None:
        self._stream.send_all(bytes(data), self._what, self._deadline)

    def recv(self, size: int) -> bytes:
        remaining(self._deadline, self._what)
        buffer = bytearray(size)
        received = self._stream.receive_into(buffer, self._deadline)
        if received == 0:
            raise ProxyError(f"{self._proxy} closed the connection before it answered")
        return bytes(buffer[:received])

    def close(self) -> None:
        """The stream is closed by whoever opened it."""
