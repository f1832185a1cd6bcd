"""Pings and pongs among the messages, where that was asked for."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, PING, PONG, TEXT, close_frame, frame

from wsfast.codec import Ping, Pong
from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

WAIT = 10.0
WIRE = frame(PING, b"1") + frame(TEXT, b"a") + frame(PONG, b"2") + frame(PONG) + frame(BINARY, b"b")
RECEIVED = [Ping(b"1"), "a", Pong(b"2"), Pong(), b"b"]


def receive_all(connection: Connection) -> list[Any]:
    return list(connection)


def run_to_the_end(connection: Connection) -> list[Any]:
    received: list[Any] = []
    connection.run(received.extend)
    return received


def take_at_the_end(connection: Connection) -> list[Any]:
    connection.run(None)
    return connection.take_all()


WAYS = [receive_all, run_to_the_end, take_at_the_end]


@pytest.mark.parametrize("way", WAYS)
def test_they_come_in_order(dial_raw: Any, way: Callable[[Connection], list[Any]]) -> None:
    connection, peer = dial_raw(control_messages=True, early=WIRE)
    for at in range(len(WIRE)):
        peer.send(WIRE[at : at + 1])
    peer.send(WIRE + close_frame(1000))
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(way, connection)
        answers = [peer.read_frame() for _ in range(3)]
        peer.read_close()
        peer.sock.close()
        assert receiving.result(WAIT) == RECEIVED * 3
    assert [(f.opcode, f.payload) for f in answers] == [(PONG, b"1")] * 3


def test_both_ends(open_pair: Any, scheme: str) -> None:
    ends = open_pair(scheme, server={"control_messages": True}, control_messages=True)
    for sender, receiver in (ends, ends[::-1]):
        sender.ping(b"?")
        sender.send("x")
        assert [receiver.receive(WAIT) for _ in range(2)] == [Ping(b"?"), "x"]
        assert sender.receive(WAIT) == Pong(b"?")


@pytest.fixture
def eager_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)


@pytest.mark.usefixtures("eager_stand_in")
@pytest.mark.parametrize(
    "bound", [{"receive_queue_messages": 10}, {"receive_queue_bytes": 10 * 100}]
)
def test_a_flood_that_nobody_takes_stops_the_reading(dial_raw: Any, bound: dict[str, int]) -> None:
    connection, peer = dial_raw(control_messages=True, ping_interval=None, **bound)
    for i in range(10):
        peer.send(frame(PING, b"%d" % i * 100))
        assert peer.read_frame().opcode == PONG
    reader = connection._reader
    assert reader.inbox.full
    peer.send(frame(PING, b"not read"))
    while not reader._space._waiters:  # until the stand-in waits for room
        threading.Event().wait(0.001)
    assert reader.inbox.count == 10
    assert [connection.receive(WAIT) for _ in range(10)] == [
        Ping(b"%d" % i * 100) for i in range(10)
    ]
    assert connection.receive(WAIT) == Ping(b"not read")
    assert peer.read_frame().payload == b"not read"


@pytest.mark.usefixtures("eager_stand_in")
@pytest.mark.parametrize(
    "bound", [{"receive_queue_messages": 10}, {"receive_queue_bytes": 10 * 100}]
)
def test_or_drops_the_oldest(dial_raw: Any, bound: dict[str, int]) -> None:
    connection, peer = dial_raw(
        control_messages=True, ping_interval=None, receive_overflow="drop_oldest", **bound
    )
    for i in range(30):
        peer.send(frame(PING, b"%02d" % i * 50))
        assert peer.read_frame().opcode == PONG
    assert connection.take_all() == [Ping(b"%02d" % i * 50) for i in range(20, 30)]


def test_keepalive_goes_on(dial_raw: Any) -> None:
    connection, peer = dial_raw(control_messages=True, ping_interval=20, pong_timeout=WAIT * 1000)
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(lambda: [connection.receive(WAIT) for _ in range(3)])
        pings = []
        for _ in range(3):
            pings.append(peer.read_frame().payload)
            peer.send(frame(PONG, pings[-1]))
        assert receiving.result(WAIT) == [Pong(data) for data in pings]
    assert connection.latency is not None


def test_what_is_put_back_keeps_its_order(dial_raw: Any) -> None:
    connection, _ = dial_raw(control_messages=True)
    connection.keep([Ping(b"1"), "a"])
    assert [connection.receive(WAIT) for _ in range(2)] == [Ping(b"1"), "a"]


def test_they_do_not_stand_in_for_the_end(dial_raw: Any) -> None:
    connection, peer = dial_raw(control_messages=True)
    peer.send(frame(PING) + close_frame(4000))
    assert connection.receive(WAIT) == Ping()
    with pytest.raises(ConnectionClosed):
        connection.receive(WAIT)
