"""Channels of one's own beside those of two connections, and a deadline: one select for all.

What has been echoed goes through another channel, from this thread to a task of asyncio.
"""

import asyncio
import threading

from _server import run

from wsfast.channel import Channel, after, select
from wsfast.client import connect
from wsfast.errors import ConnectError

LINES = ["one", "two", "three"]


def produce(lines):
    """In a thread: waits while two lines wait to be taken."""
    for line in LINES:
        lines.send(line)
    lines.close()


async def count(echoes, total):
    """In a task: as `for echo in echoes` in a thread."""
    seen = 0
    async for echo in echoes:
        seen += len(echo)
    await total.asend(seen)


def main(url: str) -> bool:
    try:
        first, second = connect(f"{url}?server=first"), connect(f"{url}?server=second")
    except ConnectError as error:
        print("Error:", error)
        return False
    lines, echoes, total = Channel(2), Channel(), Channel()
    threading.Thread(target=produce, args=(lines,), daemon=True).start()
    threading.Thread(target=asyncio.run, args=(count(echoes, total),), daemon=True).start()

    with first, second:
        names = {first.channel(): "first", second.channel(): "second"}
        deadline = after("10s")
        sources = [channel.case_receive() for channel in (lines, *names, deadline)]
        expected = 2 * len(LINES)
        while expected:
            chosen = select(sources)
            if chosen.channel is deadline or (chosen.channel in names and not chosen.ok):
                return False
            if chosen.channel in names:
                print(f"{names[chosen.channel]} echoes {chosen.value.data}")
                echoes.send(chosen.value.data)
                expected -= 1
            elif chosen.ok:
                first.send(chosen.value)
                second.send(chosen.value)
            else:
                sources.pop(0)  # no more lines; a closed channel would be ready again and again

    echoes.close()
    seen, _ = total.receive()
    print("Echoed:", seen, "characters")
    return seen == 2 * len("".join(LINES))


if __name__ == "__main__":
    run(main, "echo")
