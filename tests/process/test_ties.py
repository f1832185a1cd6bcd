"""Monitors and links: who is told of an end, and who goes down with it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from process_helpers import (
    SECONDS,
    WAIT,
    atake,
    await_end,
    echo,
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
from wsfast.process import (
    CANCELLED,
    EXIT,
    LINK_DOWN,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    PID,
    Event,
)
from wsfast.process.node import node


def crash() -> None:
    raise ValueError("no such room")


async def acrash() -> None:
    raise ValueError("no such room")


def returning() -> dict[str, int]:
    return {"answer": 42}


async def areturning() -> dict[str, int]:
    return {"answer": 42}


@pytest.fixture(params=["thread", "task"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def crashing(kind: str, caplog: pytest.LogCaptureFixture) -> Callable[[], Any]:
    """What crashes, as a thread or as a task."""
    caplog.set_level(logging.CRITICAL, "wsfast")
    return crash if kind == "thread" else acrash


@pytest.fixture
def waiting(kind: str) -> Callable[[], Any]:
    """What waits until it is terminated."""
    return wait_for_end if kind == "thread" else await_end


def nothing_told() -> bool:
    return len(process.events()) == 0


# ------------------------------------------------------------------ monitors


def test_a_monitor_gets_the_result(me: PID, kind: str) -> None:
    other = process.spawn(returning if kind == "thread" else areturning, monitor=True)
    assert event() == Event(EXIT, other, {"answer": 42}, NORMAL)


def test_a_monitor_gets_the_exception(me: PID, crashing: Callable[[], Any]) -> None:
    other = process.spawn(crashing, monitor=True)
    assert event() == Event(EXIT, other, None, "ValueError: no such room")


def test_a_crash_is_logged(me: PID, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "wsfast"):
        other = process.spawn(crash if kind == "thread" else acrash, monitor=True)
        event()
        until(lambda: caplog.records)
    assert [record.message for record in caplog.records] == [f"the process {other} has crashed"]
    assert "ValueError: no such room" in caplog.text


def test_exceptions_of_any_kind(me: PID, caplog: pytest.LogCaptureFixture) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def leave(error: BaseException) -> None:
        raise error

    caplog.set_level(logging.CRITICAL, "wsfast")
    for error, reason in (
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ValueError("x" * 5000), "ValueError: " + "x" * 988),
    ):
        process.spawn(leave, error, monitor=True)
        assert event().reason == reason
    process.spawn(leave, Unprintable(), monitor=True)
    assert "Unprintable: <exception str() failed>" in event().reason


def test_one_event_however_often_it_is_monitored(me: PID, waiting: Callable[[], Any]) -> None:
    other = process.spawn(waiting, name="other", monitor=True)
    assert process.monitor(other) == process.monitor("other") == process.monitor(str(other))
    process.cancel(other)
    assert event() == Event(EXIT, other, None, CANCELLED)
    assert nothing_told()


def test_all_monitors_are_told(me: PID, waiting: Callable[[], Any]) -> None:
    def watch(other: PID) -> str:
        process.monitor(other)
        process.send(me, "ready")
        return event().reason

    other = process.spawn(waiting)
    watchers = {process.spawn(watch, other, monitor=True) for _ in range(5)}
    for _ in watchers:
        take(process.inbox())
    process.cancel(other, "enough")
    told = [event() for _ in watchers]
    assert {each.sender for each in told} == watchers
    assert {each.result for each in told} == {"enough"}


def test_unmonitor(me: PID, waiting: Callable[[], Any]) -> None:
    other = process.spawn(waiting, monitor=True)
    process.unmonitor(other)
    process.unmonitor(other)
    process.cancel(other)
    until(lambda: gone(other))
    assert nothing_told()


def test_unmonitor_takes_back_what_nobody_has_received(me: PID) -> None:
    first, second = (process.spawn(returning, monitor=True) for _ in range(2))
    until(lambda: len(process.events()) == 2)
    process.unmonitor(first)
    assert event().sender == second
    assert nothing_told()


def test_a_monitor_of_what_has_ended_is_told_at_once(me: PID) -> None:
    other = process.spawn(returning, monitor=True)
    event()
    process.monitor(other)
    assert event() == Event(EXIT, other, None, NOPROC)
    process.unmonitor(other)


def test_a_process_of_a_node_that_nobody_knows(me: PID) -> None:
    far = PID("elsewhere", "host", 1)
    process.monitor(far)
    assert event() == Event(EXIT, far, None, NOCONNECTION)
    process.link(far)
    assert event() == Event(LINK_DOWN, far, None, NOCONNECTION)
    process.unmonitor(far)
    process.unlink(far)
    assert nothing_told()


def test_nobody_has_the_name(me: PID) -> None:
    for call in (process.monitor, process.unmonitor, process.link, process.unlink):
        with pytest.raises(process.NoProcess, match="'nobody'"):
            call("nobody")
    assert issubclass(process.NoProcess, LookupError)


def test_one_can_monitor_oneself_in_vain(me: PID) -> None:
    process.monitor(me)
    process.link(me)
    process.unlink(me)
    assert nothing_told()


# ------------------------------------------------------------------ links


def test_a_crash_takes_down_what_is_linked(
    me: PID, crashing: Callable[[], Any], waiting: Callable[[], Any]
) -> None:
    def parent() -> None:
        process.spawn(crashing, link=True)
        take(process.inbox())

    async def aparent() -> None:
        process.spawn(crashing, link=True)
        await atake(process.inbox())

    bystander = process.spawn(waiting, monitor=True)
    other = process.spawn(parent if crashing is crash else aparent, monitor=True)
    assert event() == Event(EXIT, other, None, "ValueError: no such room")
    assert nothing_told()
    assert not gone(bystander)


def test_and_takes_down_what_is_linked_to_that(me: PID, crashing: Callable[[], Any]) -> None:
    def chain(depth: int) -> None:
        if depth:
            process.spawn(chain, depth - 1, link=True)
        else:
            process.spawn(crashing, link=True)
        process.inbox().receive()

    process.spawn(chain, 10, monitor=True)
    assert event().reason == "ValueError: no such room"


def test_an_end_of_the_parent_takes_down_the_child(me: PID, waiting: Callable[[], Any]) -> None:
    def parent() -> None:
        process.send(me, "child", process.spawn(waiting, link=True))
        take(process.inbox())

    other = process.spawn(parent)
    child = payload()
    process.monitor(child)
    process.cancel(other, "over")
    assert event() == Event(EXIT, child, None, "over")


def test_a_normal_end_takes_nobody_down(me: PID) -> None:
    other = process.spawn(returning, link=True, monitor=True)
    assert event() == Event(EXIT, other, {"answer": 42}, NORMAL)
    assert nothing_told()
    with process.attach() as third:
        process.link(me)
    assert nothing_told()
    assert gone(third)


def test_who_has_asked_for_events_is_told_instead(me: PID, crashing: Callable[[], Any]) -> None:
    other = process.spawn(crashing, link=True)
    assert event() == Event(LINK_DOWN, other, None, "ValueError: no such room")


def test_a_link_and_a_monitor(me: PID, crashing: Callable[[], Any]) -> None:
    other = process.spawn(crashing, link=True, monitor=True)
    assert {event().kind for _ in range(2)} == {EXIT, LINK_DOWN}
    assert gone(other)


def test_a_link_goes_both_ways(me: PID, waiting: Callable[[], Any]) -> None:
    other = process.spawn(waiting)
    with pytest.raises(ZeroDivisionError), process.attach():
        assert process.link(str(other)) == other
        process.link(other)
        raise ZeroDivisionError
    assert ended(other).reason in ("ZeroDivisionError", NOPROC)


def test_unlink_by_either_side(me: PID, waiting: Callable[[], Any]) -> None:
    def unlinking() -> None:
        process.unlink(me)
        process.send(me, "unlinked")
        raise SystemExit

    other = process.spawn(waiting, link=True)
    process.unlink(other)
    process.cancel(other)
    until(lambda: gone(other))
    other = process.spawn(unlinking, link=True)
    take(process.inbox())
    until(lambda: gone(other))
    assert nothing_told()


def test_unlink_takes_back_what_nobody_has_received(me: PID, crashing: Callable[[], Any]) -> None:
    first, second = (process.spawn(crashing, link=True) for _ in range(2))
    until(lambda: len(process.events()) == 2)
    process.unlink(first)
    assert event().sender == second
    assert nothing_told()


def test_a_link_to_what_has_ended(me: PID) -> None:
    def linking() -> None:
        process.link(other)
        process.inbox().receive()

    other = process.spawn(returning, monitor=True)
    event()
    process.link(other)
    assert event() == Event(LINK_DOWN, other, None, NOPROC)
    process.spawn(linking, monitor=True)
    assert event().reason == NOPROC


def test_a_thread_that_does_not_receive_goes_on(me: PID, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "wsfast")
    go_on, told = threading.Event(), threading.Event()

    def busy() -> str:
        process.spawn(crash, link=True)
        go_on.wait()
        told.set()
        return "as if nothing had happened"

    other = process.spawn(busy, monitor=True)
    until(lambda: (found := node().find(other)) and found.terminated)
    go_on.set()
    assert event() == Event(EXIT, other, None, "ValueError: no such room")
    assert told.is_set()


# ------------------------------------------------------------------ at the same time


def test_each_tie_is_told_once_whoever_is_first(caplog: pytest.LogCaptureFixture) -> None:
    """Processes end, by a crash or not, while others tie themselves to them."""
    caplog.set_level(logging.CRITICAL, "wsfast")
    start = threading.Barrier(4)

    def round_(number: int) -> None:
        with process.attach() as me:
            process.events()
            other = process.spawn(echo)
            kinds = []

            def strike() -> None:
                start.wait()
                process.cancel(other, "struck")

            def tie() -> None:
                with process.attach():
                    process.events()
                    start.wait()
                    process.link(other)
                    kinds.append(take(process.events()))

            threads = [threading.Thread(target=each) for each in (strike, tie, tie)]
            for thread in threads:
                thread.start()
            start.wait()
            process.monitor(other)
            assert event().reason in ("struck", NOPROC)
            for thread in threads:
                thread.join(SECONDS)
            assert [each.kind for each in kinds] == [LINK_DOWN] * 2
            assert nothing_told()
            assert process.send(me, "topic")

    for number in range(300):
        round_(number)


def test_who_ends_while_it_ties_itself_leaves_nothing(me: PID) -> None:
    """A helper thread of a process makes ties while that ends."""
    for number in range(300):
        other = process.spawn(echo)
        inner = threading.Barrier(2)

        def tie(other: PID, inner: threading.Barrier, mine: Any) -> None:
            inner.wait()
            mine.monitor(other)
            mine.link(other)

        with ThreadPoolExecutor(1) as pool, process.attach() as pid:
            mine = node().find(pid)
            done = pool.submit(tie, other, inner, mine)
            inner.wait()
        done.result()
        found = node().find(other)
        assert found is not None
        assert (found._monitors, found._links) == (set(), set()), number
        assert mine is not None
        assert (mine._monitored, mine._links) == (set(), set())
        process.cancel(other)


def test_tasks_of_one_loop(me: PID) -> None:
    async def main() -> None:
        with process.attach():
            events = process.events()
            others = [process.spawn(await_end, link=True, monitor=True) for _ in range(50)]
            for each in others:
                process.cancel(each, "over")
            told = [await events.areceive(WAIT) for _ in range(100)]
            assert sorted(each.kind for each, _ in told if each) == [EXIT] * 50 + [LINK_DOWN] * 50

    run(main())
