"""Messages without an end, or without measure, to those who take them piece by piece: what is held
is bounded, however little or slowly it is taken."""

import queue
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, CONTINUATION, KEY, TEXT, TIMEOUT, client_peer, frame, header, mask

from wsfast.protocol.errors import ConnectionLost
from wsfast.server import Connection

MIB = 1 << 20
ROOM = MIB
"""What may wait, in bytes."""
MOST = 16 * MIB
"""By how much memory may grow: what may wait, what is on its way, the interpreter's own."""
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"

Grown = Callable[[], Callable[[], int]]

pytestmark = pytest.mark.parametrize("serve_by", ["threads"], indirect=True)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def start(start_server: Any) -> Callable[..., tuple[int, "queue.Queue[Connection]"]]:
    """Starts a server whose connections the test uses itself: its port, and where they come."""

    def start(**options: Any) -> tuple[int, "queue.Queue[Connection]"]:
        connections: queue.Queue[Connection] = queue.Queue()

        def handle(connection: Connection) -> None:
            connections.put(connection)
            connection.wait_ended()

        settings = {"streaming": True, "receive_queue_bytes": ROOM, "ping_interval": None}
        endpoint = start_server(handle, **settings | options)
        return endpoint.server.port, connections

    return start


def until_nothing_more_is_read(connection: Connection) -> None:
    reader = connection.reader
    while not reader._space._waiters:
        threading.Event().wait(0.001)


def test_a_message_that_never_ends(
    start: Any, memory: Grown, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)
    port, connections = start()
    size = 200 * MIB
    with client_peer(port) as peer:
        peer.open()
        connection = connections.get(timeout=TIMEOUT)
        grown = memory()
        chunk = mask(bytes(MIB), KEY)

        def send() -> None:
            peer.send(header(BINARY, 1 << 62, key=KEY))
            for _ in range(size // MIB):
                peer.send(chunk)

        sending = pool.submit(send)
        until_nothing_more_is_read(connection)  # nobody takes anything yet
        stream = connection.receive_stream(TIMEOUT)
        taken = 0
        while taken < size:
            piece = stream.receive(TIMEOUT)
            assert piece is not None
            taken += len(piece)
            if taken % (50 * MIB) < len(piece) < taken < size - 20 * MIB:
                until_nothing_more_is_read(connection)  # a slow reader
        sending.result(TIMEOUT)
        assert taken == size
        assert grown() < MOST


@pytest.mark.parametrize("way", ["taken", "skipped"])
def test_a_bomb(start: Any, memory: Grown, way: str) -> None:
    port, connections = start(compression=1, compression_window_bits=15)
    size = 200 * MIB
    state = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(state.compress(bytes(MIB)) for _ in range(size // MIB))
    bomb += state.flush(zlib.Z_SYNC_FLUSH)[:-4]
    with client_peer(port) as peer:
        peer.open(DEFLATE)
        connection = connections.get(timeout=TIMEOUT)
        grown = memory()
        peer.send(frame(BINARY, bomb, rsv=4, key=KEY) + frame(TEXT, b"after", key=KEY))
        stream = connection.receive_stream(TIMEOUT)
        if way == "taken":
            assert sum(map(len, stream)) == size
        assert connection.receive(TIMEOUT) == "after"
        assert grown() < MOST


def test_a_bomb_that_waits(start: Any, memory: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)
    port, connections = start(compression=1, compression_window_bits=15)
    state = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(state.compress(bytes(MIB)) for _ in range(200)) + state.flush(zlib.Z_SYNC_FLUSH)
    with client_peer(port) as peer:
        peer.open(DEFLATE)
        connection = connections.get(timeout=TIMEOUT)
        grown = memory()
        peer.send(frame(BINARY, bomb[:-4], rsv=4, key=KEY))
        until_nothing_more_is_read(connection)
        assert grown() < MOST
        connection.close()


@pytest.mark.parametrize("size", [0, 1])
def test_many_small_fragments_that_wait(
    start: Any, memory: Grown, size: int, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many messages, as each of them may have so many only."""
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)
    port, connections = start(receive_queue_messages=10_000)
    message = frame(TEXT, b"x" * size, fin=False, key=KEY) + frame(CONTINUATION, key=KEY)
    with client_peer(port) as peer:
        peer.open()
        connection = connections.get(timeout=TIMEOUT)
        grown = memory()
        sending = pool.submit(lambda: [peer.send(message * 1000) for _ in range(1000)])
        until_nothing_more_is_read(connection)
        assert grown() < MOST
        assert not sending.done()
        peer.sock.shutdown(socket.SHUT_RDWR)
        assert isinstance(sending.exception(TIMEOUT), OSError)


def test_resets_in_the_midst(start: Any, memory: Grown) -> None:
    port, connections = start()
    grown = memory()
    for _ in range(100):
        with client_peer(port) as peer:
            peer.open()
            connection = connections.get(timeout=TIMEOUT)
            peer.send(header(TEXT, 100 * MIB, key=KEY) + mask(b"x" * 300_000, KEY))
            stream = connection.receive_stream(TIMEOUT)
            assert stream.receive(TIMEOUT)
            peer.reset()
            with pytest.raises(ConnectionLost):
                stream.read(TIMEOUT)
    assert grown() < MOST
