"""Crowds of connections on asyncio: whether what they use stays flat, whether SIGTERM closes
everybody in time, and what others have of clients that stand still.

The server is a process of its own. The exit status is 1 if something was not flat, or as soon as
anything went wrong.
"""

import argparse
import asyncio
import collections
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from soak_crowd_process import DEADLINE, Crowd
from soak_crowd_server import give_back
from soak_figures import MIB, Samples, figures, table
from soak_processes import ALLOCATOR, Certificates
from soak_stalled import stalled_clients

from wsfast.aio import Connection
from wsfast.codec import Ping
from wsfast.protocol.constants import State

GOOD = 10
"""Clients that are watched while others stand still."""

IN_FLIGHT = 16
"""Messages of each client that floods."""

LETS_THEM_STALL: dict[str, Any] = {
    "receive_queue_bytes": 256 * 1024,
    "write_timeout": "1h",
    "ping_interval": None,
}
"""Options of a server, which by itself is rid of such clients sooner. Until then it keeps what they
send, as much as the first says, or 32 MiB."""

PATIENT: dict[str, Any] = {"close_timeout": "1h", "dial_timeout": "1h", "ping_interval": None}
"""Options of both ends on a machine that is busy with thousands of connections, and others."""

PINGS = 5
"""That each idle connection gets between two samples."""

SECURE = 10
"""One connection in so many goes through TLS."""


@dataclass
class Watch:
    """What both processes use."""

    crowd: Crowd
    samples: tuple[Samples, Samples]

    @classmethod
    def of(cls, crowd: Crowd, arguments: argparse.Namespace) -> "Watch":
        growth = int(arguments.growth * MIB)
        return cls(crowd, (Samples("client", growth), Samples("server", growth)))

    def working(self) -> None:
        self.samples[0].working(figures(os.getpid()))
        self.samples[1].working(self.crowd.figures)

    async def rest(self, connections: int = 0) -> None:
        """Waits until the server has so many connections, and takes the samples to compare."""
        await self.crowd.rest(connections)
        give_back()
        self.samples[0].rest(figures(os.getpid()))
        self.samples[1].rest(self.crowd.figures)

    def flat(self) -> bool:
        """Says whether it was."""
        for line in table(self.samples):
            say(f"  {line}")
        return not any(one.faults for one in self.samples)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Rate(NamedTuple):
    """What has got done in a while."""

    messages: float
    """A second."""
    cpu: float
    """Seconds of the server's for each."""

    def __str__(self) -> str:
        return f"{self.messages:,.0f} messages/s at {self.cpu * 1e6:.2f} µs of CPU"


class Flood:
    """What a client does that always has so many messages on their way."""

    def __init__(self) -> None:
        self.received = 0

    def __call__(self, connection: Connection, message: Any) -> None:
        self.received += 1
        if connection.state is State.CONNECTED:
            connection.send_nowait(message)

    def start(self, connections: list[Connection]) -> None:
        for connection in connections:
            for _ in range(IN_FLIGHT):
                connection.send_nowait("x" * 64)


