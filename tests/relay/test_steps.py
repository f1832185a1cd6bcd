"""What is sent by the loop's own thread leaves at once, in the name of the task that sends."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import pytest
from process_helpers import run
from relay_fakes import Fake
from relay_helpers import inviting, logged, told

from wsfast import process, relay
from wsfast.process import PID
from wsfast.process.node import node
from wsfast.relay.connection import Connection
from wsfast.relay.steps import begin


class Server(Fake):
    """Whose sending does what the test says, after the client has been accepted."""

    def __init__(self, act: Callable[[Any], Awaitable[object]]) -> None:
        super().__init__()
        self._act = act

    async def send(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            await self._act(event)
        await super().send(event)

    @property
    def said(self) -> list[Any]:
        return [each["text"] for each in self.sent if each["type"] == "websocket.send"]


async def nothing(event: Any) -> None:
    pass


async def begun(fake: Fake, me: PID, **options: Any) -> tuple["asyncio.Task[None]", PID]:
    """A connection whose writing task sleeps."""
    task, pid = await fake.start_joined(relay.WebSocketRelay(inviting(me), **options))
    connection = connection_of(pid)
    while connection._sleeper is None:
        await asyncio.sleep(0)
    return task, pid


def connection_of(pid: PID) -> Connection:
    found = node().find(pid)
    assert isinstance(found, Connection)
    return found


def say(pid: PID, text: Any) -> None:
    assert process.send(pid, "ws.send", {"data": text})


def test_it_has_been_sent_when_the_call_returns(me: PID) -> None:
    async def main() -> None:
        fake = Server(nothing)
        task, pid = await begun(fake, me)
        for number in range(3):
            say(pid, str(number))
        assert fake.said == ["0", "1", "2"]
        fake.disconnect()
        await task

    run(main())


def test_not_by_other_threads_and_not_before_what_waits(me: PID) -> None:
    async def main() -> None:
        fake = Server(nothing)
        task, pid = await begun(fake, me)
        other = threading.Thread(target=say, args=(pid, "first"))
        other.start()
        other.join()
        say(pid, "second")
        assert fake.said == []
        while len(fake.said) < 2:
            await asyncio.sleep(0)
        assert fake.said == ["first", "second"]
        fake.disconnect()
        await task

    run(main())


def test_what_has_to_wait_goes_on_in_the_writing_task(me: PID) -> None:
    async def act(event: Any) -> None:
        tasks.append(asyncio.current_task())
        if event["text"] == "waits":
            await go_on.wait()
            tasks.append(asyncio.current_task())
            await asyncio.sleep(0)

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me)
        mine = asyncio.current_task()
        for text in ("at once", "waits", "after it"):
            say(pid, text)
        assert asyncio.current_task() is mine
        assert fake.said == ["at once"]
        for _ in range(5):
            await asyncio.sleep(0)
        assert fake.said == ["at once"]
        go_on.set()
        while len(fake.said) < 3:
            await asyncio.sleep(0)
        assert fake.said == ["at once", "waits", "after it"]
        assert {*tasks} == {connection_of(pid)._writer}
        fake.disconnect()
        await task

    tasks: list[Any] = []
    go_on = asyncio.Event()
    run(main())


def test_from_a_callback(me: PID) -> None:
    """Where no task is the current one."""

    async def act(event: Any) -> None:
        if event["text"] == "waits":
            await asyncio.sleep(0)

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me)
        for text in ("at once", "waits"):
            asyncio.get_running_loop().call_soon(say, pid, text)
        await asyncio.sleep(0)
        assert fake.said == ["at once"]
        while len(fake.said) < 2:
            await asyncio.sleep(0)
        fake.disconnect()
        await task

    run(main())


def test_a_timeout_in_there(me: PID) -> None:
    """Is one of the writing task, and touches nobody else."""

    async def act(event: Any) -> None:
        if event["text"] == "too long":
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                timeouts.append(event)

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me)
        say(pid, "too long")
        say(pid, "still here")
        while len(fake.said) < 2:
            await asyncio.sleep(0)
        assert len(timeouts) == 1
        fake.disconnect()
        await task

    timeouts: list[Any] = []
    run(main())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_client_that_is_gone(me: PID, at_once: bool) -> None:
    async def act(event: Any) -> None:
        if not at_once:
            await asyncio.sleep(0)
        raise OSError

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me)
        say(pid, "nobody hears it")
        await asyncio.sleep(0)
        fake.disconnect()
        await task
        assert told("ws.leave")["reason"] == "closed"

    run(main())


def test_what_is_wrong(me: PID, caplog: pytest.LogCaptureFixture) -> None:
    async def act(event: Any) -> None:
        raise LookupError

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me, close_timeout="1ms")
        say(pid, 7)
        assert "ws.send for" in logged(caplog)
        say(pid, "the server fails")
        assert not process.send(pid, "ws.send", {"data": "too late"})
        await task
        assert fake.sent[-1]["code"] == 1011

    run(main())
    assert "has failed" in logged(caplog, logging.ERROR)


@pytest.mark.parametrize("how", ["before", "while"])
def test_the_end_comes_before_it_is_sent(me: PID, how: str) -> None:
    """Before, or while the writing task waits for it."""

    async def act(event: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event)

    async def main() -> None:
        fake = Server(act)
        task, pid = await begun(fake, me)
        if how == "before":
            fake.disconnect()
        say(pid, "never sent")
        if how == "while":
            for _ in range(3):
                await asyncio.sleep(0)
            fake.disconnect()
        await task
        assert fake.said == []
        assert len(ended) == 1

    ended: list[Any] = []
    run(main())


def test_it_is_dropped_with_its_task(me: PID) -> None:
    """As when an event loop is closed over it."""

    class Waiting:
        def __init__(self) -> None:
            self.closed = False

        def __await__(self) -> Any:
            try:
                yield
            finally:
                self.closed = True

    async def main() -> None:
        waiting = Waiting()
        sleeping = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        rest = begin(waiting, sleeping, copy_context(), asyncio.get_running_loop())
        assert rest is not None
        awaiting: Any = rest.__await__()
        next(awaiting)
        awaiting.close()
        assert waiting.closed
        sleeping.cancel()

    run(main())
