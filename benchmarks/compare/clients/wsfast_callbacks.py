"""wsfast's ID API, with callbacks."""

import itertools
import threading
import time

from task import DEFLATE_WINDOW_BITS, READ_LIMIT, Task, main, resident

import wsfast


class Client:
    """A connection that counts down what it receives."""

    def __init__(self, task: Task, on_message=None, **options) -> None:
        self.done = threading.Event()
        self.left = 0
        opened = threading.Event()
        if task.deflate:
            options |= {
                "compression": "context_takeover",
                "compression_level": task.level,
                "compression_window_bits": DEFLATE_WINDOW_BITS,
            }
        self.id = wsfast.connect(
            task.url,
            on_message=on_message or self.on_message,
            on_open=opened.set,
            on_error=print,
            ssl_context=task.ssl_context,
            read_limit=READ_LIMIT,
            **options,
        )
        if not opened.wait(10):
            raise TimeoutError("not opened")

    def on_message(self, data) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()

    def expect(self, count: int) -> None:
        self.done.clear()
        self.left = count

    def send(self, data) -> None:
        if not wsfast.send(self.id, data):
            raise ConnectionError("not sent")


def received(task: Task) -> None:
    clients = [Client(task) for _ in range(task.connections)]
    for count in task.rounds:
        task.start()
        for client in clients:
            client.expect(count)
            client.send("go")
        for client in clients:
            client.done.wait()
    task.stop()


def echo(task: Task) -> None:
    stamps: list[float] = []
    stamp, clock, send = stamps.append, time.perf_counter, wsfast.send

    class Echo(Client):
        def on_message(self, data) -> None:
            stamp(clock())
            self.left -= 1
            if self.left:
                send(self.id, data)
            else:
                self.done.set()

    clients = [Echo(task) for _ in range(task.connections)]
    [message] = task.messages()
    for count in task.rounds:
        stamps.clear()
        task.start()
        for client in clients:
            client.expect(count)
            client.send(message)
        for client in clients:
            client.done.wait()
    task.stop()
    if task.connections == 1:
        task.latencies(stamps)


def sent(task: Task) -> None:
    answers: list[str] = []

    class Sender(Client):
        def on_message(self, data) -> None:
            answers.append(data)
            self.done.set()

    send = wsfast.send
    clients = [Sender(task) for _ in range(task.connections)]
    ids = [client.id for client in clients]
    messages = itertools.cycle(task.messages())
    for count in task.rounds:
        for client in clients:
            client.expect(1)
        task.start()
        for message in itertools.islice(messages, count):
            for id in ids:
                send(id, message)
        for client in clients:
            client.done.wait()
    task.stop()
    task.arrived(answers[-1])


def connects(task: Task) -> None:
    closed = threading.Event()
    for count in task.rounds:
        task.start()
        for _ in range(count):
            closed.clear()
            client = Client(task, on_close=lambda code, reason: closed.set())
            wsfast.close(client.id)
            closed.wait()
    task.stop()


def idle(task: Task) -> None:
    kept = [Client(task) for _ in range(task.warm)]
    before = resident()
    kept += [Client(task) for _ in range(task.count)]
    task.result["memory"] = (resident() - before) / task.count


def run() -> None:
    main({"received": received, "echo": echo, "sent": sent, "connects": connects, "idle": idle})


if __name__ == "__main__":
    run()
