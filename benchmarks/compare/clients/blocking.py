"""The tasks of clients that block: each connection has `send`, `receive` and `close`.

With one connection everything runs on the main thread; with more, each has a thread of its own.
"""

import functools
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from task import Task, main, resident


class Connection(Protocol):
    def send(self, data: str | bytes) -> object: ...
    def receive(self) -> str | bytes: ...
    def close(self) -> object: ...


Connect = Callable[[Task], Connection]


def _each(
    connections: list[Connection], work: Callable[[Connection, int], object], count: int
) -> list[object]:
    """The results of what is done with each of them at once."""
    if len(connections) == 1:
        return [work(connections[0], count)]
    with ThreadPoolExecutor(len(connections)) as pool:
        return list(pool.map(lambda connection: work(connection, count), connections))


def received(task: Task, connect: Connect) -> None:
    def work(connection: Connection, count: int) -> None:
        receive = connection.receive
        connection.send("go")
        for _ in range(count):
            receive()

    connections = [connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        _each(connections, work, count)
    task.stop()


def echo(task: Task, connect: Connect) -> None:
    stamps: list[float] = []
    [message] = task.messages()

    def work(connection: Connection, count: int) -> None:
        send, receive, stamp, clock = (
            connection.send,
            connection.receive,
            stamps.append,
            time.perf_counter,
        )
        data = message
        for _ in range(count):
            send(data)
            data = receive()
            stamp(clock())

    connections = [connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        stamps.clear()
        task.start()
        _each(connections, work, count)
    task.stop()
    if task.connections == 1:
        task.latencies(stamps)


def sent(task: Task, connect: Connect) -> None:
    messages = itertools.cycle(task.messages())

    def work(connection: Connection, count: int) -> str | bytes:
        send = connection.send
        for message in itertools.islice(messages, count):
            send(message)
        return connection.receive()

    connections = [connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        answers = _each(connections, work, count)
    task.stop()
    task.arrived(answers[-1])


def connects(task: Task, connect: Connect) -> None:
    for count in task.rounds:
        task.start()
        for _ in range(count):
            connect(task).close()
    task.stop()


def idle(task: Task, connect: Connect) -> None:
    kept = [connect(task) for _ in range(task.warm)]
    before = resident()
    kept += [connect(task) for _ in range(task.count)]
    task.result["memory"] = (resident() - before) / task.count


def run(connect: Connect) -> None:
    tasks = {
        "received": received,
        "echo": echo,
        "request": echo,
        "sent": sent,
        "connects": connects,
        "idle": idle,
    }
    main({name: functools.partial(work, connect=connect) for name, work in tasks.items()})