async def for_all(connections: list[Connection], do: Callable[[Connection], Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(do(connection))


async def measure(crowd: Crowd, flood: Flood, count: int) -> Rate:
    """Over so many messages."""
    before, began, cpu = flood.received, time.monotonic(), crowd.cpu
    while flood.received < before + count:
        await asyncio.sleep(0.01)
    got, elapsed = flood.received - before, time.monotonic() - began
    return Rate(got / elapsed, max(crowd.cpu - cpu, 0.01) / got)  # it is counted in such steps


# ---------------------------------------------------------------- the parts


async def cycles(certificates: Certificates, arguments: argparse.Namespace) -> bool:
    """So many connections opened, used and closed, again and again."""
    count = arguments.connections

    async def use(connection: Connection) -> None:
        for message in ("hello", b"x" * 1000):
            await connection.send(message)
            assert await connection.receive() == message

    began = time.monotonic()
    async with Crowd(certificates, **PATIENT) as crowd:
        watch = Watch.of(crowd, arguments)
        for _ in range(arguments.rounds):
            connections = await crowd.open(count, SECURE, **PATIENT)
            await for_all(connections, use)
            watch.working()
            await for_all(connections, Connection.close)
            endings = collections.Counter(
                (each.close_code, str(each.error)) for each in connections
            )
            assert {*endings} == {(1000, "None")}, endings
            del connections
            await watch.rest()
    elapsed = time.monotonic() - began
    say(f"cycles: {count:,} connections, {arguments.rounds} times, in {elapsed:.1f} s")
    return watch.flat()


async def sigterm(certificates: Certificates, arguments: argparse.Namespace) -> bool:
    """A server that is told to end while everybody floods it."""
    flood = Flood()
    async with Crowd(certificates, **PATIENT) as crowd:
        connections = await crowd.open(arguments.connections, SECURE, on_message=flood, **PATIENT)
        flood.start(connections)
        began = time.monotonic()
        while flood.received < 20 * IN_FLIGHT * len(connections):
            await asyncio.sleep(0.01)
        rate = flood.received / (time.monotonic() - began)
        crowd.tell_to_end()
        began = time.monotonic()
        await for_all(connections, Connection.wait_closed)
        elapsed = time.monotonic() - began
        said = await crowd.ended()
    codes = collections.Counter(each.close_code for each in connections)
    say(
        f"sigterm: {len(connections):,} connections, {rate:,.0f} messages/s; close codes "
        f"{dict(codes)}; the last one after {elapsed:.2f} s, the server after "
        f"{said['seconds']:.2f} s of {DEADLINE:.0f} s"
    )
    return {*codes} == {1001} and said["seconds"] < DEADLINE


async def stalled(certificates: Certificates, arguments: argparse.Namespace) -> bool:
    """What a few good clients get done, without and with many that say nothing or do not read."""
    count = arguments.connections
    flood = Flood()
    rates: dict[bool, list[Rate]] = {False: [], True: []}
    async with Crowd(certificates, **LETS_THEM_STALL) as crowd:
        good = await crowd.open(GOOD, on_message=flood)
        flood.start(good)
        memory = crowd.figures.memory
        for _ in range(arguments.rounds // 2):
            rates[False].append(await measure(crowd, flood, arguments.messages))
            async with stalled_clients(crowd.port, count):
                used = (crowd.figures.memory - memory) / count
                rates[True].append(await measure(crowd, flood, arguments.messages))
                stood = await crowd.count() - GOOD
            await crowd.rest(GOOD)
        await for_all(good, Connection.close)
        alive = all(each.close_code == 1000 for each in good)
    without, with_them = (
        Rate(*map(statistics.median, zip(*rates[with_], strict=True))) for with_ in rates
    )
    say(
        f"stalled: {GOOD} clients have {without}, and {with_them} beside {stood:,} that stand still"
    )
    ratios = f"{with_them.messages / without.messages:.2f} and {with_them.cpu / without.cpu:.2f}"
    say(f"  ratios {ratios}; each of those takes {used / 1024:.0f} KiB of the server")
    return alive and stood == count and used < arguments.held * MIB


async def idle(certificates: Certificates, arguments: argparse.Namespace) -> bool:
    """Connections on which nothing goes on but pings and pongs, many more than usual."""
    count = arguments.connections
    pings = 0

    def count_pings(_: Connection, message: Any) -> None:
        nonlocal pings
        pings += isinstance(message, Ping)

    interval = f"{max(50, count // 5)}ms"
    began = time.monotonic()
    patient = PATIENT | {"ping_interval": interval, "pong_timeout": "1h"}
    async with Crowd(certificates, **patient) as crowd:
        await crowd.rest()
        empty = crowd.figures.memory
        options = {"on_message": count_pings, "control_messages": True}
        connections = await crowd.open(count, SECURE, **options, **PATIENT)
        watch = Watch.of(crowd, arguments)
        await watch.rest(count)
        each = (watch.samples[1].resting[0].memory - empty) / count
        for _ in range(arguments.rounds):
            wanted = pings + PINGS * count
            while pings < wanted:
                await asyncio.sleep(0.01)
            await for_all(connections, Connection.ping)
            await watch.rest(count)
        rate = pings / (time.monotonic() - began)
        alive = all(each.state is State.CONNECTED for each in connections)
        await for_all(connections, Connection.close)
    say(
        f"idle: {count:,} connections, {pings:,} pings from the server, {rate:,.0f}/s; "
        f"{each / 1024:.1f} KiB of the server for each"
    )
    return watch.flat() and alive


Part = Callable[[Certificates, argparse.Namespace], Awaitable[bool]]
PARTS: dict[str, Part] = {"cycles": cycles, "sigterm": sigterm, "stalled": stalled, "idle": idle}

COUNTS = {"cycles": 5000, "sigterm": 1000, "stalled": 1000, "idle": 1000}
"""Connections, if nothing else is said."""


def main() -> int:
    arguments = _arguments()
    if not ALLOCATOR.items() <= os.environ.items():
        # This process is measured as the server is; glibc reads it at the start.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.make(Path(folder))
        for name in arguments.part or PARTS:
            given = arguments.connections or COUNTS[name]
            how = argparse.Namespace(**(vars(arguments) | {"connections": given}))
            good &= asyncio.run(PARTS[name](certificates, how))
    return 0 if good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help=f"which of {', '.join(PARTS)}; all by default")
    parser.add_argument("--connections", type=int, help=f"by default {COUNTS}")
    parser.add_argument("--rounds", type=int, default=10, help="of cycles and idle")
    parser.add_argument("--messages", type=int, default=200_000, help="to measure a rate by")
    parser.add_argument(
        "--growth", type=float, default=4, help="MiB by which memory may seem to grow, for noise"
    )
    parser.add_argument(
        "--held", type=float, default=1, help="MiB of the server that a stalled client may take"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
