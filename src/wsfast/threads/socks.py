"""SOCKS4, 4a and 5, by python-socks: our socket, our deadline, its protocol."""

from typing import TYPE_CHECKING, Any

from wsfast.protocol.errors import ProxyError
from wsfast.protocol.proxy import Proxy, socks_failure
from wsfast.threads.dial import remaining
from wsfast.threads.stream import PlainStream

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["check_socks", "open_socks"]


def check_socks(proxy: Proxy) -> "ModuleType":
    """The `python_socks` package. Raises `ProxyError` if it is not installed."""
    try:
        import python_socks.sync
    except ImportError as exc:
        text = f"{proxy} needs python-socks: pip install wsfast[proxy]"
        raise ProxyError(text, retryable=False) from exc
    return python_socks


def open_socks(
    proxy: Proxy, stream: PlainStream, host: str, port: int, what: str, deadline: float | None
) -> None:
    """Asks the proxy at the other end of the stream for a connection to `host`.

    Raises `ProxyError`, `OSError`, `TimeoutError` at the deadline.
    """
    python_socks = check_socks(proxy)
    kinds = python_socks.ProxyType
    user, password = proxy.credentials or (None, None)
    client = python_socks.sync.Proxy(
        kinds.SOCKS4 if proxy.scheme.startswith("socks4") else kinds.SOCKS5,
        proxy.host,
        proxy.port,
        user,
        password,
        rdns=True,  # a name that is to be looked up on this side has been
        forward=_Pipe(proxy, stream, what, deadline),
    )
    try:
        client.connect(host, port)
    except python_socks.ProxyTimeoutError as exc:
        raise exc.__cause__ or exc from None
    except python_socks.ProxyError as exc:
        raise socks_failure(proxy, str(exc), exc.error_code) from exc
    except ValueError as exc:  # it decodes all of a reply before it looks at it
        raise socks_failure(proxy, "malformed reply", None) from exc


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
