"""Many threads and tasks at once: what is sent arrives once and in order, and nothing is left."""

import asyncio
import logging
import random
import threading
from typing import Any

import pytest
from process_helpers import (
    WAIT,
    aecho,
    atake,
    await_end,
    echo,
    event,
    gone,
    payload,
    run,
    take,
    until,
    wait_for_end,
)

from wsfast import process
from wsfast.process import CANCELLED, EXIT, LINK_DOWN, NOPROC, PID
from wsfast.process.node import node

SENDERS = 8
EACH = 400


def numbers(dest: PID, own: int) -> None:
    for number in range(EACH):
        assert process.send(dest, f"topic {own % 2}", (own, number))


async def anumbers(dest: PID, own: int) -> None:
    for number in range(EACH):
        assert process.send(dest, f"topic {own % 2}", (own, number))
        if number % 10 == 0:
            await asyncio.sleep(0)


def check(got: list[tuple[int, int]]) -> None:
    for own in range(SENDERS):
        assert [number for who, number in got if who == own] == [*range(EACH)]


def collect() -> list[Any]:
    listened = process.listen("topic 1")
    got = [payload(listened) for _ in range(SENDERS // 2 * EACH)]
    return got + [payload() for _ in range(SENDERS // 2 * EACH)]


async def acollect() -> list[Any]:
    listened = process.listen("topic 1")
    got = [(await atake(listened)).payload for _ in range(SENDERS // 2 * EACH)]
    return got + [(await atake(process.inbox())).payload for _ in range(SENDERS // 2 * EACH)]


@pytest.mark.parametrize("collecting", [collect, acollect])
def test_many_send_to_one(me: PID, collecting: Any) -> None:
    other = process.spawn(collecting, monitor=True)
    for own in range(SENDERS):
        process.spawn(numbers if own % 4 < 2 else anumbers, other, own)
    check(event().result)


def test_many_receive_from_one_inbox(me: PID) -> None:
    """Threads and tasks of one process share its messages, of which none is lost or seen twice."""

    async def sharing() -> list[int]:
        got: list[int] = []

        def in_thread() -> None:
            for message in process.inbox():
                got.append(message.payload)
                if len(got) == SENDERS * EACH:
                    process.listen("done")
                    process.send(process.pid(), "done")

        async def in_task() -> None:
            async for message in process.inbox():
                got.append(message.payload)
                if len(got) == SENDERS * EACH:
                    process.listen("done")
                    process.send(process.pid(), "done")

        done = process.listen("done")
        helpers = [asyncio.create_task(asyncio.to_thread(in_thread)) for _ in range(3)]
        helpers += [asyncio.create_task(in_task()) for _ in range(3)]
        process.send(me, "ready")
        await atake(done)
        for each in helpers:
            each.cancel()
        return got

    other = process.spawn(sharing, monitor=True)
    take(process.inbox())
    for number in range(SENDERS * EACH):
        process.send(other, "topic", number)
    assert sorted(event().result) == [*range(SENDERS * EACH)]


def storm(seed: int, pids: list[PID], stop: threading.Event) -> None:
    """Does anything that a process can do, to any other, for as long as it lives."""
    chance = random.Random(seed)
    process.events()
    mine = process.pid()
    own: list[PID] = []
    while not stop.is_set():
        other = chance.choice(pids)
        kind = chance.randrange(10)
        if kind == 0:
            process.monitor(other)
        elif kind == 1:
            process.unmonitor(other)
        elif kind == 2:
            process.link(other)
        elif kind == 3:
            process.unlink(other)
        elif kind == 4 and other != mine:
            process.cancel(other, "struck", "1ms")
        elif kind == 5:
            fn = chance.choice([echo, aecho, wait_for_end, await_end])
            own.append(process.spawn(fn, monitor=True, link=True))
            pids[chance.randrange(len(pids))] = own[-1]
        elif kind == 6:
            try:
                process.registry.register(f"name {chance.randrange(5)}", mine)
            except process.NameTaken:
                pass
        elif kind == 7:
            process.registry.unregister(f"name {chance.randrange(5)}")
        else:
            process.send(chance.choice([other, f"name {chance.randrange(5)}"]), "topic", kind)
        for mailbox in (process.inbox(), process.events()):
            while len(mailbox):
                mailbox.receive(WAIT)


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_leaves_nothing(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "wsfast")
    stop = threading.Event()
    with process.attach() as me:
        process.events()
        pids = [process.spawn(echo) for _ in range(20)]
        storms = [process.spawn(storm, seed * 100 + n, pids, stop) for n in range(4)]
        pids.extend(storms)
        chance = random.Random(seed)
        for _ in range(300):
            process.monitor(chance.choice(pids))
            process.send(chance.choice(pids), "topic", 1)
            threading.Event().wait(0.0005)
        stop.set()
        until(lambda: all(gone(each) for each in storms))
        for each in node().processes():
            if each.pid != me:
                process.monitor(each.pid)
                process.cancel(each.pid, grace="1ms")
        watched = {each.pid for each in node().processes()} - {me}
        while watched & {each.pid for each in node().processes()}:
            event()
    assert not [each for each in node().processes() if each.pid != me]


def test_an_end_is_told_to_all_that_were_there(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred tasks watch one; whatever the moment, each is told once."""

    async def watching(other: PID, results: list[list[Any]]) -> None:
        events = process.events()
        process.monitor(other)
        process.link(other)
        told = [await atake(events) for _ in range(2)]
        assert len(events) == 0
        results.append(sorted((each.kind, each.reason) for each in told))

    async def main() -> None:
        for _ in range(20):
            results: list[list[Any]] = []
            with process.attach():
                events = process.events()
                other = process.spawn(wait_for_end)
                for number in range(100):
                    process.spawn(watching, other, results, monitor=True)
                    if number == 50:
                        process.cancel(other)
                    if number % 7 == 0:
                        await asyncio.sleep(0)
                for _ in range(100):
                    assert (await atake(events)).reason == "normal"
            reasons = {reason for each in results for _, reason in each}
            assert reasons <= {CANCELLED, NOPROC}
            assert all([kind for kind, _ in each] == [EXIT, LINK_DOWN] for each in results)
            assert len(results) == 100

    run(main())
