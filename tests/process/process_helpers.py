"""Waiting for processes, and running tasks, with a bound that only a failing test meets."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from wsfast import process
from wsfast.channel import Channel
from wsfast.process.node import node

WAIT = "60s"
SECONDS = 60.0


def take(channel: Channel[Any]) -> Any:
    """The next value; fails at the end of the channel."""
    value, ok = channel.receive(WAIT)
    assert ok
    return value


async def atake(channel: Channel[Any]) -> Any:
    value, ok = await channel.areceive(WAIT)
    assert ok
    return value


def payload(channel: Channel[Any] | None = None) -> Any:
    """The payload of the next message."""
    return take(process.inbox() if channel is None else channel).payload


def event() -> process.Event:
    """The next event of the calling process."""
    found: process.Event = take(process.events())
    return found


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await main

    return asyncio.run(bounded())


def until(condition: Callable[[], object]) -> None:
    tick = threading.Event()
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        tick.wait(0.001)


def gone(pid: process.PID) -> bool:
    return node().find(pid) is None


def ended(pid: process.PID) -> process.Event:
    """Waits for the end of a process, and tells how it was."""
    with process.attach():
        process.monitor(pid)
        return event()


def echo() -> None:
    """A process that sends back what it gets."""
    for message in process.inbox():
        process.send(message.sender, message.topic, message.payload)


async def aecho() -> None:
    async for message in process.inbox():
        process.send(message.sender, message.topic, message.payload)


def wait_for_end() -> None:
    """A process that does nothing until it is terminated."""
    process.inbox().receive()


async def await_end() -> None:
    await process.inbox().areceive()
