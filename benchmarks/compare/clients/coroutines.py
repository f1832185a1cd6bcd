"""The tasks of clients on asyncio, on asyncio: each connection has `send`, `receive`, `close`."""

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import loops
from task import Task, resident


class Connection(Protocol):
    async def send(self, data: str | bytes) -> object: ...
    async def receive(self) -> str | bytes: ...
    async def close(self) -> object: ...


Connect = Callable[[Task], Awaitable[Connection]]


async def _each(connections: list[Connection], work, count: int) -> list:
    """The results of what is done with each of them at once."""
    if len(connections) == 1:
        return [await work(connections[0], count)]
    return await asyncio.gather(*(work(connection, count) for connection in connections))


async def received(task: Task, connect: Connect) -> None:
    async def work(connection: Connection, count: int) -> None:
        receive = connection.receive
        await connection.send("go")
        for _ in range(count):
            await receive()

    connections = [await connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        await _each(connections, work, count)
    task.stop()


async def echo(task: Task, connect: Connect) -> None:
    stamps: list[float] = []
    [message] = task.messages()

    async def work(connection: Connection, count: int) -> None:
        send, receive, stamp, clock = (
            connection.send,
            connection.receive,
            stamps.append,
            time.perf_counter,
        )
        data = message
        for _ in range(count):
            await send(data)
            data = await receive()
            stamp(clock())

    connections = [await connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        stamps.clear()
        task.start()
        await _each(connections, work, count)
    task.stop()
    if task.connections == 1:
        task.latencies(stamps)


async def sent(task: Task, connect: Connect) -> None:
    messages = itertools.cycle(task.messages())

    async def work(connection: Connection, count: int) -> str | bytes:
        send = connection.send
        for message in itertools.islice(messages, count):
            await send(message)
        return await connection.receive()

    connections = [await connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        answers = await _each(connections, work, count)
    task.stop()
    task.arrived(answers[-1])


async def connects(task: Task, connect: Connect) -> None:
    for count in task.rounds:
        task.start()
        for _ in range(count):
            connection = await connect(task)
            await connection.close()
    task.stop()


async def idle(task: Task, connect: Connect) -> None:
    kept = [await connect(task) for _ in range(task.warm)]
    before = resident()
    kept += [await connect(task) for _ in range(task.count)]
    task.result["memory"] = (resident() - before) / task.count


def run(connect: Connect) -> None:
    tasks = {"received": received, "echo": echo, "sent": sent, "connects": connects, "idle": idle}
    loops.run({name: functools.partial(work, connect=connect) for name, work in tasks.items()})
