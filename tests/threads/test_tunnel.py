"""Connections through proxies: what works, what fails and how, and that nothing is left over."""

import functools
import queue
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aio_bridge
import pytest
from proxy_peers import Asked, HTTPProxy, SOCKSProxy
from raw_peers import TEXT, RawServer, RawServerPeer, field, frame

import wsfast
from wsfast.protocol.constants import State
from wsfast.protocol.errors import (
    CertificateError,
    ConnectError,
    ConnectTimeout,
    HandshakeError,
    InvalidURL,
    ProtocolError,
    ProxyError,
    TLSError,
)
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, serve
from wsfast.threads.client import Dial
from wsfast.threads.dial import Cancelled

WAIT = 10.0
HTTP = ["http", "https"]
SOCKS = ["socks4", "socks4a", "socks5", "socks5h"]

Dialer = Callable[..., Connection]
StartProxy = Callable[..., tuple[dict[str, Any], Asked]]
StartRaw = Callable[..., RawServer]


@pytest.fixture(params=["threads", "aio"])
def dial(request: pytest.FixtureRequest, dial: Dialer) -> Iterator[Dialer]:
    """By both drivers."""
    if request.param == "threads":
        yield dial
        return
    loop = aio_bridge.Loop()
    yield functools.partial(aio_bridge.connect, loop)
    loop.close()


@pytest.fixture
def start_proxy(raw_server: StartRaw, certificates: Any) -> StartProxy:
    """`options, asked = start_proxy("socks5", credentials=("me", "pw"))`."""

    def start(
        scheme: str, credentials: tuple[str, str] | None = None, **details: Any
    ) -> tuple[dict[str, Any], Asked]:
        handler: Any = HTTPProxy if scheme in HTTP else SOCKSProxy
        proxy = handler(credentials, **details)
        secure = scheme == "https"
        port = raw_server(proxy, certificates.server if secure else None).port
        userinfo = ""
        if credentials is not None:
            user, password = credentials
            userinfo = f"{user}@" if scheme.startswith("socks4") else f"{user}:{password}@"
        options: dict[str, Any] = {"proxy": f"{scheme}://{userinfo}localhost:{port}"}
        if secure:
            options["proxy_ssl_context"] = certificates.client
        return options, proxy.asked

    return start


@pytest.fixture
def odd_proxy(raw_server: StartRaw, certificates: Any) -> Callable[..., dict[str, Any]]:
    """The options for a proxy that does what a function says."""

    def start(scheme: str, handle: Callable[[RawServerPeer], object]) -> dict[str, Any]:
        if scheme != "https":
            return {"proxy": f"{scheme}://127.0.0.1:{raw_server(handle).port}"}
        port = raw_server(handle, certificates.server).port
        return {
            "proxy": f"https://127.0.0.1:{port}",
            "proxy_ssl_context": certificates.client,
        }

    return start


def fails(dial: Dialer, url: str, **options: Any) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        dial(url, **options)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)
    return caught.value


# ---------------------------------------------------------------- what works


@pytest.mark.parametrize("proxy_scheme", HTTP + SOCKS)
@pytest.mark.parametrize("credentials", [None, ("someone", "secret")])
def test_every_kind(
    proxy_scheme: str, credentials: Any, dial: Dialer, echo_server: Any, start_proxy: StartProxy
) -> None:
    options, asked = start_proxy(proxy_scheme, credentials)
    connection = dial(echo_server.url, **options, **echo_server.options)
    large = bytes(range(256)) * 1200
    for message in ["hello", large, "", b"\0", large[::-1]]:
        connection.send(message)
        assert connection.receive(WAIT) == message
    assert len(asked.targets) == 1
    assert asked.targets[0][1] == echo_server.server.port
    connection.finish()
    assert connection.close_code == 1000
    assert connection.state is State.DISCONNECTED


