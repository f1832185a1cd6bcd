"""Cancelling: being told, having time, being ended."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from process_helpers import (
    SECONDS,
    WAIT,
    atake,
    await_end,
    ended,
    event,
    gone,
    payload,
    run,
    take,
    until,
    wait_for_end,
)

from wsfast import process
from wsfast.channel import aselect, select
from wsfast.process import CANCEL, CANCELLED, EXIT, PID, Event, Terminated
from wsfast.process.node import node


def told() -> str:
    process.events()
    process.send("me", "ready")
    return f"{event().reason}, and cleaned up"


async def atold() -> str:
    events = process.events()
    process.send("me", "ready")
    return f"{(await atake(events)).reason}, and cleaned up"


def deaf() -> None:
    """Is told of its cancellation, and does not mind."""
    process.events()
    process.send("me", "ready")
    process.inbox().receive()


async def adeaf() -> None:
    process.events()
    process.send("me", "ready")
    await process.inbox().areceive()


@pytest.fixture(autouse=True)
def named(me: PID) -> None:
    process.registry.register("me")


def test_who_has_just_ended_is_not_cancelled(me: PID) -> None:
    other = process.spawn(wait_for_end, monitor=True)
    found = node().find(other)
    assert found is not None
    process.cancel(other)
    event()
    assert not found.cancel(None, "reason", None)


@pytest.mark.parametrize("waiting", [wait_for_end, await_end])
def test_who_has_not_asked_is_ended_at_once(me: PID, waiting: Callable[[], Any]) -> None:
    other = process.spawn(waiting, monitor=True)
    assert process.cancel(other, grace=None) is True
    assert event() == Event(EXIT, other, None, CANCELLED)


@pytest.mark.parametrize("telling", [told, atold])
def test_who_has_asked_is_told_and_ends_by_itself(me: PID, telling: Callable[[], Any]) -> None:
    other = process.spawn(telling, monitor=True)
    take(process.inbox())
    assert process.cancel(other, "closing")
    assert event() == Event(EXIT, other, "closing, and cleaned up", "normal")


@pytest.mark.parametrize("being_deaf", [deaf, adeaf])
def test_who_does_not_in_time_is_ended(me: PID, being_deaf: Callable[[], Any]) -> None:
    other = process.spawn(being_deaf, monitor=True)
    take(process.inbox())
    assert process.cancel(other, "closing", grace="5ms")
    assert event() == Event(EXIT, other, None, "closing")
    assert process.cancel(other) is False


def test_the_event_says_by_whom(me: PID) -> None:
    def telling() -> Event:
        process.events()
        process.send("me", "ready")
        return event()

    other = process.spawn(telling, monitor=True)
    take(process.inbox())
    process.cancel(other, "closing")
    assert event().result == Event(CANCEL, me, None, "closing")
    other = process.spawn(telling, monitor=True)
    take(process.inbox())
    thread = threading.Thread(target=process.cancel, args=(other,))
    thread.start()
    assert event().result == Event(CANCEL, None, None, CANCELLED)
    thread.join()


def test_it_is_told_once_and_the_shortest_grace_counts(me: PID) -> None:
    def counting() -> None:
        events = process.events()
        process.send("me", "ready")
        for each in events:
            process.send("me", each.kind, each.reason)

    other = process.spawn(counting, monitor=True)
    take(process.inbox())
    for reason, grace in (("a", None), ("b", "1h"), ("c", "2h"), ("d", "1ms"), ("e", None)):
        process.cancel(other, reason, grace)
    assert event().reason == "d"
    assert payload() == "a"
    assert len(process.inbox()) == 0


def test_a_deadline_does_not_outlive_its_process(me: PID) -> None:
    other = process.spawn(told, monitor=True)
    take(process.inbox())
    process.cancel(other, "closing", "24h")
    event()
    until(lambda: all(thread.name != "wsfast-timers" for thread in threading.enumerate()))


def test_one_can_cancel_oneself() -> None:
    def stopping() -> None:
        process.cancel(process.pid(), "enough of it")
        process.inbox().receive()

    async def astopping() -> None:
        process.cancel(process.pid(), "enough of it")
        await asyncio.sleep(0)
        raise AssertionError

    for each in (stopping, astopping):
        process.spawn(each, monitor=True)
        assert event().reason == "enough of it"


def test_what_waits_is_gone_at_once_and_nothing_more_is_taken(me: PID) -> None:
    go_on = threading.Event()

    def busy() -> None:
        process.listen("topic")
        process.send("me", "ready")
        go_on.wait()
        for mailbox in (process.inbox(), process.listen("topic"), process.listen("other")):
            with pytest.raises(Terminated, match="enough") as caught:
                mailbox.receive()
            assert caught.value.reason == "enough"
        with pytest.raises(Terminated):
            process.events().receive()
        process.send("me", "asserted")
        process.inbox().receive()

    other = process.spawn(busy, monitor=True)
    take(process.inbox())
    process.send(other, "topic")
    process.send(other, "any")
    process.cancel(other, "enough")
    process.cancel(other, "too late")
    assert process.send(other, "topic") is False
    go_on.set()
    assert event().reason == "enough"
    assert take(process.inbox()).topic == "asserted"


def test_every_kind_of_receiving_is_ended(me: PID) -> None:
    def iterating() -> None:
        for _ in process.inbox():
            pass

    def selecting() -> None:
        select([process.inbox().case_receive(), process.listen("topic").case_receive()])

    async def aiterating() -> None:
        async for _ in process.inbox():
            pass

    async def aselecting() -> None:
        await aselect([process.inbox().case_receive(), process.listen("topic").case_receive()])

    async def helped() -> None:
        await asyncio.to_thread(process.inbox().receive)

    for each in (iterating, selecting, aiterating, aselecting, helped):

        def watched(each: Callable[[], Any] = each) -> Any:
            return each()

        other = process.spawn(each, monitor=True)
        found = node().find(other)
        assert found is not None
        until(lambda found=found: found.inbox._receivers)
        process.cancel(other, "over")
        assert event() == Event(EXIT, other, None, "over")


def test_no_except_exception_holds_it_up(me: PID) -> None:
    def stubborn() -> None:
        while True:
            with contextlib.suppress(Exception):
                process.inbox().receive()

    other = process.spawn(stubborn, monitor=True)
    process.cancel(other)
    assert event().reason == CANCELLED


def test_a_task_that_is_cancelled_before_it_has_begun(me: PID) -> None:
    async def main() -> None:
        with process.attach():
            events = process.events()
            other = process.spawn(await_end, monitor=True)
            process.cancel(other, "before")
            assert (await atake(events)) == Event(EXIT, other, None, "before")

    run(main())


def test_a_task_cleans_up_after_its_cancellation(me: PID) -> None:
    async def cleaning() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            process.send("me", "cleaned")
            raise

    async def surviving() -> str:
        try:
            process.send("me", "ready")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return "a result that does not count"

    for each in (cleaning, surviving):
        other = process.spawn(each, monitor=True)
        if each is surviving:
            take(process.inbox())
        else:
            until(lambda other=other: gone(other) or node().find(other))
        process.cancel(other, "over")
        assert event() == Event(EXIT, other, None, "over")


def test_a_task_that_others_cancel(me: PID) -> None:
    async def cancelling() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    process.spawn(cancelling, monitor=True)
    assert event().reason == CANCELLED


# ------------------------------------------------------------------ what is attached


def test_a_thread_that_is_attached(me: PID) -> None:
    def work() -> None:
        with pytest.raises(Terminated, match="over"), process.attach(name="attached"):
            process.send("me", "ready")
            process.inbox().receive(WAIT)
        with pytest.raises(process.NoContext):
            process.pid()

    thread = threading.Thread(target=work)
    thread.start()
    take(process.inbox())
    process.cancel("attached", "over")
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_task_that_is_attached_goes_on_after_it(me: PID) -> None:
    async def main() -> str:
        with pytest.raises(Terminated, match="over"), process.attach(name="attached"):
            process.send("me", "ready")
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return "went on"

    thread_result: list[str] = []
    thread = threading.Thread(target=lambda: thread_result.append(run(main())))
    thread.start()
    take(process.inbox())
    process.cancel("attached", "over")
    thread.join(SECONDS)
    assert thread_result == ["went on"]


def test_a_task_that_is_attached_and_cancelled_by_others_too() -> None:
    async def attached() -> None:
        with process.attach() as pid:
            process.cancel(pid, "over")
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(attached())
        await asyncio.wait([task])
        assert task.cancelled()
        other = asyncio.create_task(attached_only())
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.wait([other])
        assert other.cancelled()

    async def attached_only() -> None:
        with process.attach():
            await asyncio.Event().wait()

    run(main())


def test_what_leaves_the_block_is_the_reason(me: PID) -> None:
    with pytest.raises(ZeroDivisionError), process.attach() as inner:
        assert process.pid() == inner
        assert inner != me
        process.send(me, "pid", inner)
        process.link(me)
        raise ZeroDivisionError("by design")
    assert process.pid() == me
    assert event().reason == "ZeroDivisionError: by design"
    with process.attach() as inner:
        process.link(me)
    assert len(process.events()) == 0
    assert gone(inner)


def test_a_callback_of_a_loop_may_attach_too(me: PID) -> None:
    async def main() -> None:
        done = asyncio.Event()

        def callback() -> None:
            with process.attach() as pid:
                assert process.send(pid, "topic")
            done.set()

        asyncio.get_running_loop().call_soon(callback)
        await done.wait()

    run(main())


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize("grace", [0, -1, "5", "soon", "0s"])
def test_a_grace_is_a_duration(me: PID, grace: Any) -> None:
    with pytest.raises(ValueError, match="grace"):
        process.cancel(me, grace=grace)


def test_arguments_of_wrong_types(me: PID) -> None:
    with pytest.raises(TypeError, match="grace"):
        process.cancel(me, grace=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="reason"):
        process.cancel(me, 5)  # type: ignore[arg-type]
    assert len(process.events()) == 0
    assert ended(PID("other", "host", 1)).reason == "noconnection"
