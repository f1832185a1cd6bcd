"""What is left of processes that have ended: nothing. And forks, and the end of the interpreter."""

import gc
import logging
import os
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from process_helpers import atake, await_end, event, run, until

from wsfast import process
from wsfast.process import PID
from wsfast.process.node import node
from wsfast.process.processes import Process


def crash() -> None:
    raise ValueError


async def acrash() -> None:
    raise ValueError


def receive_all() -> None:
    for _ in process.inbox():
        pass


def everything(fn: Callable[[], Any]) -> PID:
    """A process with as many ties, names, topics and messages as it can have."""
    other = process.spawn(fn, name="everything", monitor=True, link=True)
    for topic in ("topic", "other"):
        for _ in range(10):
            process.send(other, topic, bytearray(100))
    process.registry.register("another", other)
    return other


def busy_with(end: Callable[[], Any], friend: PID) -> Any:
    process.listen("topic")
    process.events()
    process.monitor(friend)
    process.link(friend)
    until(lambda: process.registry.lookup("another"))
    return end()


@pytest.mark.parametrize("end", [int, crash, receive_all])
def test_nothing_is_left_of_a_process(
    me: PID, end: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "wsfast")
    exit_of = {int: (0, "normal"), crash: (None, "ValueError"), receive_all: (None, "over")}
    friend = process.spawn(await_end)
    of_friend = node().find(friend)
    mine = node().find(me)
    assert of_friend is not None
    assert mine is not None
    process.listen("topic")
    other = everything(lambda: busy_with(end, friend))
    of_other: Any = node().find(other)
    refs = [weakref.ref(of_other), weakref.ref(of_other.inbox), weakref.ref(of_other.listen("x"))]
    del of_other
    if end is receive_all:
        process.cancel(other, "over", "1ms")
    until(lambda: event() == (process.EXIT, other, *exit_of[end]))
    for found in (of_friend, mine):
        process.unlink(other)
        assert other not in found._links | found._monitored | found._monitors
    # A thread lets go of what it ran when nobody can see it any more.
    until(lambda: gc.collect() < 0 or [ref() for ref in refs] == [None] * 3)
    process.unlink(friend)


def test_ten_thousand_processes_leave_nothing(me: PID) -> None:
    async def one(number: int) -> None:
        process.listen(f"topic {number}")
        process.send(process.pid(), "topic")

    async def main() -> None:
        with process.attach():
            events = process.events()
            for batch in range(100):
                for number in range(100):
                    process.spawn(one, number, monitor=True, link=True, name=f"{batch} {number}")
                for _ in range(100):
                    assert (await atake(events)).reason == "normal"

    run(main())
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, Process)]
    assert [each.pid for each in left if not each.has_ended] == [me]
    assert len(left) < 10
    assert node().names() == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork_the_child_has_no_processes(run_script: Callable[..., str]) -> None:
    out = run_script("""
        from wsfast import process
        from wsfast.process.node import node

        async def await_end():
            await process.inbox().areceive()

        def wait_for_end():
            process.inbox().receive()

        with process.attach("main") as me:
            process.events()
            others = [process.spawn(each, monitor=True) for each in (await_end, wait_for_end)]
            inbox, topic = process.inbox(), process.listen("topic")
            process.send(me, "topic", 1)
            pid = os.fork()
            if pid == 0:
                assert node().name != me.node and not node().processes()
                assert process.registry.lookup("main") is None
                for dest in (me, *others, "main"):
                    assert process.send(dest, "topic") is False
                    assert process.cancel(dest) is False
                for act in (process.pid, process.inbox, lambda: process.monitor(me)):
                    try:
                        act()
                    except process.NoContext:
                        continue
                    raise AssertionError(act)
                for mailbox in (inbox, topic):
                    try:
                        mailbox.receive()
                    except process.Terminated as error:
                        assert "fork" in error.reason
                        continue
                    raise AssertionError(mailbox)
                with process.attach("main") as mine:
                    assert mine.node == node().name
                    for each in (await_end, wait_for_end):
                        other = process.spawn(each, monitor=True)
                        process.cancel(other, "over")
                        assert process.events().receive("60s")[0].reason == "over"
                    process.monitor(me)
                    assert process.events().receive("60s")[0].reason == "noconnection"
                sys.exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            assert topic.receive("60s")[0].payload == 1
            for other in others:
                process.cancel(other, "over")
                assert process.events().receive("60s")[0].reason == "over"
        print("done")
    """)
    assert out == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_thread_of_a_process_that_forks_ends_in_the_child(run_script: Callable[..., str]) -> None:
    out = run_script("""
        from wsfast import process

        def forking(main):
            pid = os.fork()
            if pid == 0:
                box.receive()  # which raises, and this thread is all that there is
                os._exit(1)
            process.send(main, "status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

        def first(main):
            global box
            box = process.inbox()
            forking(main)

        with process.attach() as me:
            process.spawn(first, me)
            print(process.inbox().receive("60s")[0].payload)
    """)
    assert out == "0\n"


def test_where_there_is_no_fork(run_script: Callable[..., str]) -> None:
    out = run_script("""
        for name in ("fork", "register_at_fork"):
            vars(os).pop(name, None)
        from wsfast import process

        async def main():
            return process.pid()

        with process.attach() as me:
            other = process.spawn(main, monitor=True)
            print(process.events().receive("60s")[0].result == other)
    """)
    assert out == "True\n"


@pytest.mark.parametrize("how", ["returns", "exits"])
def test_the_interpreter_does_not_wait_for_processes(
    run_script: Callable[..., str], how: str
) -> None:
    out = run_script(f"""
        from wsfast import process

        async def await_end():
            process.send("main", "ready")
            async for _ in process.inbox():
                pass

        def wait_for_end():
            process.send("main", "ready")
            for _ in process.inbox():
                pass

        def busy():
            process.send("main", "ready")
            while True:
                process.send("busy", "topic")
                process.inbox().receive()

        def cancelled():
            process.events()
            process.send("main", "ready")
            threading.Event().wait()

        with process.attach("main"):
            for fn in (await_end, wait_for_end, cancelled):
                process.spawn(fn, monitor=True)
            process.spawn(busy, name="busy")
            for _ in range(4):
                assert process.inbox().receive("60s")[1]
            process.cancel(process.spawn(cancelled), grace="1h")
        print("done")
        if {how == "exits"}:
            sys.exit()
    """)
    assert out == "done\n"


@pytest.mark.parametrize("fn", [crash, acrash])
def test_a_crash_frees_what_the_code_had(
    me: PID, fn: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Held:
        pass

    def holding() -> None:
        held = Held()
        refs.append(weakref.ref(held))
        raise ValueError

    async def aholding() -> None:
        holding()

    refs: list[weakref.ref[Held]] = []
    caplog.set_level(logging.CRITICAL, "wsfast")
    process.spawn(holding if fn is crash else aholding, monitor=True)
    assert event().reason == "ValueError"
    until(lambda: gc.collect() < 0 or refs[0]() is None)