@pytest.mark.parametrize("proxy_scheme", [*HTTP, "socks4a", "socks5h"])
def test_names_are_looked_up_by_the_proxy(
    proxy_scheme: str,
    dial: Dialer,
    start_server: Callable[..., Any],
    start_proxy: StartProxy,
    certificates: Any,
) -> None:
    """server.test means nothing to this machine; the certificate must be for it all the same."""
    context = certificates.issue("server.test")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, context: names.append(name)
    endpoint = start_server(lambda connection: connection.send("hi"), "wss", ssl_context=context)
    options, asked = start_proxy(proxy_scheme)
    url = f"wss://server.test:{endpoint.server.port}/"
    connection = dial(url, **options, **endpoint.options)
    assert connection.receive(WAIT) == "hi"
    assert connection.url == parse_url(url)
    assert asked.targets == [("server.test", endpoint.server.port)]
    assert asked.kinds in ([], ["4a"], ["5 name"])
    assert names == ["server.test"]
    connection.finish()


@pytest.mark.parametrize(("proxy_scheme", "kind"), [("socks4", "4"), ("socks5", "5 IPv")])
def test_names_are_looked_up_here(
    proxy_scheme: str, kind: str, dial: Dialer, start_server: Any, start_proxy: StartProxy
) -> None:
    endpoint = start_server(lambda connection: connection.send("hi"))
    options, asked = start_proxy(proxy_scheme)
    connection = dial(endpoint.url, **options)
    assert connection.receive(WAIT) == "hi"
    assert asked.kinds[0].startswith(kind)
    assert asked.targets[0][0] in ("127.0.0.1", "::1")
    connection.finish()


@pytest.mark.parametrize("proxy_scheme", [*HTTP, "socks5", "socks5h"])
def test_an_ipv6_server(
    proxy_scheme: str, scheme: str, dial: Dialer, start_proxy: StartProxy, certificates: Any
) -> None:
    options, asked = start_proxy(proxy_scheme)
    if scheme == "wss":
        options["ssl_context"] = certificates.client
    context = certificates.server if scheme == "wss" else None
    with serve(lambda connection: connection.send("hi"), "::1", 0, ssl_context=context) as server:
        connection = dial(f"{scheme}://[::1]:{server.port}/", **options)
        assert connection.receive(WAIT) == "hi"
        connection.finish()
        assert (asked.targets[0][0].strip("[]"), asked.targets[0][1]) == ("::1", server.port)


@pytest.mark.parametrize("proxy_scheme", ["socks4", "socks4a"])
def test_socks4_knows_no_ipv6(proxy_scheme: str, dial: Dialer, start_proxy: StartProxy) -> None:
    options, asked = start_proxy(proxy_scheme)
    error = fails(dial, "ws://[::1]:1/", **options)
    assert "SOCKS4 knows no IPv6; use socks5" in str(error)
    assert not error.retryable
    assert asked.targets == []


def test_an_answer_that_claims_a_body(
    dial: Dialer, echo_server: Any, start_proxy: StartProxy
) -> None:
    """RFC 9110, section 9.3.6: it has none, whatever it claims."""
    for claim in b"Content-Length: 5", b"Transfer-Encoding: chunked":
        options, _ = start_proxy("http", answer=b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % claim)
        connection = dial(echo_server.url, **options, **echo_server.options)
        connection.send("hello")
        assert connection.receive(WAIT) == "hello"
        connection.finish()


def test_what_proxy_and_server_get_to_see(
    dial: Dialer, raw_server: StartRaw, start_proxy: StartProxy
) -> None:
    options, asked = start_proxy("http", ("someone", "secret"))
    server = raw_server(lambda peer: peer.upgrade())
    url = server.url.replace("localhost", "me:mine@localhost")
    headers = {"X-A": "b", "Cookie": "c=d"}
    connection = dial(url, headers=headers, user_agent="agent", **options)
    seen = server.result()
    (head,) = asked.heads
    assert field(head, b"User-Agent") == field(seen, b"User-Agent") == b"agent"
    for name in b"Authorization", b"X-A", b"Cookie", b"Sec-WebSocket-Key":
        assert field(head, name) is None
        assert field(seen, name) is not None
    assert field(head, b"Proxy-Authorization") == b"Basic c29tZW9uZTpzZWNyZXQ="
    assert field(seen, b"Proxy-Authorization") is None
    connection.finish()


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_the_environment(
    variable: str,
    dial: Dialer,
    start_server: Any,
    start_proxy: StartProxy,
    environment: Callable[..., None],
) -> None:
    options, asked = start_proxy("http")
    environment(**{variable: options["proxy"]})
    endpoint = start_server(lambda connection: connection.send("hi"))
    dial(endpoint.url).finish()  # loopback: directly
    assert asked.targets == []
    url = endpoint.url.replace("localhost", "server.test")
    dial(url).finish()
    assert asked.targets == [("server.test", endpoint.server.port)]
    environment(no_proxy="server.test")
    assert "cannot find the address" in str(fails(dial, url))
    assert len(asked.targets) == 1


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
def test_wrong_credentials(proxy_scheme: str, dial: Dialer, start_proxy: StartProxy) -> None:
    options, asked = start_proxy(proxy_scheme, ("someone", "secret"))
    options["proxy"] = options["proxy"].replace("someone", "else")
    error = fails(dial, "ws://localhost:1/", **options)
    assert isinstance(error, ProxyError)
    assert not error.retryable
    if proxy_scheme in HTTP:
        assert error.status == 407
        assert "did not accept the user and password" in str(error)
    assert not asked.targets or proxy_scheme.startswith("socks4")


