"""Close hang or spin: a closing handshake ends by its deadline, and costs next to nothing."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    KEY,
    PING,
    TIMEOUT,
    RawServer,
    RawServerPeer,
    Wire,
    client_peer,
    close_frame,
    frame,
    header,
)

import wsfast

SHORT = 300
"""Milliseconds."""


def silent(peer: Wire, over: threading.Event) -> None:
    assert over.wait(TIMEOUT)


def dribbling(peer: Wire, over: threading.Event) -> None:
    """One byte after the other of a message that never ends."""
    peer.send(header(BINARY, 1_000_000))
    while not over.wait(0.02):
        peer.send(b"x")


def pinging(peer: Wire, over: threading.Event) -> None:
    while not over.wait(0.02):
        peer.send(frame(PING, b"are you there?"))


def flooding(peer: Wire, over: threading.Event) -> None:
    while not over.is_set():
        peer.send(frame(BINARY, b"x" * 1000) * 50)


def half_closed(peer: Wire, over: threading.Event) -> None:
    """A close frame that is never whole."""
    peer.send(b"\x88\x02\x03")
    assert over.wait(TIMEOUT)


KINDS = [silent, dribbling, pinging, flooding, half_closed]
Kind = Callable[[Wire, threading.Event], None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_closes(
    kind: Kind,
    raw_server: Callable[..., RawServer],
    recorder: Any,
    scheme: str,
    certificates: Any,
) -> None:
    over = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        kind(peer, over)

    secure = scheme == "wss"
    server = raw_server(serve, certificates.server if secure else None)
    options = {"ssl_context": certificates.client} if secure else {}
    number = wsfast.connect(server.url, **recorder.callbacks, **options, close_timeout=SHORT)
    assert recorder.opened.wait(TIMEOUT)
    assert wsfast.close(number)
    assert wsfast.get_state(number) in ("closing", "error")
    code, reason = recorder.wait_closed()
    over.set()
    assert code == 1006
    assert "timeout" in reason
    assert len(recorder.errors) == 1
    assert "timeout" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_closes(kind: Kind, start_server: Any) -> None:
    """Its client's frames are not even masked in some of these; that changes nothing."""
    closed: list[Any] = []
    endpoint = start_server(closed.append, close_timeout=SHORT)
    over = threading.Event()

    def misbehave(peer: Wire) -> None:
        try:
            kind(peer, over)
        except ConnectionError:
            pass  # the server has given up, as it should

    with client_peer(endpoint.server.port) as peer:
        peer.open()
        assert peer.read_close().code == 1000
        thread = threading.Thread(target=misbehave, args=(peer,))
        thread.start()
        peer_sees_the_end(peer)
        over.set()
        thread.join(TIMEOUT)
    assert closed[0].wait_ended(TIMEOUT)


def peer_sees_the_end(peer: Wire) -> None:
    assert peer.read_to_end() == b""


@pytest.mark.parametrize(
    ("end", "code"), [(close_frame(4000), 4000), (b"\xff\x00", 1002)], ids=["close", "violation"]
)
def test_a_callback_that_blocks_does_not_hold_up_the_answer(
    end: bytes, code: int, raw_server: Callable[..., RawServer], make_recorder: Any
) -> None:
    """What on_message may still want to send goes first, but only until close_timeout."""
    answered = threading.Event()

    class Blocking(make_recorder):
        def on_message(self, data: str | bytes) -> None:
            super().on_message(data)
            assert answered.wait(TIMEOUT)
            assert wsfast.send(wsfast.current(), "too late") is False

    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(frame(BINARY, b"x") + end)
        received = peer.read_close().code
        answered.set()
        return received

    recorder = Blocking()
    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, close_timeout=SHORT)
    assert server.result() == code
    assert recorder.wait_closed()[0] == code
    assert recorder.messages == [b"x"]


def test_shutdown_does_not_wait_for_silent_clients(start_server: Any) -> None:
    endpoint = start_server(lambda connection: list(connection), close_timeout=SHORT)
    with client_peer(endpoint.server.port) as one, client_peer(endpoint.server.port) as two:
        for peer in one, two:
            peer.open()
        endpoint.server.shutdown(TIMEOUT)
        assert endpoint.server.connections == []
        for peer in one, two:
            assert peer.read_close().code == 1001


def test_shutdown_drops_who_is_left(start_server: Any) -> None:
    endpoint = start_server(lambda connection: list(connection), close_timeout="1h")
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        endpoint.server.shutdown(0.2)
        assert peer.read_close().code == 1001
        peer_sees_the_end(peer)


@pytest.mark.parametrize("kind", [silent, half_closed])
def test_waiting_for_a_silent_peer_costs_no_cpu(
    kind: Kind, raw_server: Callable[..., RawServer], make_recorder: Any
) -> None:
    """A loop that spins would take all of the time, which is ten times what is allowed here."""
    over = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        kind(peer, over)

    server = raw_server(serve)
    recorders = [make_recorder() for _ in range(3)]
    numbers = [
        wsfast.connect(server.url, **recorder.callbacks, close_timeout=1000)
        for recorder in recorders
    ]
    for recorder in recorders:
        assert recorder.opened.wait(TIMEOUT)
    cpu = time.process_time()
    elapsed = time.monotonic()
    for number in numbers:
        wsfast.close(number)
    for recorder in recorders:
        recorder.wait_closed()
    elapsed = time.monotonic() - elapsed
    assert time.process_time() - cpu < 0.1 * elapsed
    over.set()


def test_a_client_that_dribbles_after_a_refusal_is_dropped(start_server: Any) -> None:
    """A refused client gets a moment to read why, and not more."""
    endpoint = start_server(print)
    with client_peer(endpoint.server.port) as peer:
        peer.ask(without=(b"Upgrade",))
        assert peer.status() == 426
        peer.sock.settimeout(0.02)
        try:
            while True:
                peer.send(frame(BINARY, b"x", key=KEY))
                try:
                    if not peer.sock.recv(65536):
                        break
                except TimeoutError:
                    continue
        except ConnectionError:
            pass
    endpoint.server.shutdown(TIMEOUT)
    assert endpoint.server.connections == []
