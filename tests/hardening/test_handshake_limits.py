"""Handshake limits: what a peer may make us read before a connection is open."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer, client_peer, response

from wsfast.protocol.errors import HandshakeError, StatusError
from wsfast.protocol.http1 import MAX_HEAD_BYTES

Fails = Callable[..., str]
StartRaw = Callable[..., RawServer]

STATUS_LINE = b"HTTP/1.1 101 Switching Protocols\r\n"
ENDLESS = {
    "status line": (b"HTTP/1.1 101 ", b"x" * 100),
    "header name": (STATUS_LINE, b"x" * 100),
    "header value": (STATUS_LINE + b"A: ", b"x" * 100),
    "spaces": (STATUS_LINE + b"A: ", b" " * 100),
    "headers": (STATUS_LINE, b"A: b\r\n"),
    "folded lines": (STATUS_LINE + b"A: b\r\n", b" c\r\n"),
    "interim responses": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
}


@pytest.mark.parametrize(("start", "repeated"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end(
    start: bytes, repeated: bytes, fails: Fails, dial: Any, raw_server: StartRaw
) -> None:
    def flood(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(start)
        while True:  # until the client has had enough
            peer.send(repeated * 100)

    server = raw_server(flood)
    # The bound that ends it is that of size, not that of time.
    assert "timeout" not in fails(server.url, dial_timeout=None)
    with pytest.raises(HandshakeError):
        dial(server.url, dial_timeout=None)


@pytest.mark.parametrize("size", [1000, MAX_HEAD_BYTES - 500])
def test_long_answers_are_read(size: int, dial: Any, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.upgrade(b"X-Long: " + b"a" * size)
        peer.read_close()

    connection = dial(raw_server(answer).url)
    assert len(connection.response.headers["X-Long"]) == size


def test_the_body_of_a_refusal_is_not_read(dial: Any, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with pytest.raises(StatusError, match="404"):
        dial(raw_server(answer).url, dial_timeout=None)


def test_bytes_that_come_with_an_answer_of_the_longest_kind(
    dial: Any, raw_server: StartRaw
) -> None:
    """The limit is one of the head, not of what follows it in the same packet."""

    def answer(peer: RawServerPeer) -> None:
        head = response(peer.read_head(), b"X-Long: " + b"a" * (MAX_HEAD_BYTES - 500))
        peer.send(head + b"\x82\x7e\xff\xff" + b"b" * 65535)
        peer.read_close()

    assert dial(raw_server(answer).url).receive(10) == b"b" * 65535


# ---------------------------------------------------------------- requests


@pytest.fixture
def served(start_server: Any) -> tuple[int, list[object]]:
    """The port of a server with a short dial_timeout, and the connections its handler saw."""
    seen: list[object] = []

    def handle(connection: Any) -> None:
        seen.append(connection)
        connection.send("welcome")

    return start_server(handle, dial_timeout=300).server.port, seen


REQUEST_LINE = b"GET / HTTP/1.1\r\n"
ENDLESS_REQUESTS = {
    "method": (b"", b"G" * 100),
    "target": (b"GET /", b"a" * 100),
    "header value": (REQUEST_LINE + b"A: ", b"x" * 100),
    "spaces": (REQUEST_LINE + b"A: ", b" " * 100),
    "headers": (REQUEST_LINE, b"A: b\r\n"),
}


@pytest.mark.parametrize(("start", "repeated"), ENDLESS_REQUESTS.values(), ids=ENDLESS_REQUESTS)
def test_a_request_without_end(
    start: bytes, repeated: bytes, served: tuple[int, list[object]]
) -> None:
    port, seen = served
    with client_peer(port) as peer:
        # One byte more than it has to read, so that nothing is lost to a reset.
        flood = start + repeated * (MAX_HEAD_BYTES // len(repeated) + 1)
        peer.send(flood[: MAX_HEAD_BYTES + 1])
        assert peer.status() == 431
        peer.read_to_end()
    assert seen == []
    with client_peer(port) as peer:
        peer.open()


@pytest.mark.parametrize(
    "text", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaa"], ids=["line", "header"]
)
def test_slowloris(text: bytes, served: tuple[int, list[object]]) -> None:
    """Some bytes and then silence, on many connections: each ends by dial_timeout."""
    port, seen = served
    with (
        client_peer(port) as one,
        client_peer(port) as two,
        client_peer(port) as three,
        client_peer(port) as four,
    ):
        for peer in one, two, three:
            peer.send(text)
        four.open()
        assert four.read_frame().payload == b"welcome"
        for peer in one, two, three:
            assert peer.read_to_end() == b""
    assert len(seen) == 1


def test_slowloris_a_byte_at_a_time(served: tuple[int, list[object]]) -> None:
    port, seen = served
    with client_peer(port) as peer:
        peer.send(b"GET / HTTP/1.1\r\nX-Slow: ")
        peer.sock.settimeout(0.02)
        for _ in itertools.count():
            try:
                peer.send(b"a")
                if peer.sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert seen == []


def test_a_client_that_never_finishes_the_tls_handshake(
    start_server: Any, dial: Any, certificates: Any
) -> None:
    endpoint = start_server(lambda c: c.send("welcome"), "wss", dial_timeout=300)
    with client_peer(endpoint.server.port) as peer:
        peer.send(b"\x16\x03\x01\x02\x00\x01")
        peer.read_to_end()
    assert dial(endpoint.url, **endpoint.options).receive(10) == "welcome"