@pytest.mark.parametrize("proxy_scheme", [*HTTP, "socks5", "socks5h"])
def test_missing_credentials(proxy_scheme: str, dial: Dialer, start_proxy: StartProxy) -> None:
    options, asked = start_proxy(proxy_scheme, ("someone", "secret"))
    options["proxy"] = options["proxy"].replace("someone:secret@", "")
    error = fails(dial, "ws://localhost:1/", **options)
    assert isinstance(error, ProxyError)
    assert not error.retryable
    assert error.status == (407 if proxy_scheme in HTTP else None)
    assert asked.targets == []


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
def test_a_server_that_is_not_there(
    proxy_scheme: str, dial: Dialer, start_proxy: StartProxy, refused_port: int
) -> None:
    options, _ = start_proxy(proxy_scheme)
    error = fails(dial, f"ws://127.0.0.1:{refused_port}/", **options)
    assert isinstance(error, ProxyError)
    assert error.retryable
    assert str(error).startswith(f"proxy {options['proxy']}")
    if proxy_scheme in HTTP:
        assert error.status == 502
    if not proxy_scheme.startswith("socks4"):
        assert "connection refused" in str(error)


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
def test_a_proxy_that_is_not_there(proxy_scheme: str, dial: Dialer, refused_port: int) -> None:
    proxy = f"{proxy_scheme}://127.0.0.1:{refused_port}"
    error = fails(dial, "ws://127.0.0.1:1/", proxy=proxy)
    assert isinstance(error, ProxyError)
    assert error.retryable
    assert error.status is None
    assert str(error) == f"proxy {proxy}: connection refused by 127.0.0.1 port {refused_port}"


def test_a_proxy_that_does_not_even_let_tcp_connect(dial: Dialer, black_hole_url: str) -> None:
    proxy = black_hole_url.replace("ws", "http", 1)
    error = fails(dial, "ws://127.0.0.1:1/", proxy=proxy, dial_timeout=50)
    assert isinstance(error, ConnectTimeout)
    assert str(error).startswith("timeout: connecting to 127.0.0.1 port ")
    assert "proxy http://127.0.0.1" in str(error)


