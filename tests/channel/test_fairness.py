"""Who is chosen among several that are ready, and who is served among several that wait.

Counted, not timed. Each bound is more than ten standard deviations from what is expected, so that
chance fails none of these tests.
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from channel_waiting import WAIT, join, until_waiting

from wsfast.channel import Channel, select

ROUNDS = 20_000


def full() -> Channel[int]:
    channel: Channel[int] = Channel(1)
    channel.send(0)
    return channel


@pytest.mark.parametrize(
    "ready",
    [[True] * 4, [True, False, False, False, True], [False, True, True, False, True, False]],
    ids=["all", "first and last", "some"],
)
def test_each_that_is_ready_has_the_same_chance(ready: list[bool]) -> None:
    channels = [full() if each else Channel() for each in ready]
    cases = [channel.case_receive() for channel in channels]
    chosen: Counter[Channel[int]] = Counter()
    for _ in range(ROUNDS):
        channel = select(cases).channel
        assert channel is not None
        chosen[channel] += 1
        channel.send(0)
    expected = ROUNDS / sum(ready)
    for channel, each in zip(channels, ready, strict=True):
        assert not each or abs(chosen[channel] / expected - 1) < 0.2
    assert chosen.total() == ROUNDS


def test_sending_has_the_same_chance_as_receiving() -> None:
    received: Channel[int] = full()
    sent: Channel[int] = Channel(1)
    count = 0
    for _ in range(ROUNDS):
        if select([sent.case_send(1), received.case_receive()]).channel is sent:
            count += 1
            sent.receive()
        else:
            received.send(1)
    assert abs(count / (ROUNDS / 2) - 1) < 0.1


def test_a_busy_channel_does_not_starve_a_quiet_one() -> None:
    """A case that is ready is passed over a hundred times in a row once in 2**100."""
    busy, quiet = full(), full()
    in_a_row = 0
    for _ in range(ROUNDS):
        if select([busy.case_receive(), quiet.case_receive()]).channel is busy:
            busy.send(0)
            in_a_row += 1
        else:
            quiet.send(0)
            in_a_row = 0
        assert in_a_row < 100


def test_who_waits_is_served_in_turn(pool: ThreadPoolExecutor) -> None:
    """Whoever comes later, in a select or not, is not served sooner."""
    channel: Channel[int] = Channel()
    other: Channel[int] = Channel()
    cases = [other.case_receive(), channel.case_receive()]
    waiting = []
    for number in range(12):
        if number % 2:
            waiting.append(pool.submit(channel.receive))
        else:
            waiting.append(pool.submit(lambda: (select(cases).value, True)))
        until_waiting(channel, receivers=number + 1)
    for number in range(12):
        channel.send(number)
    assert [each.result(WAIT)[0] for each in waiting] == [*range(12)]


def test_threads_that_take_turns_get_as_much_each() -> None:
    """Without a buffer, who has just received stands at the end of the queue again."""
    channel: Channel[int] = Channel()
    counts: Counter[int] = Counter()
    started = threading.Barrier(5)

    def receive(number: int) -> None:
        started.wait(WAIT)
        for _ in channel:
            counts[number] += 1

    threads = [threading.Thread(target=receive, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    started.wait(WAIT)
    for _ in range(100):
        until_waiting(channel, receivers=4)
        for value in range(4):
            channel.send(value)
    channel.close()
    join(*threads)
    assert sorted(counts.values()) == [100] * 4
