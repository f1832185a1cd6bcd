"""The way through a proxy, as long as the deadline of the opening allows."""

from collections.abc import Iterator
from contextlib import contextmanager

from wsfast.protocol.errors import ConnectError, ConnectTimeout, ProxyError, WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.proxy import Proxy, proxy_target
from wsfast.protocol.proxy_connect import ProxyConnect
from wsfast.protocol.scope import Guard
from wsfast.protocol.url import URL
from wsfast.system.socks import check_socks
from wsfast.system.tls import default_context, describe
from wsfast.threads.dial import Cancel, connect_tcp, remaining, resolve
from wsfast.threads.secure import over_tls
from wsfast.threads.socks import open_socks
from wsfast.threads.stream import PlainStream

__all__ = ["open_tunnel"]

ANSWER = 4096
"""Bytes of a proxy's answer to receive at once."""


def open_tunnel(
    proxy: Proxy,
    url: URL,
    options: ClientOptions,
    deadline: float | None,
    cancel: Cancel,
    guard: Guard,
) -> tuple[PlainStream, bytes]:
    """A stream whose other end is the server of `url`, and what has come through it already.

    If only some addresses may be connected to, the proxy is asked for one of these, not for a name.

    Raises `ProxyError`, `TLSError` (of an https proxy), `ConnectError` (the server's name),
    `ConnectTimeout`, `Cancelled`, `PermissionDenied`; then nothing is left open.
    """
    if proxy.is_socks:
        check_socks(proxy)
    addresses: list[str] = []
    if guard.public_only or not proxy.resolves:
        addresses = _look_up(url, deadline, cancel, guard)
    host = proxy_target(proxy, url, addresses)
    stream = _connect(proxy, options, deadline, cancel)
    what = f"the tunnel through {proxy}"
    try:
        with cancel.interrupting(stream.abort), _failures_of(proxy, what):
            stream.open(deadline)
            if not proxy.is_socks:
                request = ProxyConnect(proxy, host, url.port, options.user_agent)
                return stream, _ask(request, stream, what, deadline)
            open_socks(proxy, stream, host, url.port, what, deadline)
            return stream, b""
    except BaseException:
        stream.close()
        raise


def _look_up(url: URL, deadline: float | None, cancel: Cancel, guard: Guard) -> list[str]:
    found = resolve(url.host, url.port, deadline, cancel)
    return [address[0] for _, address in guard.permitted(url.host, found)]


def _connect(
    proxy: Proxy, options: ClientOptions, deadline: float | None, cancel: Cancel
) -> PlainStream:
    try:
        sock = connect_tcp(proxy.host, proxy.port, deadline, cancel)
    except ConnectTimeout as exc:
        raise ConnectTimeout(f"{exc} ({proxy})") from exc
    except ConnectError as exc:
        raise ProxyError(f"{proxy}: {exc}") from exc
    stream = PlainStream(sock)
    if proxy.scheme != "https":
        return stream
    context = options.proxy_ssl_context or default_context()
    name = proxy.host.removesuffix(".")
    return over_tls(stream, context, peer=f"the proxy {proxy.address}", name=name)


@contextmanager
def _failures_of(proxy: Proxy, what: str) -> Iterator[None]:
    """Tells failures of the transport as the proxy's."""
    try:
        yield
    except WebSocketError:
        raise
    except OSError as exc:
        if isinstance(exc, TimeoutError) and exc.errno is None:  # the deadline
            raise ConnectTimeout(f"timeout: {what} not finished within dial_timeout") from exc
        raise ProxyError(f"{proxy}: connection lost: {describe(exc)}") from exc


def _ask(request: ProxyConnect, stream: PlainStream, what: str, deadline: float | None) -> bytes:
    stream.send_all(request.request_bytes, what, deadline)
    buffer = bytearray(ANSWER)
    done = False
    while not done:
        remaining(deadline, what)  # there may be something to read without end
        size = stream.receive_into(buffer, deadline)
        if size == 0:
            raise request.eof()
        done = request.feed(bytes(buffer[:size]))
    return request.leftover
