"""The queue of messages that wait to be taken."""

from typing import Any

import pytest

from wsfast.protocol.options import client_options
from wsfast.threads.inbox import Inbox


def inbox(**options: Any) -> Inbox:
    return Inbox(client_options(**options))


def test_messages_come_out_in_the_order_they_went_in() -> None:
    box = inbox()
    assert not box
    box.put(["a", b"b"])
    box.put(["c"])
    assert len(box) == 3
    assert box.pop() == "a"
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
    box.put([b"x" * 10, b"x" * 10])
    assert not box.full
    box.put([last])
    assert box.full
    box.pop()
    assert not box.full


def test_what_arrived_together_is_kept_over_the_bound() -> None:
    box = inbox(receive_queue_messages=2)
    box.put(["a", "b", "c"])
    assert box.full
    assert box.take_all() == ["a", "b", "c"]
    assert not box.full


@pytest.mark.parametrize(
    "options",
    [{"receive_queue_messages": 3}, {"receive_queue_bytes": 3}],
    ids=["messages", "bytes"],
)
def test_the_oldest_make_room_if_they_may_be_dropped(options: dict[str, int]) -> None:
    box = inbox(**options, receive_overflow="drop_oldest")
    for message in "abcde":
        box.put([message])
        assert not box.full
    assert box.take_all() == ["c", "d", "e"]
    box.put(["f", "g"])
    assert box.take_all() == ["f", "g"]


def test_the_latest_stays_however_large_it_is() -> None:
    box = inbox(receive_queue_bytes=3, receive_overflow="drop_oldest")
    box.put(["a", "b", "much too long"])
    assert box.take_all() == ["much too long"]
