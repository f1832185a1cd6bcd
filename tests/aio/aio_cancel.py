"""Cancels work at every point where it waits, and looks for what that leaves behind."""

import asyncio
import itertools
import os
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Work = Callable[[], Coroutine[Any, Any, Any]]

MOST = 100_000
"""Turns of the loop that anything here may take."""


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def descriptors() -> int:
    """How many are open; 0 where the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


class Point:
    """A suspension of a task: the one of that number, from 0. The task is cancelled there, at once
    or, if `late`, when what it waits for is done and it has not gone on yet."""

    def __init__(self, number: int, *, late: bool) -> None:
        self._number = number
        self._late = late
        self.reached = False

    def __str__(self) -> str:
        return f"suspension {self._number}, {'late' if self._late else 'at once'}"

    async def step(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Does that work, up to there."""
        return await self._step(work)

    @types.coroutine
    def _step(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        go_on: Callable[[Any], Any] = work.send
        value: Any = None
        for number in itertools.count():
            try:
                waits_for = go_on(value)
            except StopIteration as end:
                return end.value
            if number == self._number:
                self._cancel(waits_for)
            try:
                value = yield waits_for
                go_on = work.send
            except BaseException as exc:  # noqa: BLE001 - it is raised where the work waits
                value, go_on = exc, work.throw
        return None

    def _cancel(self, waits_for: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.reached = True
        if self._late and waits_for is not None:
            # Before the task itself asks to be woken: it is found to be cancelled by then.
            waits_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


class Rest:
    """What is there when nothing goes on: tasks and descriptors."""

    def __init__(self) -> None:
        self._tasks = len(asyncio.all_tasks())
        self._descriptors = descriptors()

    async def come(self) -> None:
        """Waits until there is no more than that again."""
        await until(lambda: len(asyncio.all_tasks()) <= self._tasks)
        await until(lambda: descriptors() <= self._descriptors)


async def at_every_suspension(work: Work, after: Work) -> None:
    """Cancels it at each point where it waits, at once and late; awaits `after()` each time."""
    for late in (False, True):
        for number in itertools.count():
            point = Point(number, late=late)
            task = asyncio.ensure_future(point.step(work()))
            await asyncio.wait([task])
            await after()
            if not point.reached:
                assert number, "it has never waited"
                task.result()
                break
            assert task.cancelled(), (str(point), task)


async def cancel_after(turns: int, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """The task of that work, which has ended: by being cancelled after so many turns of the loop,
    if it was not faster."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
        if task.done():
            break
    task.cancel()
    await asyncio.wait([task])
    return task


async def after_any_time(work: Work, after: Work) -> None:
    """Cancels it after 0, 1, 2 turns of the loop and so on, until it is faster, whatever goes on in
    other tasks then; awaits `after()` each time."""
    turns = 0
    while turns < MOST:
        task = await cancel_after(turns, work())
        await after()
        if not task.cancelled():
            task.result()
            return
        # Later it waits for the other end most of the time: not every turn is another state.
        turns += 1 + turns // 5
    raise AssertionError(f"it takes more than {MOST} turns")


async def cancel_everywhere(work: Work, after: Work) -> None:
    """Both."""
    await at_every_suspension(work, after)
    await after_any_time(work, after)
