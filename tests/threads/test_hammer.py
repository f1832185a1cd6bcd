"""Both ends of one connection, each driven from many threads at once.

WSFAST_HAMMER says how many messages each end sends; the more, the longer it runs.
"""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

COUNT = int(os.environ.get("WSFAST_HAMMER", "4000"))
SENDERS = 4
ROUNDS = 4
EACH = COUNT // (SENDERS * ROUNDS)
"""Messages of each sender in each round."""
PATIENCE = 200.0 + COUNT / 1000
"""Seconds for a round. Only a failing test waits that long."""

pytestmark = pytest.mark.timeout(120 + ROUNDS * PATIENCE)


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(interval)


def make(sender: int, number: int) -> str | bytes:
    """The message of a sender with this number, which tells by its first two words which it is."""
    # Now and then one that does not fit into a chunk.
    size = 70_000 if number % 251 == 250 else number * 37 % 600
    text = f"{sender} {number} ".ljust(size, "é" if number % 3 else "e")
    return text if number % 2 else text.encode()


class End:
    """One end: its connection, and what has come to it."""

    def __init__(self, connection: Connection, capacity: int) -> None:
        self.connection = connection
        self.peer: End
        self._changed = threading.Condition()
        self._seen = [bytearray(capacity) for _ in range(SENDERS)]

    def taker(self) -> Callable[[str | bytes], None]:
        """What one thread calls with each message that it gets: they are whole, and in order."""
        latest = [-1] * SENDERS

        def take(message: str | bytes) -> None:
            start = (
                message[:20] if isinstance(message, str) else message[:20].decode("utf-8", "ignore")
            )
            sender, number = map(int, start.split()[:2])
            assert message == make(sender, number)
            assert number > latest[sender]
            latest[sender] = number
            with self._changed:
                self._seen[sender][number] += 1
                self._changed.notify_all()

        return take

    def receive(self) -> None:
        """Takes messages by `receive` until the end; several threads may do so."""
        take = self.taker()
        for message in self.connection:
            take(message)

    def run(self) -> None:
        """Takes messages as callbacks get them, until the end."""
        take = self.taker()
        failures: list[AssertionError | ValueError] = []

        def deliver(messages: Any) -> None:
            try:
                for message in messages:
                    take(message)
            except (AssertionError, ValueError) as exc:  # a callback must not raise
                failures.append(exc)

        self.connection.run(deliver)
        if failures:
            raise failures[0]

    def counts(self) -> list[int]:
        """How many messages of each sender have come; each once, and none before an earlier one."""
        with self._changed:
            counts = [seen.count(1) for seen in self._seen]
            for seen, count in zip(self._seen, counts, strict=True):
                assert seen == bytes([1]) * count + bytes(len(seen) - count)
        return counts

    def wait_for(self, each: int) -> None:
        """Waits until that many messages of every sender have come."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(seen[each - 1] for seen in self._seen), PATIENCE
            )

    def send(self, sender: int, start: int, stop: int) -> int:
        """Sends messages until the end of the connection; returns how many were sent."""
        for number in range(start, stop):
            message = make(sender, number)
            try:
                if number % 29 == 28:
                    pieces = (message[at : at + 100] for at in range(0, len(message), 100))
                    self.connection.send_fragments(pieces)
                else:
                    self.connection.send(message)
            except ConnectionClosed:
                return number - start
        return stop - start

    def ping(self, done: threading.Event) -> None:
        """Pings and waits for the pongs until `done`."""
        while not done.is_set():
            assert self.connection.wait_pong(self.connection.ping(), PATIENCE)

    def look(self, done: threading.Event) -> None:
        """Reads what there is to be read until `done`."""
        while not done.wait(0.001):
            assert self.connection.state is State.CONNECTED
            assert self.connection.error is None
            assert self.connection.close_code is None
            assert self.connection.unsent >= 0
            latency = self.connection.latency
            assert latency is None or latency >= 0
            assert self.connection.remote_address == self.peer.connection.local_address


Receive = Callable[[End], None]
WAYS: dict[str, tuple[Receive, int]] = {"receive": (End.receive, 2), "callbacks": (End.run, 1)}
"""How messages are taken, and by how many threads."""


@pytest.fixture
def open_ends(open_pair: Any, scheme: str) -> Callable[..., tuple[End, End]]:
    def open_ends(capacity: int, **options: Any) -> tuple[End, End]:
        client, server = (
            End(connection, capacity) for connection in open_pair(scheme, server=options, **options)
        )
        client.peer, server.peer = server, client
        return client, server

    return open_ends


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64, "hammer") as pool:
        yield pool


def results(futures: list[Future[Any]]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": 1}, {"compression": 1, "streaming": True, "receive_queue_bytes": 20_000}],
    ids=["disabled", "context_takeover", "streaming"],
)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_torn_or_swapped(
    way: str,
    options: dict[str, Any],
    open_ends: Callable[..., tuple[End, End]],
    pool: ThreadPoolExecutor,
) -> None:
    receive, receivers = WAYS[way]
    ends = open_ends(EACH * ROUNDS, **options)
    receiving = [pool.submit(receive, end) for end in ends for _ in range(receivers)]
    growths = []
    for start in range(0, EACH * ROUNDS, EACH):
        gc.collect()
        before = sys.getallocatedblocks()
        done = threading.Event()
        others = [pool.submit(work, end, done) for end in ends for work in (End.ping, End.look)]
        sending = [
            pool.submit(end.send, sender, start, start + EACH)
            for end in ends
            for sender in range(SENDERS)
        ]
        assert results(sending) == [EACH] * (SENDERS * len(ends))
        for end in ends:
            end.wait_for(start + EACH)
        done.set()
        results(others)
        del others, sending
        gc.collect()
        growths.append(sys.getallocatedblocks() - before)
    results([pool.submit(end.connection.close) for end in ends for _ in range(4)])
    results(receiving)
    for end in ends:
        assert end.connection.wait_ended(PATIENCE)
        assert (end.connection.close_code, end.connection.error) == (1000, None)
        assert end.counts() == [EACH * ROUNDS] * SENDERS
    assert min(growths) < EACH, growths


@pytest.mark.parametrize("way", WAYS)
def test_a_close_amid_all_this_loses_nothing_that_was_sent(
    way: str, open_ends: Callable[..., tuple[End, End]], pool: ThreadPoolExecutor
) -> None:
    receive, receivers = WAYS[way]
    many = 100_000
    ends = open_ends(many, close_timeout="10m")  # that of this test, however slow the machine
    receiving = [pool.submit(receive, end) for end in ends for _ in range(receivers)]
    sending = [
        [pool.submit(end.send, sender, 0, many) for sender in range(SENDERS)] for end in ends
    ]
    for end in ends:
        end.wait_for(100)
    results([pool.submit(ends[0].connection.close) for _ in range(4)])
    sent = [results(futures) for futures in sending]
    results(receiving)
    for end in ends:
        assert end.connection.wait_ended(PATIENCE)
        assert (end.connection.close_code, end.connection.error) == (1000, None)
    assert [end.counts() for end in ends] == sent[::-1]
