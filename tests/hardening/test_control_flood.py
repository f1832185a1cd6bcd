"""Control frame flood: pings from a peer that does not read its pongs."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import (
    KEY,
    PING,
    PONG,
    TEXT,
    TIMEOUT,
    RawServer,
    RawServerPeer,
    Wire,
    client_peer,
    close_frame,
    frame,
)

import wsfast
from wsfast.codec import Ping
from wsfast.server import Connection

MILLION = 1_000_000


def flood(peer: Wire, payload: bytes, key: bytes | None = None, count: int = MILLION) -> None:
    many = frame(PING, payload, key=key) * 10_000
    for _ in range(count // 10_000):
        peer.send(many)


def read_pongs(peer: Wire) -> int:
    """Counts the pongs until that of the last ping. RFC 6455, section 5.5.3: only the latest ping
    needs an answer."""
    count = 1
    while True:
        received = peer.read_frame()
        assert received.opcode == PONG
        if received.payload == b"the last":
            return count
        count += 1


def test_a_million_pings_to_a_client(
    raw_server: Callable[..., RawServer], recorder: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        flood(peer, b"")
        # The message tells that the pings have been taken in; not one pong has been read.
        peer.send(frame(TEXT, b"still there?") + frame(PING, b"the last"))
        assert heard.wait(2 * TIMEOUT)
        pongs = read_pongs(peer)
        peer.send(close_frame(1000))
        assert peer.read_close().code == 1000
        return pongs

    heard = threading.Event()
    server = raw_server(serve, receive_buffer=4096)
    grown = memory()
    wsfast.connect(server.url, **recorder.callbacks)
    recorder.wait_messages(1, 2 * TIMEOUT)
    assert grown() < 8_000_000
    heard.set()
    assert server.result() < MILLION
    assert recorder.wait_closed() == (1000, "")


def test_a_million_pings_to_a_server(
    start_server: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    heard = threading.Event()

    def handle(connection: Any) -> None:
        for _ in connection:
            heard.set()

    endpoint = start_server(handle)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        grown = memory()
        flood(peer, b"x" * 10, KEY)
        peer.send(frame(TEXT, b"still there?", key=KEY) + frame(PING, b"the last", key=KEY))
        assert heard.wait(2 * TIMEOUT)
        assert grown() < 8_000_000
        assert read_pongs(peer) < MILLION
        peer.send(close_frame(1000, key=KEY))
        assert peer.read_close().code == 1000


def test_a_million_pongs_that_nobody_asked_for(
    raw_server: Callable[..., RawServer], recorder: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        many = frame(PONG, b"x") * 10_000
        for _ in range(MILLION // 10_000):
            peer.send(many)
        peer.send(close_frame(1000))
        peer.read_close()

    grown = memory()
    wsfast.connect(raw_server(serve).url, **recorder.callbacks)
    assert recorder.wait_closed(2 * TIMEOUT) == (1000, "")
    assert grown() < 8_000_000
    assert recorder.log == [("open",), ("close", 1000, "")]


@pytest.mark.parametrize("serve_by", ["threads"], indirect=True)
@pytest.mark.parametrize("overflow", ["pause", "drop_oldest"])
def test_pings_that_are_to_be_received(
    start_server: Any, memory: Callable[[], Callable[[], int]], overflow: str
) -> None:
    """They wait as messages do: either no more is read than has room, or the oldest are dropped."""
    count = MILLION // 5
    connections: queue.Queue[Connection] = queue.Queue()
    ended = threading.Event()

    def handle(connection: Connection) -> None:
        connections.put(connection)
        ended.wait()

    endpoint = start_server(
        handle, control_messages=True, receive_queue_messages=1000, receive_overflow=overflow
    )
    with client_peer(endpoint.server.port) as peer, ThreadPoolExecutor(3) as pool:
        peer.open()
        connection = connections.get(timeout=TIMEOUT)
        grown = memory()
        reading = pool.submit(connection.run, None)
        pongs = pool.submit(read_pongs, peer)

        def send() -> None:
            flood(peer, b"x" * 10, KEY, count)
            peer.send(frame(PING, b"the last", key=KEY))

        sending = pool.submit(send)
        if overflow == "pause":
            for _ in range(count):
                assert connection.receive(TIMEOUT) == Ping(b"x" * 10)
            taken = [connection.receive(TIMEOUT)]
        sending.result(2 * TIMEOUT)
        assert pongs.result(2 * TIMEOUT) <= count + 1
        if overflow == "drop_oldest":
            taken = connection.take_all()
            assert len(taken) == 1000
        assert taken == [Ping(b"x" * 10)] * (len(taken) - 1) + [Ping(b"the last")]
        assert grown() < 16_000_000
        connection.close()
        peer.read_close()
        peer.send(close_frame(1000, key=KEY))
        reading.result(TIMEOUT)
        ended.set()


@pytest.mark.parametrize("size", [0, 1, 125])
def test_control_frames_between_fragments_are_answered_at_once(
    size: int, start_server: Any
) -> None:
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        peer.send(frame(TEXT, b"a", fin=False, key=KEY))
        for i in range(50):
            payload = bytes([i]) * size
            peer.send(frame(PING, payload, key=KEY))
            answer = peer.read_frame()
            assert (answer.opcode, answer.payload) == (PONG, payload)
        peer.send(frame(0, b"b", key=KEY))
        assert peer.read_frame().payload == b"ab"
