"""`after`: a channel that yields once, later."""

import asyncio
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from channel_waiting import WAIT, count, tasks_waiting, until_waiting

from wsfast.channel import Channel, Selected, after, aselect, select
from wsfast.protocol.errors import InvalidOption
from wsfast.threads.timers import timers


@pytest.mark.parametrize("duration", [5, 5.5, "5ms", timedelta(milliseconds=5)], ids=repr)
def test_it_yields_once_and_then_is_closed(duration: Any) -> None:
    begun = time.monotonic()
    channel = after(duration)
    value, ok = channel.receive()
    assert ok
    assert value is not None
    assert begun + 0.005 <= value <= time.monotonic()
    assert channel.closed
    assert [*channel] == []
    assert channel.receive() == (None, False)


def test_before_that_there_is_nothing() -> None:
    channel = after("1h")
    assert (len(channel), channel.closed, channel.capacity) == (0, False, 0)
    assert select([channel.case_receive()], default=True).default
    with pytest.raises(TimeoutError):
        channel.receive(timeout=1)


def test_then_it_counts_as_one() -> None:
    channel = after(1)
    with pytest.raises(TimeoutError):
        Channel().receive(timeout=2)
    assert len(channel) == 1
    channel.receive()
    assert len(channel) == 0


def test_one_of_many_gets_the_value(pool: ThreadPoolExecutor) -> None:
    channel = after("20ms")
    results = [each.result(WAIT) for each in [pool.submit(channel.receive) for _ in range(8)]]
    assert sorted(ok for _, ok in results) == [False] * 7 + [True]


def test_select_waits_until_then(pool: ThreadPoolExecutor) -> None:
    quiet: Channel[int] = Channel()
    soon, late = after("10ms"), after("1h")
    cases = [late.case_receive(), soon.case_receive(), quiet.case_receive()]
    assert select(cases).channel is soon
    assert select(cases) == Selected(soon)
    waiting = pool.submit(select, [late.case_receive(), quiet.case_receive()])
    until_waiting(quiet, receivers=1)
    quiet.send(1)
    assert waiting.result(WAIT) == Selected(quiet, 1, True)
    assert count(late) == (0, 0)


def test_a_sooner_timeout_comes_first() -> None:
    with pytest.raises(TimeoutError):
        select([after("1h").case_receive()], timeout=5)
    soon = after(5)
    assert select([soon.case_receive()], timeout="1h").channel is soon


def test_in_a_task() -> None:
    async def main() -> None:
        quiet: Channel[int] = Channel()
        soon = after("10ms")
        assert (await aselect([quiet.case_receive(), soon.case_receive()])).channel is soon
        assert await after(1).areceive(timeout="1h") != (None, False)
        with pytest.raises(TimeoutError):
            await after("1h").areceive(timeout=1)
        assert len([value async for value in after(1)]) == 1

    asyncio.run(main())


def test_a_cancelled_task_does_not_use_it_up() -> None:
    async def main() -> None:
        channel = after("20ms")
        tasks = [asyncio.create_task(channel.areceive()) for _ in range(2)]
        await tasks_waiting(channel, receivers=2)
        tasks[0].cancel()
        assert (await tasks[1])[1]
        assert tasks[0].cancelled()

    asyncio.run(main())


def test_closing_it_before_lets_it_end_without_a_value(pool: ThreadPoolExecutor) -> None:
    channel = after("1h")
    waiting = pool.submit(channel.receive)
    until_waiting(channel, receivers=1)
    channel.close()
    assert waiting.result(WAIT) == (None, False)
    assert [*channel] == []


def test_it_is_only_for_receiving() -> None:
    channel = after(1)
    with pytest.raises(TypeError, match="only for receiving"):
        channel.send(1.0)
    with pytest.raises(TypeError, match="only for receiving"):
        channel.case_send(1.0)


@pytest.mark.parametrize(
    ("duration", "error"),
    [
        (None, TypeError),
        (True, TypeError),
        (b"1s", TypeError),
        (0, InvalidOption),
        (-1, InvalidOption),
        ("-1s", InvalidOption),
        ("1", InvalidOption),
        ("25d", InvalidOption),
        (float("nan"), InvalidOption),
        (timedelta(days=25), InvalidOption),
    ],
    ids=repr,
)
def test_a_bad_duration_raises(duration: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="duration"):
        after(duration)


def test_nothing_is_left_of_one_that_nobody_has() -> None:
    channel = after("1h")
    quiet: Channel[int] = Channel()
    with pytest.raises(TimeoutError):
        select([channel.case_receive(), quiet.case_receive()], timeout=1)
    gone = weakref.ref(channel)
    del channel
    assert gone() is None
    assert timers._thread is None
