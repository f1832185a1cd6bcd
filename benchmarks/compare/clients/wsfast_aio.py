"""wsfast.aio with callbacks, on uvloop."""

import asyncio
import itertools
import time

import loops
from task import DEFLATE_WINDOW_BITS, READ_LIMIT, Task, resident

from wsfast import aio


class Client:
    """A connection that counts down what it receives."""

    def __init__(self) -> None:
        self.left = 0

    def on_message(self, connection: aio.Connection, data: str | bytes) -> None:
        self.left -= 1
        if not self.left:
            self.done.set_result(data)

    def expect(self, count: int) -> asyncio.Future:
        self.left = count
        self.done = asyncio.get_running_loop().create_future()
        return self.done


async def connect(task: Task, client: Client | None = None) -> Client:
    client = client or Client()
    options = {}
    if task.deflate:
        options = {
            "compression": "context_takeover",
            "compression_level": task.level,
            "compression_window_bits": DEFLATE_WINDOW_BITS,
        }
    client.connection = await aio.connect(
        task.url,
        on_message=client.on_message,
        ssl_context=task.ssl_context,
        read_limit=READ_LIMIT,
        proxy=None,
        **options,
    )
    return client


async def received(task: Task) -> None:
    clients = [await connect(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        done = [client.expect(count) for client in clients]
        for client in clients:
            client.connection.send_nowait("go")
        await asyncio.gather(*done)
    task.stop()


async def echo(task: Task) -> None:
    stamps: list[float] = []
    stamp, clock = stamps.append, time.perf_counter

    class Echo(Client):
        def on_message(self, connection: aio.Connection, data: str | bytes) -> None:
            stamp(clock())
            self.left -= 1
            if self.left:
                connection.send_nowait(data)
            else:
                self.done.set_result(None)

    clients = [await connect(task, Echo()) for _ in range(task.connections)]
    [message] = task.messages()
    for count in task.rounds:
        stamps.clear()
        task.start()
        done = [client.expect(count) for client in clients]
        for client in clients:
            client.connection.send_nowait(message)
        await asyncio.gather(*done)
    task.stop()
    if task.connections == 1:
        task.latencies(stamps)


async def sent(task: Task) -> None:
    async def send(client: Client, count: int) -> str | bytes:
        answer, send = client.expect(1), client.connection.send
        for message in itertools.islice(messages, count):
            await send(message)
        return await answer

    clients = [await connect(task) for _ in range(task.connections)]
    messages = itertools.cycle(task.messages())
    for count in task.rounds:
        task.start()
        answers = await asyncio.gather(*(send(client, count) for client in clients))
    task.stop()
    task.arrived(answers[-1])


async def connects(task: Task) -> None:
    for count in task.rounds:
        task.start()
        for _ in range(count):
            client = await connect(task)
            await client.connection.close()
    task.stop()


async def idle(task: Task) -> None:
    kept = [await connect(task) for _ in range(task.warm)]
    before = resident()
    kept += [await connect(task) for _ in range(task.count)]
    task.result["memory"] = (resident() - before) / task.count


if __name__ == "__main__":
    loops.run(
        {"received": received, "echo": echo, "sent": sent, "connects": connects, "idle": idle}
    )
