"""Openings that fail because of what the server says: it is no WebSocket server, or a bad one.

`fails` checks what is common to all: one on_error, one on_close with 1006, the state "error".
"""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer, accept_value, field, response

from wsfast.protocol.errors import ConnectError, HandshakeError, StatusError, TLSError

Fails = Callable[..., str]
Dial = Callable[..., Any]
StartRaw = Callable[..., RawServer]


# ---------------------------------------------------------------- no WebSocket server


@pytest.fixture
def web_server() -> Iterator[int]:
    """The standard library's HTTP server, which knows no WebSocket."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = self.path == "/"
            body = b"<html>hello</html>"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.daemon_threads = False  # then its end waits for those that answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "status"), [("", 200), ("nothing/here", 404)])
def test_a_web_server(path: str, status: int, fails: Fails, dial: Dial, web_server: int) -> None:
    url = f"ws://127.0.0.1:{web_server}/{path}"
    assert str(status) in fails(url)
    with pytest.raises(StatusError) as caught:
        dial(url)
    assert caught.value.status == status
    assert caught.value.headers.get("Content-Length") == "18"
    assert not caught.value.retryable


def answers(data: bytes) -> Callable[[RawServerPeer], bytes]:
    """A server that says this to any request."""

    def answer(peer: RawServerPeer) -> bytes:
        head = peer.read_head()
        peer.send(data)
        return head + peer.read_to_end()

    return answer


STATUSES = [
    (200, "OK", False),
    (204, "No Content", False),
    (301, "Moved Permanently", False),
    (302, "Found", False),
    (400, "Bad Request", False),
    (401, "Unauthorized", False),
    (403, "Forbidden", False),
    (404, "Not Found", False),
    (426, "Upgrade Required", False),
    (429, "Too Many Requests", False),
    (500, "Internal Server Error", True),
    (502, "Bad Gateway", True),
    (503, "Service Unavailable", True),
    (599, "", True),
]


@pytest.mark.parametrize(("status", "reason", "retryable"), STATUSES)
def test_another_status(
    status: int, reason: str, retryable: bool, fails: Fails, dial: Dial, raw_server: StartRaw
) -> None:
    head = f"HTTP/1.1 {status} {reason}\r\nLocation: ws://elsewhere.invalid/\r\nX-Why: because\r\n"
    server = raw_server(answers(head.encode() + b"Content-Length: 0\r\n\r\n"))
    text = fails(server.url)
    assert f"{status} {reason}".rstrip() in text
    with pytest.raises(StatusError) as caught:
        dial(server.url)
    assert str(caught.value) == text
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert caught.value.headers.get("x-why") == "because"
    assert caught.value.retryable is retryable


def test_a_status_text_with_an_escape_sequence(fails: Fails, raw_server: StartRaw) -> None:
    server = raw_server(answers(b"HTTP/1.1 403 \x1b[2J\xe9\r\n\r\n"))
    assert fails(server.url).isprintable()


GARBAGE = {
    "random bytes": bytes(range(256)) * 20,
    "an SSH banner": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an SMTP banner": b"220 mail.example ESMTP\r\n",
    "zeros": bytes(1000),
    "an empty line": b"\r\n\r\n",
    "HTTP/2": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
    "HTTP/0.9": b"<html>hello</html>\n",
    "a WebSocket frame": b"\x81\x05hello",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 1010 OK\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 101 OK\r\nUpgrade websocket\r\n\r\n",
    "a header without a name": b"HTTP/1.1 101 OK\r\n: websocket\r\n\r\n",
    "a folded first line": b"HTTP/1.1 101 OK\r\n folded: x\r\n\r\n",
    "a NUL in a header": b"HTTP/1.1 101 OK\r\nA: \0\r\n\r\n",
    "a bad body length": b"HTTP/1.1 101 OK\r\nContent-Length: -5\r\n\r\n",
    "two body lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage(data: bytes, fails: Fails, dial: Dial, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(data)

    server = raw_server(answer)
    assert fails(server.url).isprintable()
    with pytest.raises(ConnectError):
        dial(server.url)


def test_a_server_that_speaks_first(fails: Fails, raw_server: StartRaw) -> None:
    def banner(peer: RawServerPeer) -> None:
        peer.send(b"SSH-2.0-OpenSSH_9.6\r\n")
        peer.read_to_end()

    assert "HTTP" in fails(raw_server(banner).url)


@pytest.mark.parametrize(
    "data",
    [
        b"\x15\x03\x01\x00\x02\x02\x0a",  # unexpected_message
        b"\x15\x03\x03\x00\x02\x02\x46",  # protocol_version
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",  # the start of a ServerHello
    ],
)
def test_a_tls_server_that_complains_about_the_clear(
    data: bytes, fails: Fails, dial: Dial, raw_server: StartRaw
) -> None:
    server = raw_server(answers(data))
    assert "TLS" in fails(server.url)
    with pytest.raises(HandshakeError, match="TLS") as caught:
        dial(server.url)
    assert not caught.value.retryable


def test_a_tls_server_that_is_silent_about_the_clear(fails: Fails, start_server: Any) -> None:
    # OpenSSL sends no alert for an HTTP request, it hangs up.
    port = start_server(print, "wss").server.port
    assert "closed the connection during the handshake" in fails(f"ws://localhost:{port}/")


def test_a_plain_server_spoken_to_in_tls(
    fails: Fails, dial: Dial, start_server: Any, web_server: int
) -> None:
    for port in start_server(print).server.port, web_server:
        assert "TLS" in fails(f"wss://localhost:{port}/")
        with pytest.raises(TLSError, match="TLS"):
            dial(f"wss://localhost:{port}/")


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9.6\r\n", bytes(1000), b"\x15\x03\x01\x00\x02\x02\x28", b""]
)
def test_garbage_for_a_tls_handshake(data: bytes, fails: Fails, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.read(5)
        peer.send(data)

    assert "TLS" in fails(f"wss://localhost:{raw_server(answer).port}/")


# ---------------------------------------------------------------- a wrong upgrade


Fields = Callable[[bytes], bytes]
"""From the key of the request."""

ACCEPTS: dict[str, Fields] = {
    "none": lambda key: b"",
    "the key itself": lambda key: b"Sec-WebSocket-Accept: " + key + b"\r\n",
    "an empty one": lambda key: b"Sec-WebSocket-Accept:\r\n",
    "that of another key": lambda key: (
        b"Sec-WebSocket-Accept: " + accept_value(b"AAAAAAAAAAAAAAAAAAAAAA==") + b"\r\n"
    ),
    "in lower case": lambda key: b"Sec-WebSocket-Accept: " + accept_value(key).lower() + b"\r\n",
    "cut short": lambda key: b"Sec-WebSocket-Accept: " + accept_value(key)[:-1] + b"\r\n",
    "with more": lambda key: b"Sec-WebSocket-Accept: " + accept_value(key) + b"x\r\n",
    "outside ASCII": lambda key: b"Sec-WebSocket-Accept: \xe9\r\n",
    "two": lambda key: (b"Sec-WebSocket-Accept: " + accept_value(key) + b"\r\n") * 2,
}


@pytest.mark.parametrize("fields", ACCEPTS.values(), ids=ACCEPTS)
def test_a_wrong_accept(fields: Fields, fails: Fails, dial: Dial, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> bytes:
        key = field(peer.read_head(), b"Sec-WebSocket-Key")
        assert key is not None
        usual = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\n" + usual + fields(key) + b"\r\n")
        return peer.read_to_end()

    server = raw_server(answer)
    assert "Accept" in fails(server.url)
    assert server.result() == b"", "no frame to a server that is none"
    with pytest.raises(HandshakeError, match="Accept") as caught:
        dial(server.url)
    assert not caught.value.retryable


WRONG = {
    "no Upgrade": (b"Upgrade: websocket\r\n", b"", "Upgrade"),
    "another Upgrade": (b"Upgrade: websocket", b"Upgrade: h2c", "Upgrade"),
    "no Connection": (b"Connection: Upgrade\r\n", b"", "Connection"),
    "another Connection": (b"Connection: Upgrade", b"Connection: keep-alive", "Connection"),
    "HTTP/1.0": (b"HTTP/1.1", b"HTTP/1.0", "HTTP/1.0"),
    "an extension": (
        b"Connection:",
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nConnection:",
        "extension",
    ),
    "an unknown extension": (
        b"Connection:",
        b"Sec-WebSocket-Extensions: x-own; a=b\r\nConnection:",
        "extension",
    ),
    "a subprotocol": (
        b"Connection:",
        b"Sec-WebSocket-Protocol: chat\r\nConnection:",
        "not offered",
    ),
}


@pytest.mark.parametrize(("old", "new", "word"), WRONG.values(), ids=WRONG)
def test_a_wrong_upgrade(
    old: bytes, new: bytes, word: str, fails: Fails, dial: Dial, raw_server: StartRaw
) -> None:
    def answer(peer: RawServerPeer) -> bytes:
        right = response(peer.read_head())
        assert right.count(old) == 1
        peer.send(right.replace(old, new))
        return peer.read_to_end()

    server = raw_server(answer)
    assert word in fails(server.url)
    assert server.result() == b""
    with pytest.raises(HandshakeError, match=word):
        dial(server.url)


@pytest.mark.parametrize(
    "chosen", [b"Chat", b"superchat", b"chat, superchat", b"", b"chat\r\nSec-WebSocket-Protocol: x"]
)
def test_a_subprotocol_that_was_not_offered(
    chosen: bytes, fails: Fails, raw_server: StartRaw
) -> None:
    def answer(peer: RawServerPeer) -> bytes:
        peer.send(response(peer.read_head(), b"Sec-WebSocket-Protocol: " + chosen))
        return peer.read_to_end()

    server = raw_server(answer)
    assert "not offered" in fails(server.url, protocols=["chat", "superchats"])
