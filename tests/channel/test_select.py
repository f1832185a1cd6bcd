"""`select` in threads: which case is done, and that no other is."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT, count, tasks_waiting, until_waiting

from wsfast.channel import Case, Channel, ChannelClosed, Selected, aselect, select


def new(capacity: int = 0, *values: int) -> Channel[int]:
    channel: Channel[int] = Channel(capacity)
    for value in values:
        channel.send(value)
    return channel


def test_the_case_that_is_ready_is_done() -> None:
    empty, full, other = new(1), new(1, 7), new(1)
    chosen = select([empty.case_receive(), full.case_receive(), other.case_receive()])
    assert chosen.channel is full
    assert (chosen.value, chosen.ok, chosen.default) == (7, True, False)
    assert len(full) == 0


def test_a_send_is_done_if_there_is_room() -> None:
    full, room = new(1, 7), new(1)
    chosen = select([full.case_send(1), room.case_send(2)])
    assert chosen == Selected(room, None, True, False)
    assert full.receive() == (7, True)
    assert room.receive() == (2, True)


def test_one_case_of_many_is_done() -> None:
    channels = [new(1, number) for number in range(10)]
    chosen = select([channel.case_receive() for channel in channels])
    assert sum(map(len, channels)) == 9
    assert chosen.channel is channels[chosen.value]


def test_a_closed_channel_is_ready() -> None:
    closed = new()
    closed.close()
    assert select([new().case_receive(), closed.case_receive()]) == Selected(closed)


def test_a_send_to_a_closed_channel_raises() -> None:
    closed = new()
    closed.close()
    with pytest.raises(ChannelClosed):
        select([new().case_receive(), closed.case_send(1)])
    with pytest.raises(ChannelClosed):
        select([closed.case_send(1)], default=True)


def test_the_default_is_for_when_nothing_is_ready() -> None:
    empty, full = new(1), new(1, 1)
    cases = [empty.case_receive(), full.case_send(2)]
    assert select(cases, default=True) == Selected(None, None, False, True)
    empty.send(3)
    chosen = select(cases, True)
    assert (chosen.channel, chosen.value, chosen.default) == (empty, 3, False)
    assert count(empty) == count(full) == (0, 0)


def test_it_waits_until_one_is_ready(pool: ThreadPoolExecutor) -> None:
    a, b, c = new(), new(), new()
    for channel in (a, b, c):
        cases = [a.case_receive(), b.case_receive(), c.case_receive()]
        waiting = pool.submit(select, cases)
        for each in (a, b, c):
            until_waiting(each, receivers=1)
        channel.send(5)
        assert waiting.result(WAIT) == Selected(channel, 5, True)
        assert [count(each) for each in (a, b, c)] == [(0, 0)] * 3


def test_a_receiver_takes_what_a_select_wants_to_send(pool: ThreadPoolExecutor) -> None:
    a, b = new(), new()
    waiting = pool.submit(select, [a.case_send(1), b.case_send(2)])
    until_waiting(a, senders=1)
    until_waiting(b, senders=1)
    assert b.receive() == (2, True)
    assert waiting.result(WAIT) == Selected(b, None, True)
    assert select([a.case_receive()], default=True).default


def test_two_selects_meet(pool: ThreadPoolExecutor) -> None:
    a, b = new(), new()
    first = pool.submit(select, [a.case_send(1), b.case_receive()])
    until_waiting(a, senders=1)
    until_waiting(b, receivers=1)
    second = select([b.case_send(2), a.case_receive()])
    assert second.ok
    assert first.result(WAIT).channel is second.channel


def test_no_select_receives_what_it_sends(pool: ThreadPoolExecutor) -> None:
    channel = new()
    cases = [channel.case_send(1), channel.case_receive()]
    assert select(cases, default=True).default
    waiting = pool.submit(select, cases)
    until_waiting(channel, 1, 1)
    assert channel.receive() == (1, True)
    assert waiting.result(WAIT) == Selected(channel, None, True)
    waiting = pool.submit(select, cases)
    until_waiting(channel, 1, 1)
    channel.send(2)
    assert waiting.result(WAIT) == Selected(channel, 2, True)
    assert count(channel) == (0, 0)


def test_at_the_end_neither(pool: ThreadPoolExecutor) -> None:
    channel = new()
    waiting = pool.submit(select, [channel.case_send(1), channel.case_receive()])
    until_waiting(channel, 1, 1)
    channel.close()
    assert waiting.result(WAIT) == Selected(channel)
    assert len(channel) == 0


def test_a_channel_may_stand_in_several_cases(pool: ThreadPoolExecutor) -> None:
    channel = new()
    waiting = pool.submit(select, [channel.case_receive() for _ in range(3)])
    until_waiting(channel, receivers=3)
    channel.send(1)
    assert waiting.result(WAIT) == Selected(channel, 1, True)
    assert count(channel) == (0, 0)
    with pytest.raises(TimeoutError):
        channel.send(2, timeout=5)


def test_cases_may_be_used_again(pool: ThreadPoolExecutor) -> None:
    channel = new()
    cases = [new().case_receive(), channel.case_receive()]
    waiting = [pool.submit(select, cases) for _ in range(4)]
    until_waiting(channel, receivers=4)
    for value in range(4):
        channel.send(value)
    assert sorted(each.result(WAIT).value for each in waiting) == [*range(4)]


def test_closing_ends_a_select(pool: ThreadPoolExecutor) -> None:
    a, b = new(), new()
    waiting = pool.submit(select, [a.case_receive(), b.case_receive()])
    until_waiting(b, receivers=1)
    b.close()
    assert waiting.result(WAIT) == Selected(b)
    waiting = pool.submit(select, [a.case_send(1), new(1, 1).case_send(1)])
    until_waiting(a, senders=1)
    a.close()
    with pytest.raises(ChannelClosed):
        waiting.result(WAIT)


def test_a_timeout_leaves_everything_as_it_was() -> None:
    empty, full = new(), new(1, 1)
    with pytest.raises(TimeoutError, match="timeout"):
        select([empty.case_receive(), full.case_send(2)], timeout="10ms")
    assert count(empty) == count(full) == (0, 0)
    assert full.receive() == (1, True)
    assert len(full) == 0


@pytest.mark.parametrize("default", [False, True])
def test_a_select_needs_cases(default: bool) -> None:
    with pytest.raises(ValueError, match="at least one case"):
        select([], default)


@pytest.mark.parametrize("bad", [None, 1, "case", Channel(), [Channel().case_receive()]], ids=repr)
def test_something_else_than_a_case_raises(bad: Any) -> None:
    full = new(1, 1)
    with pytest.raises(TypeError, match="case_receive"):
        select([full.case_receive(), bad])
    assert len(full) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"default": 1}, TypeError),
        ({"default": None}, TypeError),
        ({"timeout": 0}, ValueError),
        ({"timeout": object()}, TypeError),
    ],
    ids=repr,
)
def test_bad_arguments_raise_before_anything_is_done(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    full = new(1, 1)
    with pytest.raises(error):
        select([full.case_receive()], **arguments)
    with pytest.raises(TypeError):
        select(full.case_receive())  # type: ignore[arg-type]
    assert len(full) == 1


def test_a_case_is_a_case() -> None:
    channel = new()
    assert isinstance(channel.case_receive(), Case)
    assert channel.case_send(1).channel is channel


# ------------------------------------------------------------------ channels that bring their own


class Source(Channel[int]):
    """Its values come from elsewhere, as those of a connection."""

    _sendable = False

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__(_lock=lock)
        self.inbox: list[int] = []
        self.ended = False
        self.waits = 0

    def arrive(self, *values: int, end: bool = False) -> None:
        with self._lock:
            self.inbox += values
            self.ended = end
            self._serve()

    def _take(self) -> tuple[Any, bool] | None:
        if self.inbox:
            return self.inbox.pop(0), True
        return (None, False) if self.ended else None

    def _give_back(self, value: int) -> None:
        self.inbox.insert(0, value)

    def _before_waiting(self) -> None:
        assert self._lock.acquire(timeout=WAIT)
        self.waits += 1
        self._lock.release()


def test_a_channel_may_bring_its_own_values_and_lock(pool: ThreadPoolExecutor) -> None:
    lock = threading.Lock()
    one, two = Source(lock), Source(lock)
    cases = [one.case_receive(), two.case_receive(), new().case_receive()]
    waiting = pool.submit(select, cases)
    until_waiting(two, receivers=1)
    two.arrive(1, 2)
    assert waiting.result(WAIT) == Selected(two, 1, True)
    assert select(cases) == Selected(two, 2, True)
    receiving = [pool.submit(one.receive) for _ in range(3)]
    until_waiting(one, receivers=3)
    one.arrive(3, end=True)
    assert sorted(each.result(WAIT)[1] for each in receiving) == [False, False, True]
    assert (one.waits, two.waits) == (4, 1)


def test_a_channel_may_refuse_to_be_sent_to() -> None:
    source = Source(threading.Lock())
    with pytest.raises(TypeError, match="only for receiving"):
        source.send(1)
    with pytest.raises(TypeError, match="only for receiving"):
        source.case_send(1)


def test_an_error_before_waiting_ends_the_wait() -> None:
    class Broken(Source):
        def _before_waiting(self) -> None:
            self.arrive(5)
            raise OSError("no thread")

    broken, other = Broken(threading.Lock()), new()
    with pytest.raises(OSError, match="no thread"):
        select([broken.case_receive(), other.case_receive()])
    assert count(broken) == count(other) == (0, 0)
    assert broken.receive() == (5, True)


def test_nothing_new_serves_nobody(pool: ThreadPoolExecutor) -> None:
    source = Source(threading.Lock())
    waiting = pool.submit(source.receive)
    until_waiting(source, receivers=1)
    source.arrive()
    assert count(source) == (1, 0)
    source.arrive(1)
    assert waiting.result(WAIT) == (1, True)


def test_what_arrives_for_nobody_who_is_left_stays() -> None:
    async def main() -> None:
        one, two = Source(threading.Lock()), Source(threading.Lock())
        waiting = asyncio.create_task(aselect([one.case_receive(), two.case_receive()]))
        await tasks_waiting(two, receivers=1)
        one.arrive(1)
        two.arrive(2)  # the task has not learnt yet that it was served
        assert await waiting == Selected(one, 1, True)
        assert two.receive() == (2, True)
        waiting = asyncio.create_task(aselect([one.case_receive(), two.case_receive()]))
        await tasks_waiting(two, receivers=1)
        one.arrive(1)
        two.arrive(end=True)
        assert await waiting == Selected(one, 1, True)
        assert two.receive() == (None, False)

    asyncio.run(main())
