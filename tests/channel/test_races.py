"""Two things that happen at once to one that waits: exactly one of them counts, and nothing is
lost. Each is tried thousands of times; how often it comes to a race is left to chance."""

import asyncio
import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from channel_waiting import WAIT, count

from wsfast.channel import Case, Channel, ChannelClosed, after, aselect, select

ROUNDS = 2000


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_timeouts_on_both_sides(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel()

    def send() -> None:
        chance = random.Random(1)
        for value in range(ROUNDS):
            while True:
                try:
                    channel.send(value, timeout=chance.uniform(0.001, 0.1))
                except TimeoutError:
                    continue
                break
        channel.close()

    sending = pool.submit(send)
    chance = random.Random(2)
    received = []
    while True:
        try:
            value, ok = channel.receive(timeout=chance.uniform(0.001, 0.1))
        except TimeoutError:
            continue
        if not ok:
            break
        received.append(value)
    sending.result(WAIT)
    assert received == [*range(ROUNDS)]


def test_a_value_and_the_cancelling_of_its_receiver(pool: ThreadPoolExecutor) -> None:
    """The value comes from another thread while the loop cancels."""
    channel: Channel[int] = Channel()
    other: Channel[int] = Channel()

    def send() -> None:
        for value in range(ROUNDS):
            channel.send(value)
        channel.close()

    async def main() -> None:
        sending = pool.submit(send)
        expected = cancelled = 0
        cases = [other.case_receive(), channel.case_receive()]
        while True:
            waiting = asyncio.ensure_future(aselect(cases))
            await asyncio.sleep(0)
            if expected % 2 or not waiting.done():
                waiting.cancel()
            try:
                chosen = await waiting
            except asyncio.CancelledError:
                cancelled += 1
                # So that it makes progress even if each is cancelled.
                chosen = await aselect(cases, default=True)
                if chosen.default:
                    continue
            if not chosen.ok:
                break
            assert chosen.value == expected
            expected += 1
        assert expected == ROUNDS
        assert cancelled > 0
        sending.result(WAIT)

    asyncio.run(main())
    assert count(channel) == count(other) == (0, 0)


def test_a_value_and_a_timeout_of_a_task(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel()

    def send() -> None:
        for value in range(ROUNDS):
            channel.send(value)

    async def main() -> None:
        sending = pool.submit(send)
        chance = random.Random(3)
        for expected in range(ROUNDS):
            while True:
                try:
                    if expected % 2:
                        received = await channel.areceive(timeout=chance.uniform(0.001, 0.2))
                    else:
                        async with asyncio.timeout(chance.uniform(0, 0.0002)):
                            received = await channel.areceive()
                except TimeoutError:
                    continue
                break
            assert received == (expected, True)
        sending.result(WAIT)

    asyncio.run(main())
    assert count(channel) == (0, 0)


def test_two_values_for_one_select(pool: ThreadPoolExecutor) -> None:
    """One is taken; the other stays with who sends it."""
    a: Channel[int] = Channel()
    b: Channel[int] = Channel()
    both = threading.Barrier(2)

    def send(channel: Channel[int]) -> int:
        sent = 0
        for _ in range(ROUNDS):
            both.wait(WAIT)
            try:
                channel.send(1, timeout=0.01)
                sent += 1
            except TimeoutError:
                pass
        return sent

    sending = [pool.submit(send, channel) for channel in (a, b)]
    cases = [a.case_receive(), b.case_receive()]
    received = 0
    while not all(each.done() for each in sending):
        try:
            received += select(cases, timeout=1).value
        except TimeoutError:
            pass
    assert received == sum(each.result(WAIT) for each in sending)


@pytest.mark.parametrize("capacity", [0, 2])
def test_closing_while_others_send_and_receive(pool: ThreadPoolExecutor, capacity: int) -> None:
    """What was sent arrives, and what was refused does not."""

    def send(channel: Channel[int], start: threading.Barrier, first: int) -> list[int]:
        start.wait(WAIT)
        sent = []
        try:
            for value in range(first, first + 100):
                channel.send(value)
                sent.append(value)
        except ChannelClosed:
            pass
        return sent

    def receive(channel: Channel[int], start: threading.Barrier) -> list[int]:
        start.wait(WAIT)
        return [*channel]

    for number in range(ROUNDS // 20):
        channel: Channel[int] = Channel(capacity)
        start = threading.Barrier(5)
        receiving = [pool.submit(receive, channel, start) for _ in range(2)]
        sending = [pool.submit(send, channel, start, first) for first in (0, 100)]
        start.wait(WAIT)
        for _ in range(number % 50):
            select([channel.case_receive()], default=True)
        channel.close()
        sent = [value for each in sending for value in each.result(WAIT)]
        received = [value for each in receiving for value in each.result(WAIT)]
        assert set(received) <= set(sent)
        assert len(received) == len(set(received))
        assert len(sent) - len(received) <= number % 50  # what this thread has taken
        assert count(channel) == (0, 0)


def test_closing_a_channel_that_many_select_on(pool: ThreadPoolExecutor) -> None:
    for _ in range(ROUNDS // 20):
        a: Channel[int] = Channel()
        b: Channel[int] = Channel()
        cases = [b.case_receive(), a.case_receive()]
        waiting = [pool.submit(select, cases) for _ in range(8)]
        closing = pool.submit(a.close)
        assert all(each.result(WAIT).channel is a for each in waiting)
        closing.result(WAIT)
        assert count(a) == count(b) == (0, 0)


def test_many_who_wait_for_the_same_moment(pool: ThreadPoolExecutor) -> None:
    for _ in range(ROUNDS // 40):
        channel = after(2)
        cases = [Channel[float]().case_receive(), channel.case_receive()]
        waiting = [pool.submit(select, cases) for _ in range(6)]
        waiting += [pool.submit(asyncio.run, aselect(cases)) for _ in range(2)]
        assert sum(each.result(WAIT).ok for each in waiting) == 1


def test_selects_with_the_same_channels_in_any_order(pool: ThreadPoolExecutor) -> None:
    """If the order of the locks were not the same for all, these would stop each other."""
    channels: list[Channel[int]] = [Channel() for _ in range(6)]

    def cases(chance: random.Random, number: int) -> list[Case]:
        receiving = [channel.case_receive() for channel in chance.sample(channels, number)]
        return receiving + [channel.case_send(1) for channel in chance.sample(channels, number)]

    def run(seed: int) -> int:
        chance = random.Random(seed)
        balance = 0
        for _ in range(ROUNDS // 2):
            chosen = select(cases(chance, 3), default=chance.random() < 0.5)
            if not chosen.default:
                balance += 1 if chosen.value is None else -1
        return balance

    running = [pool.submit(run, seed) for seed in range(6)]
    # Those that wait for different things, and the last one, meet this thread.
    chance = random.Random(6)
    balance = 0
    while not all(each.done() for each in running):
        chosen = select(cases(chance, 6), default=True)
        if not chosen.default:
            balance += 1 if chosen.value is None else -1
    assert balance + sum(each.result(WAIT) for each in running) == 0
    assert all(count(channel) == (0, 0) for channel in channels)
