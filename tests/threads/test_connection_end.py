"""The driver: every way in which a connection ends, and what is known of it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, TEXT, close_frame, frame

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, WebSocketError
from wsfast.server import Connection

WAIT = 10.0


def end_of(connection: Connection) -> ConnectionClosed:
    """Receives to the end and returns what that raises."""
    try:
        while True:
            connection.receive(WAIT)
    except ConnectionClosed as exc:
        return exc


def test_the_peer_half_closes_without_a_close_frame(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.send(frame(TEXT, b"last"))
    peer.sock.shutdown(1)
    assert connection.receive(WAIT) == "last"
    error = end_of(connection)
    assert (type(error), error.code) == (ConnectionLost, 1006)
    assert "no close frame" in error.reason


def test_the_peer_resets_in_the_middle_of_a_message(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.send(frame(TEXT, b"whole") + frame(TEXT, b"x" * 1000)[:500])
    assert connection.receive(WAIT) == "whole"
    peer.reset()
    error = end_of(connection)
    assert (type(error), error.code) == (ConnectionLost, 1006)
    assert "reset" in error.reason
    assert error.retryable


def test_a_peer_that_never_answers_a_close(dial_raw: Any) -> None:
    connection, peer = dial_raw(close_timeout=50)
    connection.close(1000)
    assert connection.wait_ended(WAIT)
    error = end_of(connection)
    assert (type(error), error.code) == (ConnectionLost, 1006)
    assert "timeout" in error.reason
    assert connection.state is State.ERROR
    assert peer.read_close().code == 1000
    assert peer.read_to_end() == b""


def test_a_peer_that_goes_on_sending_after_our_close(dial_raw: Any) -> None:
    """Only its close frame counts, and the time for it is bounded all the same."""
    connection, peer = dial_raw(close_timeout=50, receive_queue_messages=2)
    stop = threading.Event()

    def flood() -> None:
        try:
            while not stop.is_set():
                peer.send(frame(BINARY, b"x" * 1000))
        except OSError:
            pass  # the client has gone, as it should

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood)
        connection.close()
        assert connection.wait_ended(WAIT)
        stop.set()
        flooding.result(WAIT)
    assert connection.close_code == 1006


def test_what_comes_after_our_close_does_not_overfill_the_inbox(dial_raw: Any) -> None:
    early = frame(TEXT, b"one") + frame(TEXT, b"two")
    connection, peer = dial_raw(early=early, receive_queue_messages=2)
    connection.close()
    assert peer.read_close().code == 1000
    peer.send(frame(TEXT, b"late") + close_frame(1000))
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.take_all() == ["one", "two"]
    assert connection.close_code == 1000


def test_a_peer_that_answers_but_keeps_tcp_open(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", 0.05)
    connection, peer = dial_raw()
    connection.close(4000)
    assert peer.read_close().code == 4000
    peer.send(close_frame(4001))
    assert connection.wait_ended(WAIT)
    assert (connection.state, connection.close_code) == (State.DISCONNECTED, 4001)


def test_close_ends_a_receive_of_another_thread(open_pair: Any, scheme: str) -> None:
    client, server = open_pair(scheme)
    with ThreadPoolExecutor(2) as pool:
        receiving = pool.submit(client.receive)
        pool.submit(list, server)
        client.close()
        error = receiving.exception(WAIT)
    assert isinstance(error, ConnectionClosed)
    assert (error.code, error.clean) == (1000, True)


def test_finish_drops_what_comes_and_returns_at_the_end(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(connection.finish, 4000, "enough")
        close = peer.read_close()
        assert (close.code, close.payload[2:]) == (4000, b"enough")
        peer.send(frame(TEXT, b"late") + close_frame(4000))
        peer.sock.close()
        finishing.result(WAIT)
    assert connection.wait_ended(0)
    assert end_of(connection).clean
    connection.finish()


def test_abandon_ends_everything_at_once(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(connection.receive)
        connection.abandon(WebSocketError("enough"))
        error = receiving.exception(WAIT)
        assert isinstance(error, ConnectionLost)
        assert "enough" in error.reason
    assert peer.read_to_end() == b""
    with pytest.raises(ConnectionLost):
        connection.send("x")


def test_both_sides_close_at_once(open_pair: Any, scheme: str) -> None:
    client, server = open_pair(scheme)
    barrier = threading.Barrier(2)

    def finish(connection: Connection) -> None:
        barrier.wait(WAIT)
        connection.finish(4000)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(finish, (client, server)))
    for connection in (client, server):
        assert connection.wait_ended(WAIT)
        assert (connection.state, connection.close_code) == (State.DISCONNECTED, 4000)


def test_what_is_known_of_a_connection(
    open_pair: Callable[..., tuple[Connection, Connection]],
) -> None:
    client, server = open_pair(server={"protocols": ["a"]}, protocols=["b", "a"])
    assert client.subprotocol == server.subprotocol == "a"
    assert client.response is not None
    assert client.response.status == 101
    assert client.request is None
    assert server.request is not None
    assert server.request.path == "/"
    assert client.remote_address == server.local_address
    assert server.remote_address == client.local_address
    assert client.error is None
    with ThreadPoolExecutor(1) as pool:
        pool.submit(list, server)
        client.finish()
    assert client.remote_address is None
    assert client.local_address is None
