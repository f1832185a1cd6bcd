"""wsfast's Client: `send` and the channel's `receive` on one thread."""

import time

from task import READ_LIMIT, Task, main

from wsfast.client import connect


def request(task: Task) -> None:
    stamps: list[float] = []
    [message] = task.messages()
    with connect(task.url, ssl_context=task.ssl_context, read_limit=READ_LIMIT) as client:
        channel = client.channel()
        for count in task.rounds:
            stamps.clear()
            task.start()
            for _ in range(count):
                client.send(message)
                channel.receive()
                stamps.append(time.perf_counter())
        task.stop()
        task.latencies(stamps)


if __name__ == "__main__":
    main({"request": request})
