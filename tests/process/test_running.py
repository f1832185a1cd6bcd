"""Where the code of processes runs: threads, loops, contexts."""

import asyncio
import contextvars
import functools
import gc
import threading
import types
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from process_helpers import (
    SECONDS,
    atake,
    await_end,
    event,
    gone,
    payload,
    run,
    take,
    until,
    wait_for_end,
)

from wsfast import process
from wsfast.process import CANCELLED, PID
from wsfast.process.node import node
from wsfast.process.own_loop import OwnLoop


def loop_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "wsfast-process-loop"]


# ------------------------------------------------------------------ what is spawned


def test_a_function_runs_in_a_thread_of_its_own(me: PID) -> None:
    def where() -> tuple[str, bool]:
        return threading.current_thread().name, threading.current_thread().daemon

    other = process.spawn(where, monitor=True)
    assert event().result == (f"wsfast-process-{other.id}", True)


def test_a_coroutine_function_runs_in_the_loop_of_its_caller() -> None:
    async def where() -> tuple[Any, str]:
        task = asyncio.current_task()
        return asyncio.get_running_loop(), "" if task is None else task.get_name()

    async def main() -> None:
        with process.attach():
            events = process.events()
            other = process.spawn(where, monitor=True)
            found = (await atake(events)).result
            assert found == (asyncio.get_running_loop(), f"wsfast-process-{other.id}")

    run(main())


def test_without_a_loop_it_runs_in_one_of_the_library(me: PID) -> None:
    async def where() -> tuple[Any, int]:
        return asyncio.get_running_loop(), threading.get_ident()

    stay = process.spawn(await_end)
    found = []
    for _ in range(5):
        process.spawn(where, monitor=True)
        found.append(event().result)
    assert len(set(found)) == 1
    assert loop_threads() == ["wsfast-process-loop"]
    process.cancel(stay)
    until(lambda: not loop_threads())


def test_that_loop_ends_with_its_last_process_however_often(me: PID) -> None:
    async def nothing() -> None:
        pass

    for _ in range(200):
        process.spawn(nothing, monitor=True)
        assert event().reason == "normal"
    until(lambda: not loop_threads())


def test_what_is_left_in_that_loop_is_cancelled(me: PID) -> None:
    left = []

    async def leaving() -> None:
        left.append(asyncio.create_task(asyncio.sleep(3600)))

    process.spawn(leaving, monitor=True)
    event()
    until(lambda: not loop_threads())
    assert left[0].cancelled()


def test_an_exit_in_that_loop_ends_nobody_else(me: PID, caplog: pytest.LogCaptureFixture) -> None:
    async def leaving() -> None:
        raise SystemExit(3)

    other = process.spawn(await_end, monitor=True)
    process.spawn(leaving, monitor=True)
    assert event().reason == "SystemExit: 3"
    assert not gone(other)
    process.cancel(other, "over")
    assert event().reason == "over"


def test_an_exit_in_a_loop_of_the_program_ends_that(caplog: pytest.LogCaptureFixture) -> None:
    async def leaving() -> None:
        raise SystemExit(3)

    async def main() -> None:
        process.spawn(leaving)
        await asyncio.sleep(3600)

    with pytest.raises(SystemExit, match="3"):
        run(main())


def test_that_loop_starts_again_for_who_enters_late(me: PID) -> None:
    """The thread has taken its last look, and is not gone yet."""
    begun = threading.Event()
    entered = threading.Event()

    class Late(OwnLoop):
        def _take(self) -> Any:
            found = super()._take()
            if found is None and not entered.is_set():
                entered.set()
                self.enter(begun.set)
                begun_at_once.append(begun.is_set())
            return found

    begun_at_once: list[bool] = []
    loop = Late()
    loop.enter(loop.leave)
    assert begun.wait(SECONDS)
    assert begun_at_once == [False]
    loop.call(loop.leave)
    until(lambda: not loop_threads())
    loop.call(lambda: 1 / 0)  # nobody is there to call it
    assert loop._calls == []


