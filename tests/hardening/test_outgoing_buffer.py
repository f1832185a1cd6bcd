"""Outgoing buffer: a peer that does not read makes send wait, then fail; memory is bounded."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    CLOSE,
    TIMEOUT,
    RawServer,
    RawServerPeer,
    close_frame,
)

import wsfast
from wsfast.protocol.errors import ConnectionLost, QueueFull, SendTimeout

StartRaw = Callable[..., RawServer]

SHORT = 300
"""Milliseconds: a timeout for peers that never do what is waited for."""


def send_for_ever(connection: Any) -> None:
    while True:
        connection.send(b"x" * 10_000)


def test_a_peer_that_never_reads(
    raw_server: StartRaw, recorder: Any, secured: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    """send gives up after write_timeout, memory stays within the bound, and once the peer reads,
    exactly what was accepted arrives."""
    reads = threading.Event()

    def serve(peer: RawServerPeer) -> list[bytes]:
        peer.upgrade()
        assert reads.wait(2 * TIMEOUT)
        received = []
        frame_ = peer.read_frame()
        while frame_.opcode != CLOSE:
            received.append(frame_.payload)
            frame_ = peer.read_frame()
        peer.send(close_frame(1000))
        return received

    server = raw_server(serve, **secured["server"], receive_buffer=65536)
    number = wsfast.connect(
        server.url,
        **recorder.callbacks,
        **secured["client"],
        send_queue_bytes=1_000_000,
        write_timeout=SHORT,
    )
    assert recorder.opened.wait(TIMEOUT)
    grown = memory()
    sent = 0
    while wsfast.send(number, b"%10d" % sent + b"x" * 50_000):
        sent += 1
    assert wsfast.send(number, b"x" * 60_000) is False
    assert wsfast.is_connected(number)
    assert recorder.errors == []
    assert grown() < 16_000_000
    reads.set()
    assert wsfast.close(number)
    assert server.result() == [b"%10d" % i + b"x" * 50_000 for i in range(sent)]
    assert recorder.wait_closed() == (1000, "")


def test_send_to_a_peer_that_never_reads_raises(raw_server: StartRaw, dial: Any) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        over.wait(TIMEOUT)

    over = threading.Event()
    server = raw_server(serve, receive_buffer=4096)
    connection = dial(
        server.url, write_timeout=SHORT, close_timeout=SHORT, send_queue_bytes=100_000
    )
    with pytest.raises(SendTimeout, match="timeout") as caught:
        send_for_ever(connection)
    assert caught.value.retryable
    assert isinstance(caught.value, TimeoutError)
    connection.close()
    with pytest.raises(ConnectionLost):
        connection.receive(TIMEOUT)
    over.set()


def test_send_may_fail_at_once(raw_server: StartRaw, dial: Any) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        over.wait(TIMEOUT)

    over = threading.Event()
    server = raw_server(serve, receive_buffer=4096)
    connection = dial(
        server.url,
        send_overflow="fail",
        write_timeout=None,
        close_timeout=SHORT,
        send_queue_messages=10,
    )
    with pytest.raises(QueueFull) as caught:
        send_for_ever(connection)
    assert caught.value.retryable
    over.set()


def test_close_while_a_peer_does_not_read(
    raw_server: StartRaw, recorder: Any, secured: Any
) -> None:
    """The close frame waits behind megabytes that nobody takes; it ends all the same."""
    over = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        over.wait(TIMEOUT)

    server = raw_server(serve, **secured["server"], receive_buffer=4096)
    number = wsfast.connect(
        server.url, **recorder.callbacks, **secured["client"], close_timeout=SHORT
    )
    assert recorder.opened.wait(TIMEOUT)
    assert wsfast.send(number, b"x" * 12_000_000)
    assert wsfast.close(number)
    code, reason = recorder.wait_closed()
    over.set()
    assert code == 1006
    assert "timeout" in reason
    assert "timeout" in recorder.errors[0]
