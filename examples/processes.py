"""Processes without any network: a supervisor, and a worker that it starts again after a crash."""

import logging
import sys

from wsfast import process


def worker():
    """Squares what it gets, until something comes that has no square."""
    for message in process.inbox():
        process.send(message.sender, "square", message.payload * message.payload)


async def supervisor():
    """Keeps a worker running under its name. One is a task, the other a thread."""
    events = process.events()  # from now on we are told of crashes instead of going down too
    process.spawn(worker, name="worker", link=True)
    process.send("main", "ready")
    async for event in events:
        if event.kind == process.CANCEL:
            print("Asked to end:", event.reason)
            return "stopped"
        print("The worker is down:", event.reason)
        process.spawn(worker, name="worker", link=True)
        process.send("main", "ready")


def main() -> bool:
    logging.getLogger("wsfast").setLevel(logging.CRITICAL)  # where the crash would be logged too
    with process.attach("main"):
        ready, squares = process.listen("ready"), process.listen("square")
        boss = process.spawn(supervisor, monitor=True)
        ready.receive("10s")
        for value in (2, "two", 3):
            process.send("worker", "number", value)
            if value == "two":
                ready.receive("10s")
                continue
            message, _ = squares.receive("10s")
            print(f"The square of {value} is {message.payload}")
        process.cancel(boss, "that is all")
        event, _ = process.events().receive("10s")
        print("The supervisor has", event.result)
        return event.result == "stopped"


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
