"""The same channels from asyncio: tasks among themselves, and with threads."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT, count, join, tasks_waiting, until_waiting

from wsfast.channel import Channel, ChannelClosed, Selected, aselect, select


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(WAIT):
            return await main

    return asyncio.run(bounded())


def test_tasks_meet_without_a_buffer() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        receiving = asyncio.create_task(channel.areceive())
        await tasks_waiting(channel, receivers=1)
        await channel.asend(1)
        assert await receiving == (1, True)
        sending = asyncio.create_task(channel.asend(2))
        await tasks_waiting(channel, senders=1)
        assert await channel.areceive() == (2, True)
        await sending

    run(main())


def test_iteration_ends_with_the_channel() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel(3)

        async def produce() -> None:
            for value in range(100):
                await channel.asend(value)
            channel.close()

        task = asyncio.create_task(produce())
        assert [value async for value in channel] == [*range(100)]
        await task

    run(main())


def test_closing_ends_every_wait() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        receiving = [asyncio.create_task(channel.areceive()) for _ in range(3)]
        await tasks_waiting(channel, receivers=3)
        channel.close()
        assert await asyncio.gather(*receiving) == [(None, False)] * 3
        with pytest.raises(ChannelClosed):
            await channel.asend(1)
        other: Channel[int] = Channel()
        sending = [asyncio.create_task(other.asend(1)) for _ in range(3)]
        await tasks_waiting(other, senders=3)
        other.close()
        for task in sending:
            with pytest.raises(ChannelClosed):
                await task

    run(main())


def test_select() -> None:
    async def main() -> None:
        a: Channel[int] = Channel()
        b: Channel[int] = Channel(1)
        assert (await aselect([a.case_receive(), b.case_receive()], default=True)).default
        assert await aselect([a.case_receive(), b.case_send(1)]) == Selected(b, None, True)
        assert await aselect([a.case_receive(), b.case_receive()]) == Selected(b, 1, True)
        waiting = asyncio.create_task(aselect([a.case_receive(), b.case_receive()]))
        await tasks_waiting(a, receivers=1)
        await b.asend(2)
        assert await waiting == Selected(b, 2, True)
        assert count(a) == count(b) == (0, 0)

    run(main())


def test_timeouts() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel(1)
        with pytest.raises(TimeoutError, match="timeout"):
            await channel.areceive(timeout="5ms")
        await channel.asend(1, "1h")
        with pytest.raises(TimeoutError, match="timeout"):
            await channel.asend(2, 5)
        with pytest.raises(TimeoutError, match="timeout"):
            await aselect([channel.case_send(3)], timeout=5)
        waiting = asyncio.create_task(aselect([channel.case_send(4)], timeout="1h"))
        await tasks_waiting(channel, senders=1)
        assert await channel.areceive() == (1, True)
        assert await waiting == Selected(channel, None, True)
        assert await channel.areceive() == (4, True)
        assert count(channel) == (0, 0)

    run(main())


def test_bad_arguments_raise() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel(1)
        with pytest.raises(ValueError, match="timeout"):
            await channel.asend(1, 0)
        with pytest.raises(TypeError, match="timeout"):
            await channel.areceive(object())  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at least one case"):
            await aselect([])
        with pytest.raises(TypeError, match="case_receive"):
            await aselect([channel])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="default"):
            await aselect([channel.case_receive()], 1)  # type: ignore[arg-type]
        assert len(channel) == 0

    run(main())


def test_threads_and_tasks_on_one_channel() -> None:
    numbers: Channel[int] = Channel()
    squares: Channel[int] = Channel(2)

    async def square() -> None:
        async for number in numbers:
            await squares.asend(number * number)

    threads = [threading.Thread(target=run, args=(square(),)) for _ in range(2)]
    feeding = threading.Thread(
        target=lambda: ([numbers.send(number) for number in range(500)], numbers.close())
    )
    for thread in (*threads, feeding):
        thread.start()
    assert sorted(squares.receive()[0] or 0 for _ in range(500)) == [n * n for n in range(500)]
    join(*threads, feeding)


def test_a_thread_wakes_a_task_and_a_task_a_thread(pool: ThreadPoolExecutor) -> None:
    there: Channel[str] = Channel()
    back: Channel[str] = Channel()

    async def main() -> None:
        receiving = pool.submit(back.receive)
        waiting = asyncio.create_task(there.areceive())
        await tasks_waiting(there, receivers=1)
        until_waiting(back, receivers=1)
        sending = pool.submit(there.send, "ping")
        assert await waiting == ("ping", True)
        sending.result(WAIT)
        await back.asend("pong")
        assert receiving.result(WAIT) == ("pong", True)

    run(main())


def test_selects_of_a_thread_and_a_task_meet(pool: ThreadPoolExecutor) -> None:
    async def main() -> None:
        a: Channel[int] = Channel()
        b: Channel[int] = Channel()
        waiting = asyncio.create_task(aselect([a.case_receive(), b.case_send(1)]))
        await tasks_waiting(a, receivers=1)
        chosen = pool.submit(select, [a.case_send(2), b.case_receive()])
        assert (await waiting).channel is chosen.result(WAIT).channel

    run(main())


# ------------------------------------------------------------------ cancellation


def test_a_cancelled_task_does_not_wait_any_more() -> None:
    async def main() -> None:
        a: Channel[int] = Channel()
        b: Channel[int] = Channel()
        waits = [a.areceive(), b.asend(1), aselect([a.case_receive(), b.case_send(2)])]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await tasks_waiting(a, receivers=2)
        await tasks_waiting(b, senders=2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert count(a) == count(b) == (0, 0)

    run(main())


def test_what_a_cancelled_task_was_given_goes_back_to_the_front() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel(2)
        receiving = asyncio.create_task(channel.areceive())
        await tasks_waiting(channel, receivers=1)
        for value in (1, 2, 3):
            channel.send(value)
        receiving.cancel()
        await asyncio.wait([receiving])
        assert receiving.cancelled()
        assert len(channel) == 3
        with pytest.raises(TimeoutError):
            channel.send(4, timeout=1)
        channel.close()
        assert [*channel] == [1, 2, 3]

    run(main())


def test_what_a_cancelled_task_was_given_is_for_the_next_who_waits() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        other: Channel[int] = Channel()
        cases = [other.case_receive(), channel.case_receive()]
        first = asyncio.create_task(aselect(cases))
        await tasks_waiting(channel, receivers=1)
        second = asyncio.create_task(channel.areceive())
        await tasks_waiting(channel, receivers=2)
        channel.send(1)
        assert count(channel) == (1, 0)
        first.cancel()
        assert await second == (1, True)
        assert first.cancelled()
        assert count(channel) == count(other) == (0, 0)

    run(main())


def test_what_a_cancelled_task_gave_stays_given() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        sending = asyncio.create_task(channel.asend(1))
        await tasks_waiting(channel, senders=1)
        assert channel.receive() == (1, True)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        assert len(channel) == 0

    run(main())


def test_the_end_that_a_cancelled_task_was_told_of_is_there_for_others() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        receiving = asyncio.create_task(channel.areceive())
        await tasks_waiting(channel, receivers=1)
        channel.close()
        receiving.cancel()
        await asyncio.wait([receiving])
        assert channel.receive() == (None, False)

    run(main())


# ------------------------------------------------------------------ loops that are gone


def abandoned_loop(channel: Channel[int], *waits: Coroutine[Any, Any, Any]) -> "weakref.ref[Any]":
    """Leaves tasks that wait in a loop that is closed without cancelling them."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a task that was destroyed while it was pending
    tasks = [loop.create_task(wait) for wait in waits]

    async def until_all_wait() -> None:
        while sum(count(channel)) < len(tasks):
            await asyncio.sleep(0)

    loop.run_until_complete(until_all_wait())
    loop.close()
    return weakref.ref(tasks[0])


