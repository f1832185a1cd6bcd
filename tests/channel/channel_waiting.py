"""Threads and tasks that wait on channels, and knowing that they do."""

import asyncio
import threading
import time
from typing import Any

from wsfast.channel import Channel

WAIT = 20.0
"""Seconds that anything may take. Only a failing test waits that long."""


def count(channel: Channel[Any]) -> tuple[int, int]:
    """How many receivers and senders wait."""
    with channel._lock:
        return len(channel._receivers), len(channel._senders)


def until_waiting(channel: Channel[Any], receivers: int = 0, senders: int = 0) -> None:
    """Returns once so many wait, no more and no less."""
    tick = threading.Event()
    deadline = time.monotonic() + WAIT
    while count(channel) != (receivers, senders):
        assert time.monotonic() < deadline, count(channel)
        tick.wait(0.001)


async def tasks_waiting(channel: Channel[Any], receivers: int = 0, senders: int = 0) -> None:
    """As `until_waiting`, while tasks of this loop run."""
    deadline = time.monotonic() + WAIT
    while count(channel) != (receivers, senders):
        assert time.monotonic() < deadline, count(channel)
        await asyncio.sleep(0)


def join(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive()