@pytest.mark.parametrize("proxy_scheme", SOCKS)
def test_without_python_socks(
    proxy_scheme: str, dial: Dialer, monkeypatch: pytest.MonkeyPatch, start_proxy: StartProxy
) -> None:
    options, asked = start_proxy(proxy_scheme)
    for name in [name for name in sys.modules if name.partition(".")[0] == "python_socks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "python_socks", None)  # type: ignore[arg-type]
    error = fails(dial, "ws://127.0.0.1:1/", **options)
    assert isinstance(error, ProxyError)
    assert str(error).endswith("needs python-socks: pip install wsfast[proxy]")
    assert not error.retryable
    assert asked.targets == []


# ---------------------------------------------------------------- proxies that misbehave


def read_request(peer: RawServerPeer) -> None:
    """Of whichever kind, up to where the proxy has to say something."""
    assert peer.sock.recv(65536)


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
def test_a_silent_proxy(proxy_scheme: str, dial: Dialer, odd_proxy: Any) -> None:
    options = odd_proxy(proxy_scheme, RawServerPeer.read_to_end)
    error = fails(dial, "ws://127.0.0.1:1/", dial_timeout=200, **options)
    assert isinstance(error, ConnectTimeout)
    assert str(error).startswith("timeout: the t")  # the tunnel, or the TLS handshake
    assert error.retryable


@pytest.mark.parametrize(
    ("proxy_scheme", "start", "piece"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n", b"X"),
        ("https", b"HTTP/1.1 200 OK\r\n", b"X"),
        ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("socks5", b"\x05\x00\x05\x00\x00\x03\xff", b"x"),
        ("socks5h", b"\x05\x00\x05\x00\x00\x03\xff", b"x"),
    ],
)
def test_a_proxy_that_dribbles(
    proxy_scheme: str, start: bytes, piece: bytes, dial: Dialer, odd_proxy: Any
) -> None:
    """The deadline is over all of it, not over each piece."""
    over = threading.Event()

    def dribble(peer: RawServerPeer) -> None:
        read_request(peer)
        peer.send(start)
        while not over.wait(0.01):
            peer.send(piece)

    options = odd_proxy(proxy_scheme, dribble)
    error = fails(dial, "ws://127.0.0.1:1/", dial_timeout=500, **options)
    over.set()
    assert isinstance(error, ConnectTimeout)
    assert f"timeout: the tunnel through proxy {proxy_scheme}://" in str(error)


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
@pytest.mark.parametrize("say", [b"", b"H", b"\x05", b"\0"])
def test_a_proxy_that_goes_away(
    proxy_scheme: str, say: bytes, dial: Dialer, odd_proxy: Any
) -> None:
    def go_away(peer: RawServerPeer) -> None:
        read_request(peer)
        peer.send(say)

    error = fails(dial, "ws://127.0.0.1:1/", **odd_proxy(proxy_scheme, go_away))
    assert isinstance(error, ProxyError)
    in_its_protocol = not say or say == b"H" or not proxy_scheme.startswith("http")
    if in_its_protocol:
        assert str(error).endswith("closed the connection before it answered")
        assert error.retryable
    else:
        assert str(error).endswith("is not valid HTTP: it speaks another protocol")


@pytest.mark.parametrize("proxy_scheme", [*HTTP, *SOCKS])
def test_a_proxy_that_resets(proxy_scheme: str, dial: Dialer, odd_proxy: Any) -> None:
    def reset(peer: RawServerPeer) -> None:
        read_request(peer)
        peer.reset()

    error = fails(dial, "ws://127.0.0.1:1/", **odd_proxy(proxy_scheme, reset))
    assert isinstance(error, ProxyError)
    assert ": connection lost: connection reset by peer" in str(error)
    assert error.retryable


@pytest.mark.parametrize(
    ("proxy_scheme", "say"),
    [
        ("http", b"SSH-2.0-OpenSSH\r\n"),
        ("http", b"HTTP/1.1 200\r\n" + b"X: y\r\n" * 20_000),
        ("http", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        ("socks4", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("socks4a", b"\x00\xff" + bytes(6)),
        ("socks5", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("socks5", b"\x05\x01"),
        ("socks5h", b"\x05\x02"),
        ("socks5", b"\x05\xff"),
        ("socks5h", b"\x05\x00\x04\x00\x00\x01" + bytes(6)),
        ("socks5h", b"\x05\x00\x05\xaa\x00\x01" + bytes(6)),
        ("socks5h", b"\x05\x00\x05\x00\xaa\x01" + bytes(6)),
        ("socks5h", b"\x05\x00\x05\x00\x00\xaa" + bytes(6)),
        ("socks5h", b"\x05\x00\x05\x00\x00\x03\x02\xff\xfe" + bytes(2)),
    ],
)
def test_garbage(proxy_scheme: str, say: bytes, dial: Dialer, odd_proxy: Any) -> None:
    def talk(peer: RawServerPeer) -> None:
        read_request(peer)
        peer.send(say)
        peer.read_to_end()

    error = fails(dial, "ws://127.0.0.1:1/", **odd_proxy(proxy_scheme, talk))
    assert isinstance(error, ProxyError)
    assert len(str(error)) < 500
    assert not error.retryable


@pytest.mark.parametrize("proxy_scheme", HTTP)
def test_what_comes_with_the_answer_is_the_tunnels(
    proxy_scheme: str, dial: Dialer, raw_server: StartRaw, start_proxy: StartProxy
) -> None:
    """No server speaks first, so that can only fail; but it must not be lost."""
    server = raw_server(RawServerPeer.read_to_end)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    options, _ = start_proxy(proxy_scheme, answer=answer)
    error = fails(dial, server.url, **options)
    assert isinstance(error, HandshakeError)
    assert str(error) == "the server's answer is not valid HTTP: it speaks another protocol"
    error = fails(dial, server.url.replace("ws", "wss"), **options)
    assert isinstance(error, TLSError)
    assert "wrong version number" in str(error).lower().replace("_", " ")


# ---------------------------------------------------------------- TLS with the proxy


def test_an_https_proxy_must_have_a_good_certificate(
    dial: Dialer, raw_server: StartRaw, certificates: Any
) -> None:
    for context, options, text in [
        (certificates.server, {}, "unable to get local issuer certificate"),
        (certificates.server, {"verify": False}, "unable to get local issuer certificate"),
        (
            certificates.issue("other.test"),
            {"proxy_ssl_context": certificates.client},
            "Hostname mismatch",
        ),
    ]:
        proxy = raw_server(RawServerPeer.read_to_end, context)
        options["proxy"] = f"https://localhost:{proxy.port}"
        error = fails(dial, "ws://server.test/", **options)
        assert isinstance(error, CertificateError)
        assert str(error).startswith(f"TLS: the certificate of the proxy localhost:{proxy.port}")
        assert text in str(error)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            proxy.result()  # and it was asked for nothing


def test_a_proxy_that_does_not_speak_tls(dial: Dialer, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        read_request(peer)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.read_to_end()

    proxy = f"https://127.0.0.1:{raw_server(answer).port}"
    error = fails(dial, "ws://server.test/", proxy=proxy)
    assert isinstance(error, TLSError)
    assert f"TLS: the handshake with the {proxy.replace('https://', 'proxy ')} failed" in str(error)


def test_both_layers_of_tls_are_ended(
    dial: Dialer, raw_server: StartRaw, certificates: Any
) -> None:
    """Whoever sees a truncation can tell it from an end, in either layer."""

    def misbehave(peer: RawServerPeer) -> tuple[int, bytes]:
        peer.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        peer.upgrade()
        peer.send(frame(TEXT, b"hello") + frame(TEXT, b"\xff"))
        return peer.read_close().code, peer.sock.recv(1)

    def strict_proxy(peer: RawServerPeer) -> None:
        peer.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        HTTPProxy()(peer)

    server = raw_server(misbehave, certificates.server)
    proxy = raw_server(strict_proxy, certificates.server)
    connection = dial(
        server.url,
        proxy=f"https://localhost:{proxy.port}",
        ssl_context=certificates.client,
        proxy_ssl_context=certificates.client,
    )
    assert connection.receive(WAIT) == "hello"
    with pytest.raises(ProtocolError):
        connection.receive(WAIT)
    assert server.result() == (1007, b"")
    connection.finish()
    proxy.result()  # raises for an end without a farewell


@pytest.mark.parametrize("proxy_scheme", HTTP)
def test_tls_that_cannot_be_set_up(
    proxy_scheme: str, dial: Dialer, start_proxy: StartProxy, raw_server: StartRaw
) -> None:
    """With the server or with the proxy: what is open by then is not left open. Asyncio notices it
    before, or later."""

    class Broken(ssl.SSLContext):
        def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
            raise ssl.SSLError("no keychain")

    options, asked = start_proxy(proxy_scheme)
    port = raw_server(RawServerPeer.read_to_end).port
    broken = Broken(ssl.PROTOCOL_TLS_CLIENT)
    error = fails(dial, f"wss://localhost:{port}/", ssl_context=broken, **options)
    assert isinstance(error, TLSError)
    assert str(error).startswith(f"TLS: cannot be set up for localhost:{port}: ")
    assert len(asked.targets) <= 1
    if proxy_scheme == "https":
        options["proxy_ssl_context"] = broken
        error = fails(dial, f"ws://localhost:{port}/", **options)
        assert str(error).startswith("TLS: ")
        assert "the proxy localhost:" in str(error)
        assert "no keychain" in str(error)
        assert len(asked.targets) <= 1


# ---------------------------------------------------------------- giving up


@pytest.mark.parametrize("proxy_scheme", [*HTTP, "socks4", "socks5"])
def test_closed_while_the_proxy_says_nothing(proxy_scheme: str, odd_proxy: Any) -> None:
    arrived: queue.Queue[RawServerPeer] = queue.Queue()

    def say_nothing(peer: RawServerPeer) -> None:
        read_request(peer)
        arrived.put(peer)
        peer.read_to_end()

    options = client_options(dial_timeout=None, **odd_proxy(proxy_scheme, say_nothing))
    opening = Dial(parse_url("ws://127.0.0.1:1/"), options)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(opening.open)
        arrived.get(timeout=WAIT)
        opening.close()
        assert isinstance(result.exception(WAIT), Cancelled)
    assert opening.connection.state is State.DISCONNECTED
    assert opening.connection.error is None


def test_closed_in_the_tls_handshake_with_the_proxy(stalled_url: str) -> None:
    options = client_options(dial_timeout=None, proxy=stalled_url.replace("ws", "https", 1))
    opening = Dial(parse_url("ws://127.0.0.1:1/"), options)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(opening.open)
        opening.close()
        assert isinstance(result.exception(WAIT), Cancelled)
    assert opening.connection.state is State.DISCONNECTED


@pytest.mark.parametrize("proxy_scheme", ["http", "socks5h"])
def test_closed_again_and_again(
    proxy_scheme: str, start_proxy: StartProxy, start_server: Any
) -> None:
    """At whatever moment the close comes: the same end, and no descriptor left over."""
    proxy, _ = start_proxy(proxy_scheme)
    endpoint = start_server(lambda connection: connection.receive(WAIT))
    url, options = parse_url(endpoint.url), client_options(**proxy)
    ends = []
    with ThreadPoolExecutor(1) as pool:
        for pause in range(100):
            opening = Dial(url, options)
            result = pool.submit(opening.open)
            for _ in range(pause * 1000):
                pass  # moves the close through the steps of the opening
            opening.close()
            ends.append(result.exception(WAIT))
            opening.connection.finish()
            assert opening.connection.wait_ended(WAIT)
            assert opening.connection.state is State.DISCONNECTED
    assert {type(end) for end in ends} <= {Cancelled, type(None)}
    assert Cancelled in map(type, ends)


# ---------------------------------------------------------------- the ID API


def test_the_id_api(start_proxy: StartProxy, echo_server: Any, recorder: Any) -> None:
    options, asked = start_proxy("http", ("someone", "secret"))
    number = wsfast.connect(echo_server.url, **recorder.callbacks, **options, **echo_server.options)
    assert recorder.opened.wait(WAIT), recorder.log
    assert wsfast.send(number, "hello")
    assert recorder.wait_messages(1) == ["hello"]
    assert wsfast.close(number)
    assert recorder.wait_closed() == (1000, "")
    assert recorder.errors == []
    assert len(asked.targets) == 1


def test_a_bad_proxy_in_the_environment(
    dial: Dialer, recorder: Any, environment: Callable[..., None]
) -> None:
    environment(https_proxy="http://someone:sec%0aret@proxy:1")
    with pytest.raises(InvalidURL, match="^https_proxy in the environment: "):
        dial("wss://server.test/")
    wsfast.connect("wss://server.test/", **recorder.callbacks)
    assert recorder.wait_closed()[0] == 1006
    assert recorder.errors == [
        "https_proxy in the environment: user or password holds a control character"
    ]


def test_a_proxy_on_ipv6(dial: Dialer, echo_server: Any) -> None:
    """Addresses of proxies stand in brackets, in texts too."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        options = {"proxy": f"http://[::1]:{port}", "dial_timeout": 200}
        error = fails(dial, echo_server.url, **options, **echo_server.options)
        assert f"the tunnel through proxy http://[::1]:{port} not" in str(error)
