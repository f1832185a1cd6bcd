"""A peer that has sent its close frame and ended its half may still wait for all that is ours."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, CLOSE, RawServerPeer, close_frame

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

WAIT = 10.0
COUNT = 400
"""Messages: more than TCP takes for a peer that does not read."""


@pytest.fixture
def half_closed(
    raw_listener: Any, dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], tuple[Connection, RawServerPeer]]:
    """A connection with much to send, to a peer that has not read any of it and has said goodbye.

    `half_closed(linger)`: how long, in seconds, it gets to read.
    """
    raw_listener.shrink()

    def open_(linger: float) -> tuple[Connection, RawServerPeer]:
        monkeypatch.setattr("wsfast.protocol.connection.LINGER", linger)
        connection, peer = dial_raw(close_timeout="1h")
        for i in range(COUNT):
            connection.send(i.to_bytes(4, "big") * 5000)
        peer.send(close_frame(4000, b"enough"))
        peer.sock.shutdown(socket.SHUT_WR)
        return connection, peer

    return open_


def hear_all(peer: RawServerPeer) -> None:
    for i in range(COUNT):
        received = peer.read_frame()
        assert (received.opcode, received.payload[:4]) == (BINARY, i.to_bytes(4, "big"))
    received = peer.read_frame()
    assert (received.opcode, received.code) == (CLOSE, 4000)
    assert peer.read_to_end() == b""


def end_of(connection: Connection) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        connection.receive(WAIT)
    return caught.value


def test_it_gets_all_that_was_sent_before(half_closed: Any) -> None:
    connection, peer = half_closed(3600.0)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(connection.run, None)
        hear_all(peer)
        reading.result(WAIT)
    assert connection.wait_ended(WAIT)
    assert (connection.state, connection.close_code) == (State.DISCONNECTED, 4000)
    assert connection.error is None


def test_also_when_the_application_has_gone_on(half_closed: Any) -> None:
    """Then a stand-in hears the end, and steps back for whoever asks for it."""
    connection, peer = half_closed(3600.0)
    assert end_of(connection).clean
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(connection.finish)
        hear_all(peer)
        finishing.result(WAIT)
    assert connection.wait_ended(WAIT)


@pytest.mark.parametrize("runs", [True, False], ids=["run", "stand-in"])
def test_a_peer_that_reads_nothing_is_waited_for_a_moment_only(
    half_closed: Any, runs: bool
) -> None:
    connection, _ = half_closed(0.2)
    if runs:
        thread = threading.Thread(target=connection.run, args=(None,))
        thread.start()
        thread.join(WAIT)
        assert not thread.is_alive()
    else:
        assert end_of(connection).clean
    assert connection.wait_ended(WAIT)
    assert (connection.state, connection.close_code) == (State.DISCONNECTED, 4000)
