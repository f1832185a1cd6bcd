"""What waits of messages that come in parts, against a simple model of it."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsfast.codec import Ping
from wsfast.protocol.options import client_options
from wsfast.protocol.parts import PartInbox, Parts, join
from wsfast.protocol.receiving import Part

LIMIT = 10


def inbox(**options: Any) -> PartInbox:
    return PartInbox(client_options(**{"read_limit": LIMIT, "streaming": True} | options))


def part(data: str | bytes, *, more: bool = True) -> Part:
    return Part(data, len(data), more)


@pytest.mark.parametrize("parts", [["é", "", "b"], [b"a", b"", b"b"], [""], [b""]])
def test_parts_are_joined(parts: list[str] | list[bytes]) -> None:
    box = inbox()
    box.put([part(data) for data in parts])
    assert (box.count, box.too_big, box.full) == (0, False, False)
    box.put([part(type(parts[0])(), more=False)])
    assert box.count == 1
    assert box.pop() == type(parts[0])().join(parts)
    assert box.count == 0


def test_control_frames_come_before_the_message_that_they_interrupt() -> None:
    box = inbox()
    box.put(["a", part("b"), Ping(b"1"), part("c"), Ping(b"2"), part("d", more=False), b"e"])
    assert box.take_all() == ["a", Ping(b"1"), Ping(b"2"), "bcd", b"e"]
    assert box.take_all() == []


def test_lending_before_the_end_has_come() -> None:
    box = inbox()
    assert box.lend() is None
    box.put([part("a")])
    parts = box.lend()
    assert isinstance(parts, Parts)
    assert parts.text
    assert box.take_part(parts) == part("a")
    assert box.take_part(parts) is None
    assert box.lend() is None, "it is lent already"
    box.put([part("b"), part("c", more=False), "next"])
    assert box.take_part(parts) == part("b")
    assert box.take_part(parts) == part("c", more=False)
    assert box.lend() == "next"


def test_an_empty_end_is_told_with_the_last_part_that_waits() -> None:
    box = inbox()
    box.put([part(b"a"), part(b"", more=False)])
    parts = box.lend()
    assert isinstance(parts, Parts)
    assert box.take_part(parts) == part(b"a", more=False)
    box.put([part(b"a")])
    parts = box.lend()
    assert isinstance(parts, Parts)
    assert box.take_part(parts) == part(b"a")
    box.put([part(b"", more=False)])
    assert box.take_part(parts) == part(b"", more=False)


def test_what_is_skipped_takes_no_room() -> None:
    box = inbox(receive_queue_bytes=5)
    assert not box.skip()
    box.put([part(b"abc")])
    parts = box.lend()
    box.put([part(b"abc")])
    assert box.full
    assert box.skip()
    assert parts.skipped
    assert not box.full
    assert box.lend() is None
    box.put([part(b"abcdef"), part(b"abcdef", more=False)])
    assert not box.full
    assert box.lend() is None
    box.put(["next"])
    assert box.pop() == "next"


def test_a_message_that_is_too_big_is_told_complete_or_not() -> None:
    for last in ([], [part(b"", more=False)]):
        box = inbox()
        box.put(["first", part(b"x" * LIMIT), part(b"y"), *last])
        assert (box.count, box.too_big) == (1 + len(last), False)
        assert box.pop() == "first"
        assert (box.count, box.too_big) == (0, True)
        parts = box.lend()
        assert not box.too_big
        assert join([box.take_part(parts), box.take_part(parts)], text=False) == b"x" * LIMIT + b"y"


def test_control_frames_without_room_within_a_stream_are_dropped() -> None:
    box = inbox(receive_queue_messages=5)
    box.put([part(b"a")])
    parts = box.lend()
    assert box.take_part(parts) == part(b"a")
    box.put([Ping(b"%d" % i) for i in range(9)])
    assert box.full
    box.put([part(b"b", more=False), "c", Ping(b"after")])
    assert box.take_part(parts) == part(b"b", more=False)
    assert box.take_all() == [*[Ping(b"%d" % i) for i in range(4)], "c", Ping(b"after")]


def test_many_empty_messages_fill_it() -> None:
    box = inbox(receive_queue_messages=100)
    for _ in range(100):
        assert not box.full
        box.put([part("", more=True), part("", more=False)])
    assert box.full
    assert box.take_all() == [""] * 100


def test_clearing() -> None:
    box = inbox(receive_queue_messages=1)
    box.put([part(b"a")])
    parts = box.lend()
    box.put([part(b"b", more=False), "c", part("d")])
    box.clear()
    assert parts.skipped
    assert (box.count, box.full, box.too_big, box.lend()) == (0, False, False, None)


class Model(RuleBasedStateMachine):
    """Messages as lists of their pieces; control frames as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.box = inbox(receive_queue_messages=20, receive_queue_bytes=60)
        self.complete: list[Any] = []
        self.growing: list[Part] | None = None
        self.lent: Parts | None = None
        self.lent_parts: list[Part] = []
        self.lent_ended = False
        self.growing_is: str = "kept"  # or "lent", or "skipped"

    @rule(text=st.booleans(), size=st.integers(0, 6), more=st.booleans())
    def put_part(self, text: bool, size: int, more: bool) -> None:
        if self.growing is not None:
            text = isinstance(self.growing[0].data, str)
        elif not more:
            return  # it would have come whole
        item = part(("x" if text else b"x") * size, more=more)
        self.box.put([item])
        if self.growing is None:
            self.growing, self.growing_is = [], "kept"
        self.growing.append(item)
        if self.growing_is == "lent":
            if size:
                self.lent_parts.append(item)
            self.lent_ended = not more
        if not more:
            if self.growing_is == "kept":
                self.complete.append(self.growing)
            self.growing = None

    @rule(data=st.one_of(st.text(max_size=4), st.binary(max_size=4)))
    def put_message(self, data: str | bytes) -> None:
        if self.growing is None:
            self.box.put([data])
            self.complete.append(data)

    @rule()
    def put_control(self) -> None:
        dropped = self.box.full and self.growing is not None and self.growing_is == "lent"
        self.box.put([Ping(b"p")])
        if not dropped:
            self.complete.append(Ping(b"p"))

    @precondition(lambda self: self.box.count)
    @rule()
    def pop(self) -> None:
        item = self.complete.pop(0)
        expected = item
        if isinstance(item, list):
            expected = type(item[0].data)().join(one.data for one in item)
        assert self.box.pop() == expected

    @rule()
    def skip(self) -> None:
        assert self.box.skip() == (self.lent is not None)
        if self.lent is not None:
            assert self.lent.skipped
            if self.growing is not None and self.growing_is == "lent":
                self.growing_is = "skipped"
            self.lent = None

    @precondition(lambda self: self.lent is None)
    @rule()
    def lend(self) -> None:
        found = self.box.lend()
        if self.complete:
            item = self.complete.pop(0)
            if not isinstance(item, list):
                assert found == item
                return
            self.lent_parts, self.lent_ended = [one for one in item if one.data], True
        elif self.growing is not None and self.growing_is == "kept":
            self.lent_parts, self.lent_ended = [one for one in self.growing if one.data], False
            self.growing_is = "lent"
        else:
            assert found is None
            return
        assert isinstance(found, Parts)
        self.lent = found

    @precondition(lambda self: self.lent is not None)
    @rule()
    def take_part(self) -> None:
        found = self.box.take_part(self.lent)
        if self.lent_parts:
            wanted = self.lent_parts.pop(0)
            assert (found.data, found.size) == (wanted.data, wanted.size)
        elif self.lent_ended:
            assert not found.data
        else:
            assert found is None
            return
        assert found.more == (bool(self.lent_parts) or not self.lent_ended)
        if not found.more:
            self.lent = None
            self.growing_is = "kept"

    @invariant()
    def it_counts_all_that_waits(self) -> None:
        objects, size = 0, 0
        waiting = [*self.complete, *([] if self.growing is None else [self.growing])]
        for item in waiting:
            if isinstance(item, list):
                objects += 1
                if item is self.growing and self.growing_is != "kept":
                    continue
                objects += sum(bool(one.data) for one in item)
                size += sum(one.size for one in item)
            else:
                objects += 1
                size += len(getattr(item, "data", item))
        if self.lent is not None:
            lent_grows = self.growing is not None and self.growing_is == "lent"
            objects += len(self.lent_parts) + (not lent_grows)
            size += sum(one.size for one in self.lent_parts)
        assert self.box.full == (objects >= 20 or size >= 60)
        assert (self.box._objects, self.box._bytes) == (objects, size)

    @invariant()
    def it_knows_what_can_be_taken(self) -> None:
        first = self.complete[0] if self.complete else None
        if first is None and self.growing_is == "kept":
            first = self.growing
        too_big = isinstance(first, list) and sum(one.size for one in first) > LIMIT
        assert self.box.too_big == too_big
        if not (too_big and self.complete):
            assert self.box.count == len(self.complete)
        else:
            assert self.box.count == 0


TestModel = Model.TestCase
