"""The request for a tunnel, and all the answers a proxy may give."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.errors import ProxyError
from wsfast.protocol.http1 import MAX_HEAD_BYTES
from wsfast.protocol.proxy import parse_proxy
from wsfast.protocol.proxy_connect import ProxyConnect
from wsfast.protocol.url import parse_url


def ask(
    url: str = "wss://example.com/chat?x=1",
    proxy: str = "http://proxy:3128",
    user_agent: str | None = None,
) -> ProxyConnect:
    server = parse_url(url)
    return ProxyConnect(parse_proxy(proxy), server.host, server.port, user_agent)


def refused(answer: bytes, proxy: str = "http://proxy:3128") -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        ask(proxy=proxy).feed(answer)
    assert str(caught.value).isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://example.com/chat", b"example.com:80"),
        ("wss://example.com/chat", b"example.com:443"),
        ("wss://10.0.0.1:8443/", b"10.0.0.1:8443"),
        ("ws://[fd00::1]/", b"[fd00::1]:80"),
        ("ws://someone:secret@b%C3%BCcher.example/", b"xn--bcher-kva.example:80"),
    ],
)
def test_the_request(url: str, target: bytes) -> None:
    assert ask(url).request_bytes == b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)


def test_user_agent_and_credentials() -> None:
    lines = ask(proxy="http://me:ö:%25@proxy", user_agent="agent").request_bytes.split(b"\r\n")
    encoded = base64.b64encode("me:ö:%".encode())
    assert lines[2:] == [b"User-Agent: agent", b"Proxy-Authorization: Basic " + encoded, b"", b""]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 204 Fine\r\n\r\n",
        b"HTTP/1.1 299 Fine\r\nVia: a\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        # "A client MUST ignore any Content-Length or Transfer-Encoding" (RFC 9110, 9.3.6)
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
@given(cuts=st.lists(st.integers(0, 200)), early=st.binary(max_size=20))
def test_a_tunnel(head: bytes, cuts: list[int], early: bytes) -> None:
    """However the answer is split; what follows is the tunnel's, to the byte."""
    connect = ask()
    ends = sorted({min(cut, len(head)) for cut in cuts} | {len(head)})
    for start, end in zip([0, *ends], ends, strict=False):
        last = end == len(head)
        assert connect.feed(head[start:end] + (early if last else b"")) is last
    assert connect.leftover == early


@pytest.mark.parametrize(
    ("line", "text", "retryable"),
    [
        (b"301 Moved", "answered HTTP 301 Moved when asked for example.com:443", False),
        (b"403 Forbidden", "answered HTTP 403 Forbidden", False),
        (b"404", "answered HTTP 404 when asked", False),
        (b"407 Who?", "asks for a user and password (HTTP 407 Who?)", False),
        (b"500 Oops", "answered HTTP 500 Oops", True),
        (b"502 Bad Gateway", "answered HTTP 502 Bad Gateway", True),
        (b"504 Late\x1b[31m", "answered HTTP 504 Late", True),
    ],
)
def test_a_refusal(line: bytes, text: str, retryable: bool) -> None:
    error = refused(b"HTTP/1.1 %s\r\nContent-Length: 3\r\n\r\nno!" % line)
    assert text in str(error)
    assert error.status == int(line[:3])
    assert error.retryable is retryable


def test_wrong_credentials_are_not_told_again() -> None:
    error = refused(b"HTTP/1.1 407 No\r\n\r\n", "http://someone:secret@proxy:3128")
    assert str(error) == (
        "proxy http://proxy:3128 did not accept the user and password (HTTP 407 No)"
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "it speaks another protocol"),
        (b"\x15\x03\x01\x00\x02\x02", "it speaks TLS; use https://"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "not valid HTTP"),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 2000 + b"H", f"over {MAX_HEAD_BYTES} bytes"),
    ],
)
def test_no_valid_answer(answer: bytes, text: str) -> None:
    error = refused(answer)
    assert text in str(error)
    assert str(error).startswith("proxy http://proxy:3128: its answer is ")
    assert error.status is None
    assert not error.retryable


def test_a_dribble_is_bounded() -> None:
    connect, sent = ask(), [b"HTTP/1.1 200 OK\r\n"]
    connect.feed(sent[0])

    def dribble() -> None:
        while sum(map(len, sent)) < 2 * MAX_HEAD_BYTES:
            sent.append(b"X-Long: " + b"a" * 500 + b"\r\n")
            connect.feed(sent[-1])

    with pytest.raises(ProxyError):
        dribble()
    assert sum(map(len, sent[:-1])) <= MAX_HEAD_BYTES


@given(
    answer=st.binary()
    | st.binary().map(lambda data: b"HTTP/1." + data)
    | st.binary().map(lambda data: b"HTTP/1.1 200 OK\r\n" + data),
    cut=st.integers(0, 50),
)
def test_any_answer_opens_the_tunnel_or_is_told(answer: bytes, cut: int) -> None:
    connect = ask(proxy="http://someone:secret@proxy:3128")
    text, opened = "", False
    try:
        opened = connect.feed(answer[:cut]) or connect.feed(answer[cut:])
    except ProxyError as error:
        text = str(error)
    assert text.isprintable()
    assert "secret" not in text
    assert not opened or answer.startswith(b"HTTP/1.")


def test_closed_too_early() -> None:
    error = ask().eof()
    assert str(error) == "proxy http://proxy:3128 closed the connection before it answered"
    assert error.retryable