def test_nothing_is_given_to_a_task_whose_loop_is_closed() -> None:
    channel: Channel[int] = Channel()
    task = abandoned_loop(channel, channel.areceive(), channel.areceive())
    with pytest.raises(TimeoutError):
        channel.send(1, timeout=1)
    assert count(channel) == (0, 0)
    gc.collect()
    assert task() is None


def test_nothing_is_taken_from_a_task_whose_loop_is_closed() -> None:
    channel: Channel[int] = Channel()
    abandoned_loop(channel, channel.asend(1))
    with pytest.raises(TimeoutError):
        channel.receive(timeout=1)
    assert count(channel) == (0, 0)
    abandoned_loop(channel, channel.asend(1), channel.asend(2))
    channel.close()
    assert count(channel) == (0, 0)
    gc.collect()


def test_what_a_task_was_given_that_its_loop_never_resumed_comes_back() -> None:
    channel: Channel[int] = Channel()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    task = loop.create_task(channel.areceive())
    loop.run_until_complete(asyncio.sleep(0))
    assert count(channel) == (1, 0)
    channel.send(1)
    loop.close()
    del loop, task
    gc.collect()
    assert channel.receive("10s") == (1, True)


def test_a_coroutine_that_is_dropped_does_not_wait_any_more() -> None:
    async def main() -> None:
        channel: Channel[int] = Channel()
        dropped = channel.areceive()
        dropped.send(None)
        assert count(channel) == (1, 0)
        dropped.close()
        with pytest.raises(TimeoutError):
            await channel.asend(1, timeout=1)

    run(main())
