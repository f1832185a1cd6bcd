"""Openings that fail because nobody is there, nobody answers, or the server goes away.

`fails` checks what is common to all: one on_error, one on_close with 1006, the state "error".
"""

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_peers import TIMEOUT, RawServer, RawServerPeer, response

import wsfast
from wsfast.protocol.errors import ConnectError, ConnectTimeout

Fails = Callable[..., str]
Dial = Callable[..., Any]
StartRaw = Callable[..., RawServer]

SHORT = 300
"""Milliseconds: a dial_timeout for servers that never finish."""


# ---------------------------------------------------------------- nobody there


def test_a_refused_port(fails: Fails, dial: Dial, refused_port: int, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{refused_port}/"
    assert "connection refused" in fails(url)
    with pytest.raises(ConnectError, match="connection refused") as caught:
        dial(url)
    assert caught.value.retryable


def test_a_refused_port_at_every_address_of_a_name(fails: Fails, refused_port: int) -> None:
    assert "connection refused" in fails(f"ws://localhost:{refused_port}/")


def test_a_black_hole(fails: Fails, dial: Dial, black_hole: int, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{black_hole}/"
    assert "timeout" in fails(url, dial_timeout=SHORT)
    with pytest.raises(ConnectTimeout, match="timeout") as caught:
        dial(url, dial_timeout=SHORT)
    assert caught.value.retryable
    assert isinstance(caught.value, TimeoutError)


def test_a_name_that_nobody_has(fails: Fails, dial: Dial) -> None:
    # RFC 6761, section 6.4: guaranteed to have no address.
    url = "ws://nobody.invalid/"
    assert "nobody.invalid" in fails(url, proxy=None)
    with pytest.raises(ConnectError) as caught:
        dial(url, proxy=None)
    assert caught.value.retryable


@pytest.fixture
def stuck_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looking up a name takes until the end of the test; a real resolver is as stubborn."""
    over = threading.Event()
    look_up = socket.getaddrinfo

    def wait(*args: Any, flags: int = 0, **options: Any) -> Any:
        if not flags & socket.AI_NUMERICHOST:
            over.wait(TIMEOUT)
        return look_up(*args, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield
    over.set()


@pytest.mark.usefixtures("stuck_resolver")
def test_a_resolver_that_never_answers(fails: Fails, dial: Dial, refused_port: int) -> None:
    url = f"ws://localhost:{refused_port}/"
    told = fails(url, dial_timeout=SHORT)
    assert "timeout" in told
    assert "localhost" in told
    with pytest.raises(ConnectTimeout, match="timeout"):
        dial(url, dial_timeout=SHORT)


@pytest.mark.usefixtures("stuck_resolver")
def test_close_does_not_wait_for_the_resolver(recorder: Any) -> None:
    number = wsfast.connect("ws://localhost:1/", **recorder.callbacks, dial_timeout=None)
    assert wsfast.close(number)
    code, reason = recorder.wait_closed()
    assert recorder.log == [("close", 1006, reason)]
    assert code == 1006
    assert wsfast.get_state(number) == "disconnected"


# ---------------------------------------------------------------- nobody who answers


def until_the_client_goes(peer: RawServerPeer) -> bytes:
    return peer.read_to_end()


def test_a_server_that_never_answers(
    fails: Fails, dial: Dial, raw_server: StartRaw, scheme: str
) -> None:
    url = f"{scheme}://127.0.0.1:{raw_server(until_the_client_goes).port}/"
    assert "timeout" in fails(url, dial_timeout=SHORT)
    with pytest.raises(ConnectTimeout, match="timeout"):
        dial(url, dial_timeout=SHORT)


def test_a_server_that_never_answers_over_tls(
    fails: Fails, raw_server: StartRaw, certificates: Any
) -> None:
    server = raw_server(until_the_client_goes, certificates.server)
    options = {"ssl_context": certificates.client, "dial_timeout": SHORT}
    assert "timeout" in fails(server.url, **options)
    assert b"Sec-WebSocket-Key" in server.result()


STATUS_LINE = b"HTTP/1.1 101 Switching Protocols\r\n"
DRIBBLES = {
    "status line": (b"HTTP/1.1 101 ", b"x"),
    "header": (STATUS_LINE + b"X-Long: ", b"x"),
    "header lines": (STATUS_LINE, b"A: b\r\n"),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("start", "repeated"), DRIBBLES.values(), ids=DRIBBLES)
def test_a_server_that_dribbles(
    start: bytes,
    repeated: bytes,
    fails: Fails,
    raw_server: StartRaw,
    scheme: str,
    certificates: Any,
) -> None:
    """A byte at a time, for as long as the client listens: dial_timeout bounds it all."""
    over = threading.Event()

    def dribble(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(start)
        for byte in itertools.cycle(repeated):
            peer.send(bytes([byte]))
            if over.wait(0.02):  # far less than MAX_HEAD_BYTES until the time is up
                return

    secure = scheme == "wss"
    server = raw_server(dribble, certificates.server if secure else None)
    options = {"ssl_context": certificates.client} if secure else {}
    # TLS and upgrade share the time, and the first takes some on a busy machine.
    told = fails(server.url, dial_timeout=2 * SHORT, **options)
    over.set()
    assert "timeout" in told


def test_a_tls_handshake_that_dribbles(fails: Fails, raw_server: StartRaw) -> None:
    over = threading.Event()

    def dribble(peer: RawServerPeer) -> None:
        peer.read(5)
        peer.send(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")  # a ServerHello of 16 KiB begins
        while not over.wait(0.02):
            peer.send(b"\x03")

    port = raw_server(dribble).port
    told = fails(f"wss://localhost:{port}/", dial_timeout=SHORT)
    over.set()
    assert "timeout" in told


def test_a_tls_handshake_that_never_pauses(fails: Fails, raw_server: StartRaw) -> None:
    """There is always something to read: the deadline counts all the same."""
    hello_request = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"  # which clients skip

    def flood(peer: RawServerPeer) -> None:
        peer.read(5)
        while True:
            peer.send(hello_request * 5000)

    port = raw_server(flood).port
    assert "timeout" in fails(f"wss://localhost:{port}/", dial_timeout=SHORT)


def test_tickets_without_end_after_the_tls_handshake(
    fails: Fails, raw_server: StartRaw, certificates: Any
) -> None:
    context = certificates.issue("localhost")
    context.num_tickets = 1_000_000
    server = raw_server(until_the_client_goes, context)
    options = {"ssl_context": certificates.client, "dial_timeout": SHORT}
    assert "timeout" in fails(server.url, **options)


# ---------------------------------------------------------------- a server that goes away


def test_a_server_that_closes_at_every_point_of_its_answer(
    fails: Fails, raw_server: StartRaw
) -> None:
    size, whole = 0, 1
    while size < whole:

        def answer(peer: RawServerPeer, size: int = size) -> int:
            right = response(peer.read_head())
            peer.send(right[:size])
            return len(right)

        server = raw_server(answer)
        text = fails(server.url)
        whole = server.result()
        assert "closed the connection during the handshake" in text, size
        size += 1


def test_a_server_that_closes_before_it_has_read_the_request(
    fails: Fails, raw_server: StartRaw
) -> None:
    # Unread bytes make a close a reset, if they are there already.
    text = fails(raw_server(lambda peer: None).url)
    assert "closed the connection" in text or "reset" in text


@pytest.mark.parametrize("size", [0, 1, 20, 100])
def test_a_server_that_resets_at_some_point(
    size: int, fails: Fails, dial: Dial, raw_server: StartRaw
) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.send(response(peer.read_head())[:size])
        peer.reset()

    server = raw_server(answer)
    assert "reset" in fails(server.url)
    with pytest.raises(ConnectError, match="reset") as caught:
        dial(server.url)
    assert caught.value.retryable


def test_a_server_that_goes_away_during_the_tls_handshake(
    fails: Fails, raw_server: StartRaw
) -> None:
    """After each of the first bytes of a real ServerHello."""
    context = ssl.create_default_context()
    for size in 0, 1, 4, 5, 6, 9, 20, 50:

        def answer(peer: RawServerPeer, size: int = size) -> None:
            peer.read(5)
            peer.send(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03".ljust(50, b"a")[:size])

        url = f"wss://localhost:{raw_server(answer).port}/"
        assert "TLS" in fails(url, ssl_context=context), size


def test_a_server_that_resets_during_the_tls_handshake(fails: Fails, raw_server: StartRaw) -> None:
    def answer(peer: RawServerPeer) -> None:
        peer.read(5)
        peer.reset()

    assert "TLS" in fails(f"wss://localhost:{raw_server(answer).port}/")


def test_a_port_that_is_closed_between_two_openings(fails: Fails) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "timeout" in fails(f"ws://127.0.0.1:{port}/", dial_timeout=SHORT)
    assert "connection refused" in fails(f"ws://127.0.0.1:{port}/")
