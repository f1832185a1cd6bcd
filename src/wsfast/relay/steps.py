"""Beginning to send in the name of a task that sleeps, and letting it go on from there."""

import asyncio
from asyncio import _enter_task, _leave_task
from collections.abc import Awaitable, Generator
from contextvars import Context
from typing import Any

__all__ = ["Rest", "begin"]


class Rest:
    """What is left of something that has begun, to be awaited by the task in whose name it has."""

    __slots__ = ("_iterator", "_waits_for")

    def __init__(self, iterator: Generator[Any, Any, Any], waits_for: Any) -> None:
        self._iterator = iterator
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        iterator, waits_for = self._iterator, self._waits_for
        try:
            while True:
                try:
                    value = yield waits_for
                except GeneratorExit:
                    iterator.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the other's to handle
                    waits_for = iterator.throw(error)
                else:
                    waits_for = iterator.send(value)
        except StopIteration:
            return

    def close(self) -> None:
        """Ends it, as nobody will await it."""
        self._iterator.close()


def begin(
    awaitable: Awaitable[Any],
    task: "asyncio.Task[Any]",
    context: Context,
    loop: asyncio.AbstractEventLoop,
) -> Rest | None:
    """Does as much as is possible without waiting, as `task` would, which sleeps; that saves a turn
    of the loop. None if that was all. Raises what it raises.

    To be called by the thread of the loop, while that runs. Which task is the current one is told
    to asyncio, as its documentation wants it of other implementations of tasks: so a timeout in
    there is one of `task`.
    """
    iterator: Any = awaitable.__await__()
    current = asyncio.current_task(loop)
    if current is not None:
        _leave_task(loop, current)
    _enter_task(loop, task)
    try:
        waits_for = context.run(next, iterator)
    except StopIteration:
        return None
    finally:
        _leave_task(loop, task)
        if current is not None:
            _enter_task(loop, current)
    return Rest(iterator, waits_for)
