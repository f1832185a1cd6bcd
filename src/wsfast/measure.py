"""Measuring a server: round trips, pipelined echoes, pings, and how fast it lets clients in.

Each connection has a thread of its own, which sends and reads by itself, so that no message changes
threads on this side. Nothing goes on for longer than it was asked to and `ANSWER_TIMEOUT`.
"""

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from wsfast.opening import Opening, Problem
from wsfast.protocol.connection import Message
from wsfast.protocol.errors import ConnectionClosed, WebSocketError
from wsfast.threads.connection import Connection

__all__ = ["Load", "Pipelined", "Times", "connects"]

ANSWER_TIMEOUT = 10.0
"""Seconds to wait for any answer before the measurement fails."""

ECHO_TIMEOUT = 3.0
"""Seconds in which the first message must come back, or the server is none that echoes."""

GREETINGS = 100
"""Other messages that may come before it."""

IN_FLIGHT = 64
IN_FLIGHT_BYTES = 4 * 1024 * 1024
"""What is under way at most, on one connection, in messages and in bytes."""

WARM_UP = 0.1
"""The part of a duration whose round trips are not counted."""

TICK = 0.1
"""Seconds between two reports of progress."""

Tick = Callable[[], None]
"""Called now and then while something goes on."""

T = TypeVar("T")


@dataclass(frozen=True)
class Times:
    """How long one thing took, again and again."""

    seconds: Sequence[float]
    """Each, ascending; at least one."""
    rate: float
    """Per second, on all connections together."""

    def percentile(self, percent: float) -> float:
        """The seconds that so many per cent did not exceed."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * percent / 100))]


@dataclass(frozen=True)
class Pipelined:
    """Messages echoed while others were on their way."""

    in_flight: int
    """Messages under way on each connection."""
    rate: float
    """Messages per second, on all connections together."""


def connects(opening: Opening, duration: float, tick: Tick) -> Times:
    """Opens and closes connections, one after the other; the times are those of the openings.

    Raises `Problem`.
    """
    times = array("d")
    start = time.perf_counter()
    while not times or time.perf_counter() < start + duration:
        began = time.perf_counter()
        connection = opening.connect()
        times.append(time.perf_counter() - began)
        connection.finish()
        tick()
    return Times(sorted(times), len(times) / (time.perf_counter() - start))


class Load:
    """Open connections. Use it as a context, which closes them in the end."""

    def __init__(self, opening: Opening, count: int) -> None:
        """Opens `count` of them, one after the other. Raises `Problem`."""
        self._connections: list[Connection] = []
        try:
            for _ in range(count):
                self._connections.append(opening.connect())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all at the same time; bounded by the `close_timeout` of one."""
        for connection in self._connections:
            connection.close()
        for connection in self._connections:
            connection.finish()

    def echoes(self, payload: Message, tick: Tick) -> bool:
        """Whether `payload` comes back on each. What else the server has to say first is dropped.

        If it does not come, the connections are of no further use.
        """
        return all(self._all(lambda connection: _echoes(connection, payload), tick))

    def round_trips(self, payload: Message, duration: float, tick: Tick) -> Times:
        """Sends, waits for the echo, and does it again. Raises `Problem`."""
        return self._times(lambda connection: _round_trip(connection, payload), duration, tick)

    def pings(self, duration: float, tick: Tick) -> Times:
        """The same with pings, which any server must answer. Raises `Problem`."""
        return self._times(_ping, duration, tick)

    def pipelined(self, payload: Message, duration: float, tick: Tick) -> Pipelined:
        """Has many messages under way on each, until then. Raises `Problem`."""
        began = time.perf_counter()
        until = began + duration
        counts = self._all(lambda connection: _pipelined(connection, payload, until), tick)
        elapsed = time.perf_counter() - began
        return Pipelined(_in_flight(len(payload)), sum(counts) / elapsed)

    def _times(self, once: Callable[[Connection], float], duration: float, tick: Tick) -> Times:
        until = time.perf_counter() + duration
        parts = self._all(lambda connection: _again(connection, once, until), tick)
        seconds = sorted(second for part in parts for second in part)
        return Times(seconds, len(parts) * len(seconds) / sum(seconds))

    def _all(self, work: Callable[[Connection], T], tick: Tick) -> list[T]:
        """What `work` returns for each, done at the same time. Raises `Problem` if one failed."""
        workers = [_Worker(connection, work) for connection in self._connections]
        for worker in workers:
            worker.thread.start()
        for worker in workers:
            while worker.thread.is_alive():
                worker.thread.join(TICK)
                tick()
        for worker in workers:
            if worker.problem is not None:
                raise worker.problem
        return [result for worker in workers for result in worker.results]


class _Worker(Generic[T]):
    """One connection at work, on a thread."""

    def __init__(self, connection: Connection, work: Callable[[Connection], T]) -> None:
        self._connection = connection
        self._work = work
        self.results: list[T] = []  # one, if there was no problem
        self.problem: Problem | None = None
        # A daemon: when Ctrl-C ends it all, nobody waits for it.
        self.thread = threading.Thread(target=self._run, name="wsfast-bench", daemon=True)

    def _run(self) -> None:
        try:
            self.results.append(self._work(self._connection))
        except Problem as problem:
            self.problem = problem
        except TimeoutError:
            self.problem = Problem(f"no answer within {ANSWER_TIMEOUT:g} seconds")
        except WebSocketError as error:
            self.problem = Problem(f"{error}. Perhaps it was too much: see --size, --connections")


# -------------------------------------------------------------- on one connection


def _echoes(connection: Connection, payload: Message) -> bool:
    deadline = time.monotonic() + ECHO_TIMEOUT
    try:
        connection.send(payload)
        for _ in range(GREETINGS):
            if connection.receive(max(0.0, deadline - time.monotonic())) == payload:
                return True
    except (TimeoutError, ConnectionClosed):
        pass
    return False


def _again(
    connection: Connection, once: Callable[[Connection], float], until: float
) -> "array[float]":
    now = time.perf_counter()
    counted_from = now + (until - now) * WARM_UP
    while time.perf_counter() < counted_from:
        once(connection)
    times = array("d")
    while not times or time.perf_counter() < until:
        times.append(once(connection))
    return times


def _round_trip(connection: Connection, payload: Message) -> float:
    began = time.perf_counter()
    connection.send(payload)
    echo = connection.receive(ANSWER_TIMEOUT)
    ended = time.perf_counter()
    _check(echo, payload)
    return ended - began


def _ping(connection: Connection) -> float:
    number = connection.ping()
    if not connection.wait_pong(number, ANSWER_TIMEOUT):
        connection.ping()  # tells why, if the connection has ended
        raise TimeoutError
    connection.take_all()  # what the server has to say must not fill the queue
    assert connection.latency is not None
    return connection.latency


def _pipelined(connection: Connection, payload: Message, until: float) -> int:
    under_way = _in_flight(len(payload))
    for _ in range(under_way):
        connection.send(payload)
    count = 0
    while under_way > 0:
        messages = [connection.receive(ANSWER_TIMEOUT), *connection.take_all()]
        for message in messages:
            _check(message, payload)
        count += len(messages)
        if time.perf_counter() < until:
            for _ in messages:
                connection.send(payload)
        else:
            under_way -= len(messages)
    return count


def _in_flight(size: int) -> int:
    return max(1, min(IN_FLIGHT, IN_FLIGHT_BYTES // max(size, 1)))


def _check(echo: Message, payload: Message) -> None:
    if echo != payload:
        raise Problem("the server has sent something else than the echo")
