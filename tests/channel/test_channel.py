"""One channel: what is sent and received, at once or after waiting, and its end."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from channel_waiting import WAIT, count, until_waiting

from wsfast.channel import Channel, ChannelClosed
from wsfast.protocol.errors import InvalidOption, WebSocketError


def test_a_buffer_keeps_what_is_sent_in_order() -> None:
    channel: Channel[int] = Channel(3)
    assert (channel.capacity, len(channel), channel.closed) == (3, 0, False)
    for value in (1, 2, 3):
        channel.send(value)
    assert len(channel) == 3
    assert [channel.receive() for _ in range(3)] == [(1, True), (2, True), (3, True)]
    assert len(channel) == 0


def test_a_channel_is_true_even_if_it_is_empty() -> None:
    assert Channel()
    assert len(Channel()) == 0


def test_without_a_buffer_both_wait_for_each_other(pool: ThreadPoolExecutor) -> None:
    channel: Channel[str] = Channel()
    sending = pool.submit(channel.send, "a")
    until_waiting(channel, senders=1)
    assert not sending.done()
    assert channel.receive() == ("a", True)
    assert sending.result(WAIT) is None
    receiving = pool.submit(channel.receive)
    until_waiting(channel, receivers=1)
    channel.send("b")
    assert receiving.result(WAIT) == ("b", True)
    assert len(channel) == 0
    assert count(channel) == (0, 0)


def test_sending_waits_while_the_buffer_is_full(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel(2)
    channel.send(1)
    channel.send(2)
    sending = []
    for value in (3, 4):
        sending.append(pool.submit(channel.send, value))
        until_waiting(channel, senders=value - 2)
    assert len(channel) == 2
    assert channel.receive() == (1, True)
    sending[0].result(WAIT)
    assert len(channel) == 2
    assert not sending[1].done()
    assert [channel.receive()[0] for _ in range(3)] == [2, 3, 4]
    sending[1].result(WAIT)


def test_who_waits_longest_is_served_first(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel()
    receiving = []
    for number in range(5):
        receiving.append(pool.submit(channel.receive))
        until_waiting(channel, receivers=number + 1)
    for number in range(5):
        channel.send(number)
    assert [each.result(WAIT) for each in receiving] == [(number, True) for number in range(5)]
    sending = []
    for number in range(5):
        sending.append(pool.submit(channel.send, number))
        until_waiting(channel, senders=number + 1)
    assert [channel.receive()[0] for _ in range(5)] == [*range(5)]


def test_any_value_may_be_sent() -> None:
    channel: Channel[Any] = Channel(10)
    values = [None, False, 0, "", (), Channel(), ChannelClosed()]
    for value in values:
        channel.send(value)
    assert [channel.receive() for _ in values] == [(value, True) for value in values]


def test_a_value_is_not_kept_once_it_was_received(pool: ThreadPoolExecutor) -> None:
    class Value:
        pass

    channel: Channel[Value] = Channel(1)
    gone = []
    for wait in (False, True):
        value = Value()
        gone.append(weakref.ref(value))
        receiving = pool.submit(channel.receive) if wait else None
        if wait:
            until_waiting(channel, receivers=1)
        channel.send(value)
        del value
        received = channel.receive() if receiving is None else receiving.result(WAIT)
        assert received[1]
        del received, receiving
    gc.collect()
    assert [each() for each in gone] == [None, None]


# ------------------------------------------------------------------ the end


def test_a_closed_channel_drains_and_then_ends() -> None:
    channel: Channel[int] = Channel(3)
    channel.send(1)
    channel.send(2)
    channel.close()
    assert channel.closed
    assert len(channel) == 2
    assert [channel.receive() for _ in range(4)] == [
        (1, True),
        (2, True),
        (None, False),
        (None, False),
    ]


def test_closing_twice_does_nothing() -> None:
    channel: Channel[int] = Channel(1)
    channel.send(1)
    channel.close()
    channel.close()
    assert channel.receive() == (1, True)


@pytest.mark.parametrize("capacity", [0, 1])
def test_sending_to_a_closed_channel_raises(capacity: int) -> None:
    channel: Channel[int] = Channel(capacity)
    channel.close()
    with pytest.raises(ChannelClosed, match="the channel is closed") as caught:
        channel.send(1)
    assert isinstance(caught.value, WebSocketError)
    assert not caught.value.retryable
    assert channel.receive() == (None, False)


def test_closing_ends_every_wait(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel()
    receiving = [pool.submit(channel.receive) for _ in range(4)]
    until_waiting(channel, receivers=4)
    channel.close()
    assert [each.result(WAIT) for each in receiving] == [(None, False)] * 4
    assert count(channel) == (0, 0)


@pytest.mark.parametrize("capacity", [0, 2])
def test_who_waits_to_send_is_told_of_the_end(pool: ThreadPoolExecutor, capacity: int) -> None:
    channel: Channel[int] = Channel(capacity)
    for value in range(capacity):
        channel.send(value)
    sending = [pool.submit(channel.send, 9) for _ in range(4)]
    until_waiting(channel, senders=4)
    channel.close()
    for each in sending:
        with pytest.raises(ChannelClosed):
            each.result(WAIT)
    assert [*channel] == [*range(capacity)]


def test_iteration_ends_with_the_channel(pool: ThreadPoolExecutor) -> None:
    channel: Channel[int] = Channel()
    received = pool.submit(list, channel)
    for value in range(100):
        channel.send(value)
    channel.close()
    assert received.result(WAIT) == [*range(100)]
    assert [*channel] == []
    with pytest.raises(StopIteration):
        next(channel)


def test_leaving_an_iteration_loses_nothing() -> None:
    channel: Channel[int] = Channel(5)
    for value in range(5):
        channel.send(value)
    channel.close()
    for value in channel:
        if value == 2:
            break
    assert [*channel] == [3, 4]


# ------------------------------------------------------------------ timeouts and bad input

TIMEOUTS = [10, 10.5, "10ms", "0.01s", timedelta(milliseconds=10)]


@pytest.mark.parametrize("timeout", TIMEOUTS, ids=repr)
def test_a_timeout_ends_the_wait_and_loses_nothing(timeout: Any) -> None:
    channel: Channel[int] = Channel(1)
    with pytest.raises(TimeoutError, match="timeout"):
        channel.receive(timeout=timeout)
    channel.send(1, timeout)
    with pytest.raises(TimeoutError, match="timeout"):
        channel.send(2, timeout)
    assert count(channel) == (0, 0)
    channel.close()
    assert [*channel] == [1]


@pytest.mark.parametrize("timeout", ["1h", 3_600_000, None])
def test_no_timeout_passes_if_there_is_nothing_to_wait_for(timeout: Any) -> None:
    channel: Channel[int] = Channel(1)
    channel.send(1, timeout)
    assert channel.receive(timeout) == (1, True)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, InvalidOption),
        (-1, InvalidOption),
        ("5", InvalidOption),
        ("", InvalidOption),
        (float("nan"), InvalidOption),
        (float("inf"), InvalidOption),
        (True, TypeError),
        (b"5s", TypeError),
        ([], TypeError),
    ],
    ids=repr,
)
def test_a_bad_timeout_raises_before_anything_is_done(timeout: Any, error: type[Exception]) -> None:
    channel: Channel[int] = Channel(2)
    channel.send(1)
    with pytest.raises(error, match="timeout"):
        channel.send(2, timeout)
    with pytest.raises(error, match="timeout"):
        channel.receive(timeout)
    assert len(channel) == 1


@pytest.mark.parametrize(
    ("capacity", "error"),
    [(-1, ValueError), (1.0, TypeError), ("1", TypeError), (None, TypeError), (True, TypeError)],
    ids=repr,
)
def test_a_bad_capacity_raises(capacity: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="capacity"):
        Channel(capacity)


def test_a_channel_cannot_leave_its_process() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Channel())


def test_a_generator_that_delegates_to_a_channel_does_not_close_it() -> None:
    def values() -> Iterator[int]:
        yield from channel

    channel: Channel[int] = Channel(3)
    for value in range(3):
        channel.send(value)
    for value in values():
        if value == 1:
            break
    assert not channel.closed
    assert next(channel) == 2
