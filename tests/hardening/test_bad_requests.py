"""What clients may send to a server of ours that is no handshake: each gets its answer or none,
the handler never hears of it, and the server goes on."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_peers import (
    KEY,
    PING,
    TEXT,
    TIMEOUT,
    RawClientPeer,
    client_peer,
    close_frame,
    frame,
    status_lines,
)


@pytest.fixture
def port(start_server: Any) -> Iterator[int]:
    """Of a server whose handler says hello; the test fails if the handler was called but by the
    last client, which shows that the server still serves."""
    called = []

    def handle(connection: Any) -> None:
        called.append(connection)
        connection.send("hello")

    endpoint = start_server(handle)
    yield endpoint.server.port
    assert called == []
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        assert peer.read_frame().payload == b"hello"
    assert len(called) == 1


GARBAGE = {
    "random bytes": bytes(range(256)) * 20,
    "zeros": bytes(100),
    "a line": b"hello\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a bad version": b"GET / HTTP/x\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a bad Content-Length": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "a WebSocket frame": frame(TEXT, b"hello", key=KEY) + b"\r\n\r\n",
    "an SSH banner": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage(data: bytes, port: int) -> None:
    with client_peer(port) as peer:
        peer.send(data)
        assert 400 <= peer.status() < 600
        assert status_lines(peer.read_to_end()) == 0


REQUESTS: dict[str, tuple[Callable[[RawClientPeer], None], int]] = {
    "no Upgrade": (lambda peer: peer.ask(without=(b"Upgrade",)), 426),
    "no Connection": (lambda peer: peer.ask(without=(b"Connection",)), 426),
    "another Upgrade": (
        lambda peer: peer.ask(b"Upgrade: h2c", without=(b"Upgrade",)),
        426,
    ),
    "another Connection": (
        lambda peer: peer.ask(b"Connection: keep-alive", without=(b"Connection",)),
        426,
    ),
    "no key": (lambda peer: peer.ask(without=(b"Sec-WebSocket-Key",)), 400),
    "an empty key": (
        lambda peer: peer.ask(b"Sec-WebSocket-Key:", without=(b"Sec-WebSocket-Key",)),
        400,
    ),
    "a key that is too short": (
        lambda peer: peer.ask(b"Sec-WebSocket-Key: AAAA", without=(b"Sec-WebSocket-Key",)),
        400,
    ),
    "a key that is no base64": (
        lambda peer: peer.ask(
            b"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==", without=(b"Sec-WebSocket-Key",)
        ),
        400,
    ),
    "two keys": (lambda peer: peer.ask(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
    "no version": (lambda peer: peer.ask(without=(b"Sec-WebSocket-Version",)), 426),
    "version 8": (
        lambda peer: peer.ask(b"Sec-WebSocket-Version: 8", without=(b"Sec-WebSocket-Version",)),
        426,
    ),
    "versions 8 and 13": (lambda peer: peer.ask(b"Sec-WebSocket-Version: 8"), 426),
    "POST": (lambda peer: peer.ask(line=b"POST / HTTP/1.1"), 405),
    "CONNECT": (lambda peer: peer.ask(line=b"CONNECT localhost:80 HTTP/1.1"), 405),
    "HTTP/1.0": (lambda peer: peer.ask(line=b"GET / HTTP/1.0"), 505),
    "a body": (lambda peer: peer.ask(b"Content-Length: 5"), 400),
    "a chunked body": (lambda peer: peer.ask(b"Transfer-Encoding: chunked"), 400),
    "another origin": (lambda peer: peer.ask(b"Origin: https://evil.example"), 403),
    "two origins": (lambda peer: peer.ask(b"Origin: http://localhost", b"Origin: http://a"), 403),
}


@pytest.mark.parametrize(("ask", "status"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_that_is_no_handshake(
    ask: Callable[[RawClientPeer], None], status: int, port: int
) -> None:
    with client_peer(port) as peer:
        ask(peer)
        head = peer.read_head()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        body = peer.read_to_end()
        # RFC 9110, section 15.5.22: what to upgrade to.
        assert (b"\r\nUpgrade: websocket\r\n" in head) == (status == 426)
        assert status_lines(body) == 0


def test_an_answer_quotes_little_of_a_bad_request(port: int) -> None:
    with client_peer(port) as peer:
        peer.send(b"GET /" + b"<script>" * 1000 + b" HTTP/1.1\r\n bad\r\n\r\n")
        assert len(peer.read_to_end()) < 1000


def test_clients_that_leave_at_every_point_of_the_request(port: int) -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for size in range(len(request)):
        with client_peer(port) as peer:
            peer.send(request[:size])
            if size % 2:
                peer.reset()


def test_clients_that_come_and_go(port: int) -> None:
    for _ in range(100):
        with client_peer(port) as peer:
            peer.reset()
        socket.create_connection(("127.0.0.1", port), TIMEOUT).close()


def test_a_plain_client_of_a_tls_server(start_server: Any, certificates: Any) -> None:
    called: list[Any] = []
    port = start_server(called.append, "wss").server.port
    with client_peer(port) as peer:
        peer.ask()
        assert b"HTTP/1.1 101" not in peer.read_to_end()
    for data in b"\x80\x2e\x01\x03\x00", bytes(100), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00":
        with client_peer(port) as peer:
            peer.send(data)
            peer.sock.shutdown(socket.SHUT_WR)
            peer.read_to_end()
    assert called == []
    with client_peer(port, certificates.client) as peer:
        peer.open()
        assert peer.read_close().code == 1000
    assert len(called) == 1


def test_a_client_that_resets_within_the_tls_handshake(
    start_server: Any, certificates: Any
) -> None:
    port = start_server(lambda connection: connection.send("hello"), "wss").server.port
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    for size in range(0, len(hello) + 1, 50):
        with client_peer(port) as peer:
            peer.send(hello[:size])
            peer.reset()
    with client_peer(port, certificates.client) as peer:
        peer.open()
        assert peer.read_frame().payload == b"hello"


def test_more_connections_than_allowed(start_server: Any) -> None:
    """Handshakes count, and places become free again."""
    endpoint = start_server(lambda connection: list(connection), max_connections=2)
    port = endpoint.server.port
    with client_peer(port) as one, client_peer(port) as two:
        one.open()
        two.send(b"GET / HTTP/1.1\r\n")
        # The place is taken once the server has accepted; the third comes after it in the queue.
        with client_peer(port) as three:
            three.ask()
            assert three.read_to_end() == b""
        two.ask(line=b"Host: x")
        assert two.status() in (101, 400)
    closed = [c for c in endpoint.server.connections if not c.wait_ended(TIMEOUT)]
    assert closed == []


def test_a_handler_that_raises_ends_its_connection_only(start_server: Any) -> None:
    def handle(connection: Any) -> None:
        for message in connection:
            raise RuntimeError(message)

    port = start_server(handle).server.port
    with client_peer(port) as one, client_peer(port) as two:
        for peer in one, two:
            peer.open()
        one.send(frame(TEXT, b"now", key=KEY))
        assert one.read_close().code == 1011
        two.send(frame(PING, b"still there?", key=KEY))
        assert two.read_frame().payload == b"still there?"
        two.send(close_frame(1000, key=KEY))
        assert two.read_close().code == 1000


def test_many_bad_clients_at_once(port: int) -> None:
    def misbehave(data: bytes) -> None:
        for _ in range(10):
            with client_peer(port) as peer:
                peer.send(data)
                peer.read_to_end()

    threads = [threading.Thread(target=misbehave, args=(data,)) for data in GARBAGE.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
