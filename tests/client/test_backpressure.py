"""A consumer that stops while the peer floods it: bounded memory, nothing lost, no false alarm.

WSFAST_STOP says for how many seconds the consumer stops.
"""

import asyncio
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT
from client_waiting import pushes_back, until
from raw_peers import BINARY, RawServerPeer, close_frame, frame

from wsfast.channel import aselect, select
from wsfast.client import Client, connect

STOP = float(os.environ.get("WSFAST_STOP", "0"))
SIZE = 16 * 1024
ONE_READ = 1024 * 1024
"""More than one call of recv brings."""
LIMIT = 512 * 1024 * 1024
"""More than sockets and queues hold: a flood that gets so far is not held up."""

pytestmark = pytest.mark.timeout(120 + 2 * STOP)


@pytest.fixture(autouse=True)
def a_thread_reads_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody receives."""
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)


def message(number: int) -> bytes:
    return number.to_bytes(4, "big") * (SIZE // 4)


class Flood:
    """Sends numbered messages until it is told to stop, then the close frame. It reads nothing."""

    def __init__(self) -> None:
        self.sent = 0
        self.stop = threading.Event()

    def __call__(self, peer: RawServerPeer) -> None:
        peer.upgrade()
        while not self.stop.is_set() and self.sent * SIZE < LIMIT:
            peer.send(frame(BINARY, message(self.sent)))
            self.sent += 1
        peer.send(close_frame(4000))
        peer.sock.shutdown(socket.SHUT_WR)
        peer.read_to_end()


@pytest.fixture
def flood() -> Flood:
    return Flood()


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def by_receive(client: Client) -> list[bytes]:
    return [received.data for received in client]  # type: ignore[misc]


def by_select(client: Client) -> list[bytes]:
    cases = [client.channel().case_receive()]
    came = []
    while (chosen := select(cases, timeout="20s")).ok:
        came.append(chosen.value.data)
    return came


def by_tasks(client: Client) -> list[bytes]:
    async def main() -> list[bytes]:
        cases = [client.channel().case_receive()]
        came = []
        while (chosen := await aselect(cases, timeout="20s")).ok:
            came.append(chosen.value.data)
        return came

    return asyncio.run(main())


@pytest.mark.parametrize("resumes", [by_receive, by_select, by_tasks])
def test_a_consumer_that_stops(
    raw_server: Any, flood: Flood, memory: None, resumes: Callable[[Client], list[bytes]]
) -> None:
    server = raw_server(flood)
    client = connect(
        server.url, channel_capacity=10, ping_interval="5ms", pong_timeout="10ms", read_timeout=50
    )
    ticks = count_ticks(client)
    channel = client.channel()
    first = channel.receive(WAIT * 1000)[0]
    assert first is not None
    until(lambda: pushes_back(client))
    threading.Event().wait(STOP)
    before = ticks()
    until(lambda: ticks() >= before + 20)  # so it had every opportunity to give up
    assert pushes_back(client)
    assert flood.sent * SIZE < LIMIT
    assert len(channel) * SIZE <= 10 * SIZE + ONE_READ
    held, _ = tracemalloc.get_traced_memory()
    assert held < 16 * ONE_READ
    assert client.state.label == "connected"
    flood.stop.set()
    came = [first.data, *resumes(client)]
    assert came == [message(number) for number in range(flood.sent)]
    assert (client.close_code, client.error) == (4000, None)
    client.close()
    server.result()


def count_ticks(client: Client) -> Callable[[], int]:
    """Says how often the connection was told what time it is."""
    protocol: Any = client._connection._protocol
    tick, calls = protocol.tick, [0]

    def counting(now: float, **reading: bool) -> None:
        calls[0] += 1
        tick(now, **reading)

    protocol.tick = counting
    return lambda: calls[0]


def test_a_consumer_that_is_slower_than_the_peer(
    raw_server: Any, flood: Flood, memory: None
) -> None:
    """What it has not come to waits at the peer's, not here."""
    client = connect(raw_server(flood).url, channel_capacity=1)
    channel = client.channel()
    for number in range(2000):
        assert channel.receive(WAIT * 1000)[0] == ("binary", message(number), None, "")
        assert len(channel) * SIZE <= ONE_READ
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 16 * ONE_READ
    flood.stop.set()
    assert by_receive(client) == [message(number) for number in range(2000, flood.sent)]


def test_a_full_channel_stops_the_peer(dial_client: Any) -> None:
    """It is TCP that tells it, so it can send no more."""
    client, peer = dial_client(channel_capacity=1)
    peer.sock.setblocking(False)
    data = b"".join(frame(BINARY, message(number)) for number in range(64))
    sent, rest = 0, memoryview(data)
    while sent < LIMIT:
        try:
            size = peer.sock.send(rest)
        except BlockingIOError:
            if pushes_back(client):
                break
        else:
            sent += size
            rest = rest[size:] or memoryview(data)
    assert sent < LIMIT
    peer.sock.setblocking(True)
    peer.sock.settimeout(WAIT)
    with ThreadPoolExecutor(1) as pool:
        finished: Future[None] = pool.submit(peer.send, bytes(rest) + close_frame(1000))
        came = by_receive(client)
        finished.result(WAIT)
    assert len(came) == -(-sent // len(data)) * 64
    assert came == [message(number) for number in range(64)] * (len(came) // 64)


def test_closing_a_full_channel_waits_for_nobody(dial_client: Any) -> None:
    """What has arrived can still be received; what the peer had not sent is not waited for."""
    client, peer = dial_client(channel_capacity=1, close_timeout="50ms")
    peer.send(frame(BINARY, message(0)) + frame(BINARY, message(1)))
    until(lambda: pushes_back(client))
    assert client.close() is True
    came = by_receive_until_lost(client)
    assert came == [message(number) for number in range(len(came))]
    assert came


def by_receive_until_lost(client: Client) -> list[bytes]:
    return [received.data for received in client.channel()]  # type: ignore[misc]