class Coroutines:
    async def __call__(self, value: int) -> int:
        return value

    async def method(self, value: int) -> int:
        return value

    @staticmethod
    async def static(value: int) -> int:
        return value


async def three(value: int) -> int:
    return value


@pytest.mark.parametrize(
    "fn", [three, Coroutines(), Coroutines().method, Coroutines.static, functools.partial(three)]
)
def test_every_kind_of_coroutine_function(me: PID, fn: Any) -> None:
    process.spawn(fn, 3, monitor=True)
    assert event().result == 3


@pytest.mark.parametrize("fn", [int, "3".__len__, functools.partial(int), abs, lambda *_: 3])
def test_every_kind_of_function(me: PID, fn: Any) -> None:
    process.spawn(fn, *([] if fn == "3".__len__ else [3]), monitor=True)
    assert event().reason == "normal"


def test_wrong_arguments_of_the_function_are_a_crash(
    me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    for fn in (wait_for_end, await_end):
        process.spawn(fn, "too many", monitor=True)  # type: ignore[call-arg, arg-type]
        assert event().reason.startswith("TypeError: ")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"fn": 5}, TypeError, "function"),
        ({"fn": await_end()}, TypeError, "function"),
        ({"monitor": 1}, TypeError, "monitor"),
        ({"link": None}, TypeError, "link"),
        ({"mailbox_size": 0}, ValueError, "mailbox_size"),
        ({"mailbox_size": 1.5}, TypeError, "mailbox_size"),
        ({"overflow": "block"}, ValueError, "overflow"),
        ({"overflow": None}, TypeError, "overflow"),
        ({"name": 5}, TypeError, "name"),
    ],
)
def test_bad_arguments_start_nothing(
    me: PID, arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    before = len(node().processes())
    fn = arguments.pop("fn", wait_for_end)
    with pytest.raises(error, match=match):
        process.spawn(fn, **arguments)
    if asyncio.iscoroutine(fn):
        fn.close()
    assert len(node().processes()) == before


def test_no_thread_is_left(me: PID, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    for fn in (wait_for_end, await_end):
        with pytest.raises(RuntimeError, match="no thread for the process"):
            process.spawn(fn, name="name", monitor=True, link=True)
        with pytest.raises(RuntimeError, match="no thread for the process"):
            process.spawn(fn)
    monkeypatch.undo()
    assert [each.pid for each in node().processes()] == [me]
    assert len(process.events()) == 0
    process.spawn(int, name="name", monitor=True)
    event()


def test_who_is_terminated_before_it_starts(me: PID) -> None:
    """By a link to its parent, which ends while it spawns."""

    async def main() -> None:
        with process.attach():
            add = node().add

            def adding(*arguments: Any) -> Any:
                child = add(*arguments)
                child.terminate("before it has begun")
                return child

            node().add = adding  # type: ignore[method-assign]
            try:
                child = process.spawn(await_end, monitor=True)
            finally:
                del node().add  # type: ignore[method-assign]
            assert (await atake(process.events())).reason == "before it has begun"
            assert gone(child)

    run(main())


# ------------------------------------------------------------------ contexts


def test_the_context_is_that_of_the_caller(me: PID) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("outer")

    def look() -> str:
        found = variable.get()
        variable.set("inner")
        return found

    async def alook() -> str:
        return look()

    for fn in (look, alook):
        process.spawn(fn, monitor=True)
        assert event().result == "outer"
        assert variable.get() == "outer"


def test_what_a_task_starts_belongs_to_it(me: PID) -> None:
    async def parent() -> bool:
        async def helper() -> PID:
            return process.pid()

        found = {
            process.pid(),
            await asyncio.create_task(helper()),
            await asyncio.to_thread(process.pid),
        }
        return len(found) == 1

    process.spawn(parent, monitor=True)
    assert event().result is True


def test_a_helper_that_outlives_its_process(me: PID) -> None:
    seen = []
    over = threading.Event()

    async def parent() -> None:
        helpers.append(asyncio.create_task(helper()))

    async def helper() -> None:
        while not gone(process.pid()):
            await asyncio.sleep(0)
        seen.append(await process.inbox().areceive())
        process.monitor(me)
        process.link(me)
        seen.append(len(process.events()))
        seen.append(process.send(me, "from the other side"))
        over.set()

    helpers: list[Any] = []
    stay = process.spawn(await_end)
    process.spawn(parent)
    assert over.wait(SECONDS)
    assert seen == [(None, False), 0, True]
    mine = node().find(me)
    assert mine is not None
    assert (mine._links, mine._monitors) == (set(), set())
    assert take(process.inbox()).topic == "from the other side"
    process.cancel(stay)


# ------------------------------------------------------------------ loops that end


def test_a_loop_that_ends_cancels_its_processes(me: PID) -> None:
    async def main() -> PID:
        return process.spawn(await_end, name="in the loop")

    other = run(main())
    assert gone(other)
    assert process.registry.lookup("in the loop") is None


def loop_closed_over_a_process() -> Any:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a task was destroyed but it is pending

    async def main() -> PID:
        other = process.spawn(await_end)
        await asyncio.sleep(0)
        return other

    other = loop.run_until_complete(main())
    loop.close()
    process.monitor(other)
    process.cancel(other)
    assert event().reason == CANCELLED
    return loop


def test_a_loop_that_is_closed_over_its_processes(me: PID) -> None:
    loop = loop_closed_over_a_process()
    del loop


def test_a_task_may_be_collected_under_any_lock(me: PID) -> None:
    loop = loop_closed_over_a_process()
    with node()._lock:
        del loop
        gc.collect()


def test_what_is_attached_may_be_dropped_under_any_lock(me: PID) -> None:
    @types.coroutine
    def pause() -> Iterator[None]:
        yield

    async def attached() -> None:
        with process.attach("dropped"):
            await pause()

    coroutine, context = attached(), contextvars.copy_context()
    context.run(coroutine.send, None)
    other = process.monitor("dropped")
    with node()._lock:
        context.run(coroutine.close)
    assert event() == (process.EXIT, other, None, CANCELLED)


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="since Python 3.12")
def test_tasks_that_begin_at_once() -> None:
    async def at_once(other: PID) -> None:
        process.send(other, "first", process.pid())
        await process.inbox().areceive()

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        with process.attach() as me:
            events = process.events()
            other = process.spawn(at_once, me, monitor=True)
            assert len(process.inbox()) == 1
            process.cancel(other, "over")
            assert (await atake(events)).reason == "over"

    run(main())


def test_threads_and_tasks_of_several_loops_talk(me: PID) -> None:
    async def relay(other: PID) -> None:
        async for message in process.inbox():
            process.send(other, message.topic, message.payload + 1)

    def trelay(other: PID) -> None:
        for message in process.inbox():
            process.send(other, message.topic, message.payload + 1)

    first: PID = me
    started = threading.Event()
    stop: list[Any] = []

    async def main() -> None:
        nonlocal first
        for fn in (relay, trelay, relay, trelay):
            first = process.spawn(fn, first)
        stop.append((asyncio.get_running_loop(), done := asyncio.Event()))
        started.set()
        await done.wait()

    thread = threading.Thread(target=run, args=(main(),))
    thread.start()
    started.wait(SECONDS)
    first = process.spawn(relay, first)
    for number in range(200):
        process.send(first, "topic", number)
    assert [payload() for _ in range(200)] == [*range(5, 205)]
    loop, done = stop[0]
    loop.call_soon_threadsafe(done.set)
    thread.join(SECONDS)
    process.cancel(first)
    until(lambda: not loop_threads())
