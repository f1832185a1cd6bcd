"""Cancellation at every point where something waits: nothing is left, lost, or half sent."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from aio_peers import opened, raw_client
from raw_peers import TEXT

from wsfast import aio
from wsfast.aio import Connection
from wsfast.protocol.constants import State

MOST = 100_000
"""Turns of the loop that anything here may take."""


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.send(message)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def cancel_after(turns: int, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """The task of that work, which has ended: by being cancelled after so many turns of the loop,
    if it was not faster."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
        if task.done():
            break
    task.cancel()
    await asyncio.wait([task])
    return task


async def cancel_everywhere(
    work: Callable[[], Coroutine[Any, Any, Any]], after: Callable[[], Awaitable[None]]
) -> None:
    """Cancels it after 0, 1, 2 turns and so on, until it is faster; awaits `after()` each time."""
    turns = 0
    while turns < MOST:
        task = await cancel_after(turns, work())
        await after()
        if not task.cancelled():
            task.result()
            return
        # Later it waits for the other end most of the time: not every turn is another state.
        turns += 1 + turns // 20
    raise AssertionError(f"it takes more than {MOST} turns")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_connect(run: Any, certificates: Any, scheme: str) -> None:
    async def main() -> None:
        options: Any = {"ssl_context": certificates.server} if scheme == "wss" else {}
        ours: Any = {"ssl_context": certificates.client} if scheme == "wss" else {}
        async with aio.serve(echo, "127.0.0.1", **options) as server:
            url = f"{scheme}://localhost:{server.port}/"

            async def work() -> None:
                connection = await aio.connect(url, proxy=None, **ours)
                connection.abort()

            await cancel_everywhere(work, lambda: until(lambda: not server.connections))

    run(main())


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_whole_life(run: Any, certificates: Any, scheme: str) -> None:
    async def main() -> None:
        options: Any = {"ssl_context": certificates.server} if scheme == "wss" else {}
        ours: Any = {"ssl_context": certificates.client} if scheme == "wss" else {}
        async with aio.serve(echo, "127.0.0.1", **options) as server:
            url = f"{scheme}://127.0.0.1:{server.port}/"

            async def work() -> None:
                async with aio.connect(url, **ours) as connection:
                    await connection.send(b"x" * 300_000)
                    assert len(await connection.receive()) == 300_000
                    await connection.ping()

            await cancel_everywhere(work, lambda: until(lambda: not server.connections))

    run(main())


def test_receive(run: Any, role: str) -> None:
    async def main() -> None:
        numbers = itertools.count()
        async with opened(role) as (connection, peer):
            received: list[Any] = []

            async def work() -> None:
                peer.send(TEXT, b"%d" % next(numbers))
                received.append(await connection.receive())

            async def after() -> None:
                pass

            await cancel_everywhere(work, after)
            last = next(numbers)
            while len(received) < last:
                received.append(await connection.receive())
            assert received == [str(i) for i in range(last)]

    run(main())


def test_send(run: Any, role: str) -> None:
    """What the peer gets are whole messages, each of those that were not cancelled among them."""

    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent: list[bytes] = []
            numbers = itertools.count()

            async def take(received: list[bytes]) -> None:
                while True:
                    received.append((await peer.read_frame()).payload[:8])
                    if received[-1] == b"the last":
                        return

            async def work() -> None:
                for _ in range(30):
                    message = b"%08d" % next(numbers)
                    await connection.send(message + b"x" * 100_000)
                    sent.append(message)

            received: list[bytes] = []
            taking = asyncio.ensure_future(take(received))

            async def after() -> None:
                await until(lambda: connection._has_room)

            await cancel_everywhere(work, after)
            await connection.send(b"the last")
            await taking
            assert received == sorted(received)
            assert {*sent} <= {*received}

    run(main())


def test_close(run: Any, role: str) -> None:
    async def main() -> None:
        for turns in range(20):
            async with opened(role) as (connection, peer):
                answering = asyncio.ensure_future(peer.answer_close())
                await cancel_after(turns, connection.close())
                assert connection.state is not State.CONNECTED or turns == 0
                if turns == 0:  # it had not begun
                    await connection.close()
                assert (await answering).code == 1000
                await connection.wait_closed()
                assert connection.close_code == 1000

    run(main())


def test_serve(run: Any) -> None:
    async def main() -> None:
        async def work() -> None:
            async with (
                aio.serve(echo, "localhost") as server,
                raw_client(server.port) as peer,
            ):
                peer.send(TEXT, b"hello")
                assert (await peer.read_frame()).payload == b"hello"
                async with asyncio.TaskGroup() as group:
                    group.create_task(peer.answer_close())
                    await server.shutdown()

        async def after() -> None:
            await until(lambda: len(asyncio.all_tasks()) == 1)

        await cancel_everywhere(work, after)

    run(main())
