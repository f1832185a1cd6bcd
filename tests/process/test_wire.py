"""What travels between nodes."""

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsfast.process import PID
from wsfast.process.wire import DEEPEST, Malformed, pack, unpack

LIMIT = 10_000

TEXT = st.text(max_size=10)
KEYS = TEXT | st.sampled_from(["$bytes", "$pid", "$dict", "$"])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary(max_size=20)
    | st.builds(PID, st.just("node1"), st.just("host"), st.integers(1, 10**17))
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@settings(max_examples=50)
@given(VALUES)
def test_what_is_sent_comes(value: Any) -> None:
    assert unpack(pack(value, 10**6), 10**6) == value


@settings(max_examples=50)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_malformed(frame: bytes) -> None:
    try:
        unpack(frame, LIMIT)
    except Malformed:
        pass


JSON = st.recursive(
    st.none() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "{a@b|1}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
)


@settings(max_examples=50)
@given(JSON, st.binary(max_size=5))
def test_any_json_is_a_value_or_malformed(value: Any, rest: bytes) -> None:
    for head in (value, [[], value], [[len(rest)], value]):
        try:
            unpack(json.dumps(head).encode() + b"\n" + rest, LIMIT)
        except Malformed:
            pass


def test_kinds_of_what_can_be_sent() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    class Number(enum.IntEnum):
        ONE = 1

    sent = (Colour.RED, Number.ONE, bytearray(b"1"), memoryview(b"1234")[::2])
    assert unpack(pack(sent, LIMIT), LIMIT) == ["red", 1, b"1", b"13"]


@pytest.mark.parametrize("bad", [{1: 2}, {None: 1}, {1, 2}, object(), 1j, [(object(),)]])
def test_other_types(bad: Any) -> None:
    with pytest.raises(TypeError):
        pack(bad, LIMIT)


@pytest.mark.parametrize("bad", [math.nan, -math.inf, "\ud800", {"\udfff": 1}])
def test_other_values(bad: Any) -> None:
    with pytest.raises(ValueError, match="cannot be sent|surrogates"):
        pack([bad], LIMIT)


def test_an_integer_of_too_many_digits() -> None:
    with pytest.raises(ValueError, match="digits"):
        pack([10**5000], LIMIT)


def nested(depth: int) -> Any:
    value: Any = b"in"
    for number in range(depth):
        value = {"$dict": value} if number % 2 else [value]
    return value


def test_depth() -> None:
    assert unpack(pack(nested(DEEPEST), LIMIT), LIMIT) == nested(DEEPEST)
    with pytest.raises(ValueError, match="in each other"):
        pack(nested(DEEPEST + 1), LIMIT)
    for depth in (3 * DEEPEST, 100_000):
        text = f"[[],{'[' * depth}{']' * depth}]\n".encode()
        with pytest.raises(Malformed):
            unpack(text, 10**6)


def test_size() -> None:
    frame = pack(b"12345", LIMIT)
    assert pack(b"12345", len(frame)) == frame
    assert unpack(frame, len(frame)) == b"12345"
    with pytest.raises(
        ValueError, match=f"more than may be sent to another node: {len(frame) - 1}"
    ):
        pack(b"12345", len(frame) - 1)
    with pytest.raises(Malformed):
        unpack(frame, len(frame) - 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\n",
        b"[[],1]",
        b"{}\n",
        b"[1,2,3]\n",
        b"[{},1]\n",
        b"[[1],1]\n",
        b"[[-1],1]\n1",
        b"[[true],1]\n1",
        b"[[0.0],1]\n",
        b"[[],1]\n1",
        b"[[],NaN]\n",
        b"[[],1e999]\n",
        b"[[],\xff]\n",
        b'[[],{"$bytes":0}]\n',
        b'[[1],{"$bytes":-1}]\n1',
        b'[[1],{"$bytes":true}]\n1',
        b'[[],{"$pid":"no"}]\n',
        b'[[],{"$pid":1}]\n',
        b'[[],{"$dict":1}]\n',
        b'[[],{"$other":1}]\n',
        b'[[],{"$":1}]\n',
        b"[[]," + b"1" * 5000 + b"]\n",
    ],
)
def test_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(frame, LIMIT)


def test_only_values_are_made() -> None:
    """A dict with a key that means something is a dict, if it was one."""
    for value in ({"$bytes": 0}, {"$pid": "{a@b|1}"}, {"$dict": {"$dict": 1}}, {"$x": 1, "y": 2}):
        assert unpack(pack(value, LIMIT), LIMIT) == value
