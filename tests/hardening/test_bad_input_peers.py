"""Peers that misbehave once the connection is open: they leave, stall, or never stop."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    PING,
    TEXT,
    TIMEOUT,
    RawServer,
    RawServerPeer,
    close_frame,
    frame,
    header,
)

import wsfast
from wsfast.protocol.errors import ConnectionLost

StartRaw = Callable[..., RawServer]

SHORT = 300
"""Milliseconds: a timeout for peers that never do what is waited for."""


# ---------------------------------------------------------------- they leave


def test_a_peer_that_closes_tcp(raw_server: StartRaw, recorder: Any, secured: Any) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.send(frame(TEXT, b"last words"))

    server = raw_server(serve, **secured["server"])
    number = wsfast.connect(server.url, **recorder.callbacks, **secured["client"])
    assert recorder.wait_closed() == (1006, "no close frame received")
    assert recorder.messages == ["last words"]
    assert len(recorder.errors) == 1
    assert "no close frame" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"


def test_a_peer_that_closes_tcp_within_a_frame(raw_server: StartRaw, make_recorder: Any) -> None:
    whole = frame(TEXT, b"x" * 200)
    for size in range(1, len(whole), 40):

        def serve(peer: RawServerPeer, size: int = size) -> None:
            peer.upgrade()
            peer.send(whole[:size])

        recorder = make_recorder()
        wsfast.connect(raw_server(serve).url, **recorder.callbacks)
        assert recorder.wait_closed()[0] == 1006
        assert recorder.messages == []
        assert len(recorder.errors) == 1


def test_a_peer_that_resets(raw_server: StartRaw, recorder: Any, secured: Any) -> None:
    told = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.send(frame(TEXT, b"last words"))
        assert told.wait(TIMEOUT)  # a reset may overtake what was sent before it
        peer.reset()

    server = raw_server(serve, **secured["server"])
    number = wsfast.connect(server.url, **recorder.callbacks, **secured["client"])
    recorder.wait_messages(1)
    told.set()
    code, reason = recorder.wait_closed()
    assert code == 1006
    assert "reset" in reason
    assert recorder.messages == ["last words"]
    assert len(recorder.errors) == 1
    assert "reset" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"
    assert wsfast.send(number, "too late") is False


def send_for_ever(connection: Any) -> None:
    while True:
        connection.send(b"x" * 1000)


def test_a_peer_that_resets_while_we_send(raw_server: StartRaw, dial: Any, secured: Any) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.read(100)
        peer.reset()

    server = raw_server(serve, **secured["server"])
    connection = dial(server.url, **secured["client"])
    with pytest.raises(ConnectionLost):
        send_for_ever(connection)
    with pytest.raises(ConnectionLost) as caught:
        connection.receive(TIMEOUT)
    assert caught.value.code == 1006
    assert caught.value.retryable


def test_a_peer_that_half_closes(raw_server: StartRaw, recorder: Any) -> None:
    """It will never send a close frame, so there is nothing to wait for."""

    def serve(peer: RawServerPeer) -> bytes:
        peer.upgrade()
        peer.send(frame(TEXT, b"last words"))
        peer.sock.shutdown(socket.SHUT_WR)
        return peer.read_to_end()

    server = raw_server(serve)
    number = wsfast.connect(server.url, **recorder.callbacks, close_timeout="1h")
    assert recorder.wait_closed()[0] == 1006
    assert recorder.messages == ["last words"]
    assert wsfast.get_state(number) == "error"
    assert server.result() == b""


def test_a_peer_that_half_closes_after_its_close_frame(raw_server: StartRaw, recorder: Any) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(frame(TEXT, b"last words") + close_frame(4000, b"enough"))
        peer.sock.shutdown(socket.SHUT_WR)
        return peer.read_close().code

    server = raw_server(serve)
    number = wsfast.connect(server.url, **recorder.callbacks)
    assert recorder.wait_closed() == (4000, "enough")
    assert server.result() == 4000
    assert recorder.log == [("open",), ("message", "last words"), ("close", 4000, "enough")]
    assert wsfast.get_state(number) == "disconnected"


# ---------------------------------------------------------------- they do not answer


def test_a_peer_that_never_answers_a_ping(raw_server: StartRaw, recorder: Any) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        assert peer.read_frame().opcode == PING
        return peer.read_close().code

    server = raw_server(serve)
    number = wsfast.connect(server.url, **recorder.callbacks, ping_interval=20, pong_timeout=SHORT)
    assert server.result() == 1011
    code, reason = recorder.wait_closed()
    assert (code, reason) == (1011, "keepalive ping timeout")
    assert wsfast.get_state(number) == "error"


# ---------------------------------------------------------------- they do not stop


def test_a_peer_that_talks_on_after_its_close_frame(raw_server: StartRaw, recorder: Any) -> None:
    """What follows a close frame is not read as messages (RFC 6455, section 5.5.1)."""

    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(close_frame(1000, b"bye") + frame(TEXT, b"and another thing") + b"\xff" * 50)
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks)
    assert recorder.wait_closed() == (1000, "bye")
    assert recorder.messages == []
    assert recorder.errors == []
    assert server.result() == 1000


def test_messages_without_end_that_nobody_takes(
    raw_server: StartRaw, memory: Callable[[], Callable[[], int]], make_recorder: Any
) -> None:
    """Without on_message the queue fills to its bound, and TCP slows the peer down."""
    recorder = make_recorder()
    full = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.sock.settimeout(0.5)
        data = frame(BINARY, b"x" * 10_000) * 20
        try:
            while True:
                peer.send(data)
        except TimeoutError:
            full.set()
        peer.sock.settimeout(TIMEOUT)
        peer.read_to_end()

    server = raw_server(serve)
    grown = memory()
    number = wsfast.connect(
        server.url,
        on_open=recorder.on_open,
        on_close=recorder.on_close,
        receive_queue_bytes=1_000_000,
        close_timeout=SHORT,
    )
    assert full.wait(TIMEOUT)
    assert grown() < 8_000_000
    taken = wsfast.get_messages(number)
    assert 100 <= len(taken) < 200
    assert wsfast.close(number)
    recorder.wait_closed()


def test_a_huge_frame_that_never_ends(raw_server: StartRaw, recorder: Any, secured: Any) -> None:
    """read_timeout bounds a message that trickles in."""
    over = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.send(header(BINARY, 1_000_000))
        while not over.wait(0.02):
            peer.send(b"x")

    server = raw_server(serve, **secured["server"])
    number = wsfast.connect(
        server.url, **recorder.callbacks, **secured["client"], read_timeout=SHORT
    )
    code, reason = recorder.wait_closed()
    over.set()
    assert code == 1008
    assert "timeout" in reason
    assert wsfast.get_state(number) == "error"
