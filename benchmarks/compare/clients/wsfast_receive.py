"""wsfast's blocking connection: `send` and `receive` on one thread, no callbacks."""

import time

from task import READ_LIMIT, Task, main

from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect


def request(task: Task) -> None:
    options = client_options(ssl_context=task.ssl_context, read_limit=READ_LIMIT)
    connection = connect(parse_url(task.url), options)
    stamps: list[float] = []
    [message] = task.messages()
    for count in task.rounds:
        stamps.clear()
        task.start()
        for _ in range(count):
            connection.send(message)
            connection.receive()
            stamps.append(time.perf_counter())
    task.stop()
    task.latencies(stamps)
    connection.close()


if __name__ == "__main__":
    main({"request": request})
