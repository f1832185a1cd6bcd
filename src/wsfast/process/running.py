"""The code of processes: threads, tasks, and what is a process for a while."""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

from wsfast.process.mailboxes import Terminated
from wsfast.process.messages import CANCELLED, NORMAL
from wsfast.process.node import node
from wsfast.process.own_loop import own_loop
from wsfast.process.processes import Process
from wsfast.protocol.errors import NoContext
from wsfast.system.background import start_thread

__all__ = ["current", "current_or_none", "run_attached", "start"]

logger = logging.getLogger("wsfast")

_CRASHED = "the process %s has crashed"

_Errors: TypeAlias = tuple[type[BaseException], ...]

_running: "ContextVar[Process | None]" = ContextVar("wsfast.process", default=None)
"""The process that the code belongs to."""


def current_or_none() -> Process | None:
    """The process that this code belongs to; None outside of any, and in the child of a fork."""
    process = _running.get()
    return process if process is not None and process.node is node() else None


def current() -> Process:
    """The process that this code belongs to. `NoContext` outside of any."""
    process = current_or_none()
    if process is None:
        raise NoContext("only a process can do that: see wsfast.process.spawn and attach")
    return process


def start(process: Process, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Starts the code of a process, in a copy of the context. `RuntimeError` if there is no
    thread for it."""
    context = contextvars.copy_context()
    context.run(_running.set, process)
    if not _makes_coroutines(fn):
        code = partial(context.run, _run_thread, process, fn, args)
        if start_thread(code, f"wsfast-process-{process.pid.id}") is None:
            raise RuntimeError("there is no thread for the process")
        return
    task = _Task(process)
    begin = partial(task.start, partial(fn, *args), context)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        process.stop = partial(own_loop.call, task.cancel)
        process.ended = own_loop.leave
        own_loop.enter(partial(begin, (Exception, Terminated, SystemExit, KeyboardInterrupt)))
    else:
        process.stop = partial(task.cancel_in, loop)
        begin((Exception, Terminated))


def _makes_coroutines(fn: Callable[..., Any]) -> bool:
    # An object may be a coroutine function by its class.
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def _run_thread(process: Process, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = fn(*args)
    except BaseException as error:
        if process.fail(error):
            logger.exception(_CRASHED, process.pid)
    else:
        process.finish(NORMAL, result)


async def _run_task(process: Process, code: Callable[[], Any], swallowed: _Errors) -> None:
    try:
        result = await code()
    except GeneratorExit:
        process.abandon()
        raise
    except BaseException as error:
        if process.fail(error):
            logger.exception(_CRASHED, process.pid)
        if not isinstance(error, swallowed):
            raise
    else:
        process.finish(NORMAL, result)


class _Task:
    """The task of a process. All but `cancel_in` is for the thread of its loop."""

    def __init__(self, process: Process, task: "asyncio.Task[Any] | None" = None) -> None:
        self._process = process
        self._task = task
        self._cancelled = False
        self._cancelled_before = 0 if task is None else task.cancelling()

    def start(
        self, code: Callable[[], Any], context: contextvars.Context, swallowed: _Errors
    ) -> None:
        """Starts it, in the loop that runs, to which all errors go that are not `swallowed`."""
        process = self._process
        self._task = asyncio.get_running_loop().create_task(
            _run_task(process, code, swallowed),
            name=f"wsfast-process-{process.pid.id}",
            context=context,
        )
        # Its own code does not run at all if it is cancelled first.
        self._task.add_done_callback(lambda _: process.finish(CANCELLED))
        if process.terminated:
            self.cancel()

    def cancel(self) -> None:
        """Cancels it, once there is something to cancel."""
        if self._task is not None and not self._process.has_ended:
            self._cancelled = True
            self._task.cancel()

    def cancel_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """As `cancel`, by any thread."""
        try:
            loop.call_soon_threadsafe(self.cancel)
        except RuntimeError:
            # The loop has been closed over its tasks: they will not run again.
            self._process.finish(CANCELLED)

    def uncancel(self) -> bool:
        """Takes our cancellation back; whether there has been no other."""
        if self._task is None or not self._cancelled:
            return False
        return self._task.uncancel() <= self._cancelled_before


@contextmanager
def run_attached(process: Process) -> Iterator[None]:
    """Lets the code inside be that of `process`."""
    task = None
    try:
        loop = asyncio.get_running_loop()
        task = _Task(process, asyncio.current_task(loop))
        process.stop = partial(task.cancel_in, loop)
    except RuntimeError:
        pass
    before = _running.get()
    _running.set(process)
    try:
        yield
    except GeneratorExit:
        process.abandon()
        raise
    except BaseException as error:
        process.fail(error)
        if isinstance(error, asyncio.CancelledError) and task is not None and task.uncancel():
            raise Terminated(process.terminated or CANCELLED) from error
        raise
    else:
        process.finish(NORMAL)
    finally:
        _running.set(before)
