"""A program that joins others, with a process that does what the lines of its input say.

A line is the repr of an expression and of the variables in it; so is the answer.
"""

import logging
import sys
import time
from typing import Any

from wsfast import process

WAIT = "60s"


def echo() -> None:
    for message in process.inbox():
        process.send(message.sender, message.topic, message.payload)


def collect(count: int, to: process.PID) -> None:
    """Reports what has come, once there is so much."""
    inbox = process.inbox()
    process.send(to, "collected", [inbox.receive(WAIT)[0].payload for _ in range(count)])


def burst(to: process.PID, sender: int, count: int) -> None:
    for number in range(count):
        while not process.send(to, "burst", [sender, number]):
            time.sleep(0.001)  # the queue is full


def give(value: Any) -> Any:
    process.inbox().receive()
    return value


def fail(text: str) -> None:
    process.inbox().receive()
    raise ValueError(text)


def wait_for_end() -> None:
    process.inbox().receive()


def linked(to: process.PID, trap: bool = False) -> None:
    if trap:
        process.events()
    process.link(to)
    process.send(to, "linked")
    for message in process.inbox():
        if message.topic == "crash":
            raise ValueError("crash")
        if message.topic == "unlink":
            process.unlink(to)
            process.send(to, "unlinked")
        if message.topic == "events":
            event, _ = process.events().receive(WAIT)
            process.send(message.sender, "event", [event.kind, event.sender, event.reason])


def target() -> None:
    """What a WebSocket is relayed to: tells the client of all that it is told itself."""
    for topic, payload, client in process.inbox():
        data = payload.get("data")
        process.send(client, "ws.send", {"data": topic if data is None else data})


def event() -> tuple[Any, ...]:
    """The next event of the main process."""
    kind, sender, result, reason = process.events().receive(WAIT)[0]
    return str(kind), sender, result, reason


def payload() -> Any:
    return process.inbox().receive(WAIT)[0].payload


def main() -> None:
    logging.basicConfig()
    logging.getLogger("wsfast").setLevel(logging.WARNING)
    with process.attach() as me:
        process.events()
        known = {**globals(), "me": me, "process": process}
        for line in sys.stdin:
            expression, values = eval(line, {"PID": process.PID})
            try:
                answer = eval(expression, known | values)
            except (ConnectionError, LookupError, ValueError, process.NameTaken) as error:
                answer = f"{type(error).__name__}: {error}"
            sys.stdout.write(f"{answer!r}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
