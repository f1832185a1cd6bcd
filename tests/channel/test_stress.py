"""Eight threads on a few channels: nothing is lost, nothing comes twice, nobody waits for ever.

WSFAST_CHANNEL_STRESS says how many operations each does; the more, the longer it runs.
"""

import asyncio
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsfast.channel import Channel, Selected, aselect, select

OPERATIONS = int(os.environ.get("WSFAST_CHANNEL_STRESS", "1500"))
"""Of each thread."""
SENDERS = 4
RECEIVERS = 4
PATIENCE = 60
"""Seconds in which something must happen. Only a failing test waits that long."""
CAPACITIES = (0, 0, 1, 64)

pytestmark = pytest.mark.timeout(300 + OPERATIONS / 20)


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(interval)


class Traffic:
    """Who has sent and received what. Values are numbers which tell by whom and in which order."""

    def __init__(self) -> None:
        self.channels: list[Channel[int]] = [Channel(capacity) for capacity in CAPACITIES]
        self._received: list[list[int]] = []
        self._threads: list[threading.Thread] = []

    def taker(self, in_order: bool = True) -> Callable[[Selected], None]:
        """What one receiver calls with what it gets. What a sender has sent through one channel
        comes in order, unless receivers are cancelled."""
        received: list[int] = []
        self._received.append(received)
        latest: dict[tuple[int, Any], int] = {}

        def take(chosen: Selected) -> None:
            value: int = chosen.value
            received.append(value)
            key = value // OPERATIONS, chosen.channel
            if in_order:
                assert latest.get(key, -1) < value
                latest[key] = value

        return take

    def start(self, act: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=act, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self, *threads: threading.Thread) -> None:
        """Fails if nothing more comes, however long it takes while something does."""
        seen = seconds = 0
        for thread in threads or self._threads:
            while thread.is_alive():
                thread.join(1.0)
                before, seen = seen, sum(map(len, self._received))
                seconds = seconds + 1 if seen == before else 0
                assert seconds < PATIENCE, "somebody waits for ever"

    def check(self, senders: int) -> None:
        """All of it has arrived, once, and nobody is left in a queue."""
        values = sorted(value for received in self._received for value in received)
        assert values == [*range(senders * OPERATIONS)]
        for channel in self.channels:
            assert len(channel) == len(channel._receivers) == len(channel._senders) == 0


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


def numbers(sender: int) -> range:
    return range(sender * OPERATIONS, (sender + 1) * OPERATIONS)


# ------------------------------------------------------------------ some send, others receive


def send(channels: list[Channel[int]], sender: int) -> None:
    """In every way there is."""
    chance = random.Random(sender)
    for value in numbers(sender):
        one, other = chance.sample(channels, 2)
        cases = [one.case_send(value), other.case_send(value)]
        how = chance.randrange(4)
        if how == 0:
            one.send(value)
        elif how == 1:
            select(cases)
        elif how == 2:
            if select(cases, default=True).default:
                one.send(value)
        else:
            try:
                one.send(value, timeout=0.05)
            except TimeoutError:
                other.send(value)


def receive(channels: list[Channel[int]], take: Callable[[Selected], None], seed: int) -> None:
    """In every way there is, until all have ended."""
    chance = random.Random(seed)
    left = [*channels]
    while left:
        chosen = Selected(None, default=True)
        how = chance.randrange(3)
        if how == 0:
            one = chance.choice(left)
            try:
                chosen = Selected(one, *one.receive(timeout=0.05))
            except TimeoutError:
                pass
        else:
            cases = [channel.case_receive() for channel in chance.sample(left, len(left))]
            chosen = select(cases, default=how == 1)
        if chosen.ok:
            take(chosen)
        elif not chosen.default:
            left = [channel for channel in left if channel is not chosen.channel]


async def asend(channels: list[Channel[int]], sender: int) -> None:
    chance = random.Random(sender)
    for value in numbers(sender):
        one, other = chance.sample(channels, 2)
        if chance.random() < 0.5:
            await one.asend(value)
        else:
            await aselect([one.case_send(value), other.case_send(value)], timeout="1h")


async def areceive(
    channels: list[Channel[int]], take: Callable[[Selected], None], seed: int, cancels: bool
) -> None:
    chance = random.Random(seed)
    left = [*channels]
    while left:
        chosen = Selected(None, default=True)
        cases = [channel.case_receive() for channel in chance.sample(left, len(left))]
        waiting = asyncio.ensure_future(aselect(cases))
        # One turn lets it begin to wait, the next may bring something; and then it is too late.
        for _ in range(chance.randrange(4) if cancels else 0):
            await asyncio.sleep(0)
        if cancels and chance.random() < 0.5:
            waiting.cancel()
        try:
            chosen = await waiting
        except asyncio.CancelledError:
            pass
        if chosen.ok:
            take(chosen)
        elif not chosen.default:
            left = [channel for channel in left if channel is not chosen.channel]


@pytest.mark.parametrize("who", ["threads", "loops", "both", "cancelled"])
def test_nothing_is_lost_and_nothing_comes_twice(who: str, traffic: Traffic) -> None:
    """The threads of "loops" run an event loop each; those of "cancelled" cancel receivers, too."""
    in_loops = {"threads": 0, "loops": 4, "both": 2, "cancelled": 2}[who]
    cancels = who == "cancelled"
    channels = traffic.channels
    for seed in range(RECEIVERS):
        take = traffic.taker(in_order=not cancels)
        if seed < in_loops:
            traffic.start(asyncio.run, areceive(channels, take, seed, cancels))
        else:
            traffic.start(receive, channels, take, seed)
    senders = [
        traffic.start(asyncio.run, asend(channels, sender))
        if sender < in_loops
        else traffic.start(send, channels, sender)
        for sender in range(SENDERS)
    ]
    traffic.join(*senders)
    for channel in channels:
        channel.close()
    traffic.join()
    traffic.check(SENDERS)


# ------------------------------------------------------------------ everybody does both


def meet(
    channels: list[Channel[int]],
    done: Channel[None],
    over: Channel[None],
    take: Callable[[Selected], None],
    sender: int,
) -> None:
    """Sends all its values, each by a select that would receive as well; then only receives."""
    chance = random.Random(sender)
    receiving = [over.case_receive(), *(channel.case_receive() for channel in channels)]
    for value in numbers(sender):
        sending = [channel.case_send(value) for channel in chance.sample(channels, 2)]
        while (chosen := select(sending + receiving)).value is not None:
            take(chosen)
    done.send(None)
    while (chosen := select(receiving)).channel is not over:
        take(chosen)


def close_after(number: int, done: Channel[None], over: Channel[None]) -> None:
    for _ in range(number):
        done.receive()
    over.close()


def test_selects_that_send_and_receive(traffic: Traffic) -> None:
    threads = SENDERS + RECEIVERS
    done: Channel[None] = Channel()
    over: Channel[None] = Channel()
    for sender in range(threads):
        traffic.start(meet, traffic.channels, done, over, traffic.taker(), sender)
    traffic.start(close_after, threads, done, over)
    traffic.join()
    rest = traffic.taker()
    for channel in traffic.channels:
        channel.close()
        for value in channel:
            rest(Selected(channel, value, True))
    traffic.check(threads)
