"""wsfast's ID API without callbacks: `get_messages`, about once a millisecond, as a game does."""

import threading
import time

from task import READ_LIMIT, Task, main

import wsfast


def received(task: Task) -> None:
    opened = threading.Event()
    ws = wsfast.connect(
        task.url, on_open=opened.set, ssl_context=task.ssl_context, read_limit=READ_LIMIT
    )
    opened.wait(10)
    for count in task.rounds:
        task.start()
        wsfast.send(ws, "go")
        taken = 0
        while taken < count:
            time.sleep(0.001)
            taken += len(wsfast.get_messages(ws))
    task.stop()


if __name__ == "__main__":
    main({"received": received})
