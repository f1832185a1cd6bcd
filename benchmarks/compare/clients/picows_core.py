"""picows' core API, its fastest, on uvloop. It checks neither UTF-8 (but where text is asked for)
nor the order of fragments, and its masking keys are not a CSPRNG's: it has no options for these."""

import asyncio
import itertools
import time

import loops
from picows import WSCloseCode, WSListener, WSMsgType, ws_connect
from task import READ_LIMIT, Task, resident


class Client(WSListener):
    """A connection that counts down what it receives."""

    def __init__(self, task: Task) -> None:
        self.text = task.kind == "text"
        self.left = 0
        self.resumed = asyncio.Event()
        self.resumed.set()

    def on_ws_connected(self, transport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport, frame) -> None:
        if self.text:
            frame.get_payload_as_utf8_text()
        else:
            frame.get_payload_as_bytes()
        self.left -= 1
        if not self.left:
            self.done.set_result(None)

    def pause_writing(self) -> None:
        self.resumed.clear()

    def resume_writing(self) -> None:
        self.resumed.set()

    def expect(self, count: int) -> asyncio.Future:
        self.left = count
        self.done = asyncio.get_running_loop().create_future()
        return self.done


async def connect(task: Task, client: type[Client] = Client) -> Client:
    _, listener = await ws_connect(
        lambda: client(task),
        task.url,
        ssl_context=task.ssl_context,
        max_frame_size=READ_LIMIT,
        use_aiofastnet=task.transport != "uvloop",
    )
    return listener


async def connect_all(task: Task, client: type[Client] = Client) -> list[Client]:
    return [await connect(task, client) for _ in range(task.connections)]


async def received(task: Task) -> None:
    clients = await connect_all(task)
    for count in task.rounds:
        task.start()
        done = [client.expect(count) for client in clients]
        for client in clients:
            client.transport.send(WSMsgType.TEXT, b"go")
        await asyncio.gather(*done)
    task.stop()


async def echo(task: Task) -> None:
    stamps: list[float] = []
    stamp, clock, binary = stamps.append, time.perf_counter, WSMsgType.BINARY

    class Echo(Client):
        def on_ws_frame(self, transport, frame) -> None:
            data = frame.get_payload_as_bytes()
            stamp(clock())
            self.left -= 1
            if self.left:
                transport.send(binary, data)
            else:
                self.done.set_result(None)

    clients = await connect_all(task, Echo)
    [message] = task.messages()
    for count in task.rounds:
        stamps.clear()
        task.start()
        done = [client.expect(count) for client in clients]
        for client in clients:
            client.transport.send(binary, message)
        await asyncio.gather(*done)
    task.stop()
    if task.connections == 1:
        task.latencies(stamps)


async def sent(task: Task) -> None:
    class Sender(Client):
        def on_ws_frame(self, transport, frame) -> None:
            self.done.set_result(frame.get_payload_as_bytes())

    async def send(client: Sender, count: int) -> bytes:
        answer = client.expect(1)
        transport, resumed, binary = client.transport, client.resumed, WSMsgType.BINARY
        for message in itertools.islice(messages, count):
            transport.send(binary, message)
            if not resumed.is_set():
                await resumed.wait()
        return await answer

    clients = await connect_all(task, Sender)
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
            client.expect(1)
            client.transport.send_close(WSCloseCode.OK)
            await client.done  # the close frame's answer
            client.transport.disconnect()
            await client.transport.wait_disconnected()
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
