"""The queue of messages that wait to be taken."""

from typing import Any

import pytest

from wsfast.protocol.options import client_options
from wsfast.threads.inbox import Inbox


def inbox(**options: Any) -> Inbox:
    return Inbox(client_options(**options))


def put(box: Inbox, *messages: str | bytes) -> None:
    box.put([*messages], sum(map(len, messages)))


def test_messages_come_out_in_the_order_they_went_in() -> None:
    box = inbox()
    assert box.count == 0
    put(box, "a", b"b")
    put(box, "c")
    assert box.count == 3
    assert box.pop() == "a"
    put(box)
    assert box.take_all() == [b"b", "c"]
    assert box.take_all() == []


@pytest.mark.parametrize(
    ("options", "last"),
    [({"receive_queue_messages": 3}, b""), ({"receive_queue_bytes": 30}, b"x" * 10)],
    ids=["messages", "bytes"],
)
def test_it_is_full_at_its_bound_and_has_room_below_it(
    options: dict[str, int], last: bytes
) -> None:
    box = inbox(**options)
    put(box, b"x" * 10, b"x" * 10)
    assert not box.full
    put(box, last)
    assert box.full
    box.pop()
    box.pop()
    assert not box.full


def test_what_arrived_together_counts_until_the_last_of_it_is_taken() -> None:
    box = inbox(receive_queue_bytes=30)
    put(box, b"x" * 29, b"x")
    box.pop()
    assert box.full
    box.pop()
    assert not box.full


def test_what_arrived_together_is_kept_over_the_bound() -> None:
    box = inbox(receive_queue_messages=2)
    put(box, "a", "b", "c")
    assert box.full
    assert box.take_all() == ["a", "b", "c"]
    assert not box.full
    put(box, "d", "e")
    put(box, "f")
    assert box.pop() == "d"
    put(box, "g")
    assert box.take_all() == ["e", "f", "g"]


@pytest.mark.parametrize(
    "options",
    [{"receive_queue_messages": 3}, {"receive_queue_bytes": 3}],
    ids=["messages", "bytes"],
)
def test_the_oldest_make_room_if_they_may_be_dropped(options: dict[str, int]) -> None:
    box = inbox(**options, receive_overflow="drop_oldest")
    for message in "abcde":
        put(box, message)
        assert not box.full
    assert box.take_all() == ["c", "d", "e"]
    put(box, "f", "g")
    assert box.take_all() == ["f", "g"]


def test_the_latest_stays_however_large_it_is() -> None:
    box = inbox(receive_queue_bytes=3, receive_overflow="drop_oldest")
    put(box, "a", "b", "much too long")
    assert box.take_all() == ["much too long"]
