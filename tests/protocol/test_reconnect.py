import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol import errors
from wsfast.protocol.errors import InvalidOption, StatusError
from wsfast.protocol.headers import Headers
from wsfast.protocol.reconnect import (
    Backoff,
    Reconnect,
    ReconnectDict,
    reconnect_policy,
    worth_retrying,
)

LOST = errors.ConnectionLost()


def backoff(random: float = 0.0, **policy: Any) -> Backoff:
    return Backoff(Reconnect(**policy), lambda: random)


# ---------------------------------------------------------------- the policy


def test_defaults() -> None:
    assert Reconnect() == Reconnect(
        initial="1s", maximum="60s", factor=2.0, jitter=1.0, attempts=None, reset_after="10s"
    )


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        (None, None),
        (False, None),
        (True, Reconnect()),
        ({}, Reconnect()),
        ({"initial": 5, "attempts": 3}, Reconnect(initial=5, attempts=3)),
        (MappingProxyType({"jitter": 0}), Reconnect(jitter=0)),
        (Reconnect(factor=3), Reconnect(factor=3)),
    ],
)
def test_what_stands_for_a_policy(value: Any, policy: Reconnect | None) -> None:
    assert reconnect_policy(value) == policy


def test_a_mapping_has_the_fields_of_the_policy() -> None:
    assert [*ReconnectDict.__annotations__] == [field.name for field in fields(Reconnect)]


def test_it_is_immutable_and_survives_pickle_copy_and_replace() -> None:
    policy = Reconnect(initial=500, maximum=timedelta(minutes=1), attempts=2)
    with pytest.raises(FrozenInstanceError):
        policy.attempts = 3  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(policy)) == copy.copy(policy) == policy
    assert hash(copy.deepcopy(policy)) == hash(policy)
    assert replace(policy, attempts=1).initial == 500  # still milliseconds


@pytest.mark.parametrize("value", [0, 1, "1s", 5.0, [], ("initial", 1), Reconnect, object()])
def test_what_is_no_policy_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^reconnect must be a bool, a Reconnect or a mapping"):
        reconnect_policy(value)


@pytest.mark.parametrize("name", ["intial", "", 1, None])
def test_an_unknown_field_is_a_type_error_that_lists_the_known(name: Any) -> None:
    with pytest.raises(TypeError, match=rf"unknown field {name!r}; there are initial, maximum, "):
        reconnect_policy({name: 1})  # type: ignore[misc]


DURATIONS = ["initial", "maximum", "reset_after"]
NUMBERS = ["factor", "jitter"]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        *((name, value, TypeError) for name in DURATIONS for value in (True, [1], b"1s")),
        *((name, value, InvalidOption) for name in DURATIONS for value in (0, -1, "5", None)),
        *((name, value, TypeError) for name in NUMBERS for value in (True, "1", None, 1j)),
        *((name, float("nan"), InvalidOption) for name in NUMBERS),
        *(("factor", value, InvalidOption) for value in (0, 0.99, -2, 1000.1, float("inf"))),
        *(("jitter", value, InvalidOption) for value in (-0.1, 1.1, 10**400, float("-inf"))),
        *(("attempts", value, TypeError) for value in (True, 1.0, "1")),
        *(("attempts", value, InvalidOption) for value in (0, -1, 2**31)),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^reconnect: {field}\b"):
        Reconnect(**{field: value})
    with pytest.raises(error, match=rf"^reconnect: {field}\b"):
        reconnect_policy({field: value})  # type: ignore[misc]


@pytest.mark.parametrize("policy", [{"initial": "61s"}, {"maximum": 999}])
def test_the_first_delay_is_not_longer_than_the_longest(policy: Any) -> None:
    with pytest.raises(InvalidOption, match="initial must not be longer than maximum"):
        Reconnect(**policy)


# ---------------------------------------------------------------- delays


def test_without_jitter_the_delays_grow_to_the_maximum() -> None:
    delays = backoff(initial="5s", jitter=0)
    assert [delays.next_delay(LOST, 0) for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    assert delays.attempt == 6


@pytest.mark.parametrize(
    ("jitter", "random", "delay"), [(1, 0, 8), (1, 0.75, 2), (0.5, 0.75, 5), (0, 0.75, 8)]
)
def test_jitter_takes_its_share_of_the_delay(jitter: float, random: float, delay: float) -> None:
    assert backoff(random, initial="8s", jitter=jitter).next_delay(None, 0) == delay


def test_chance_is_not_what_the_program_has_seeded() -> None:
    delays = [Backoff(Reconnect()).next_delay(LOST, 0) for _ in range(50)]
    assert len(set(delays)) > 40
    assert all(delay is not None and 0 < delay <= 1 for delay in delays)


def test_attempts_are_counted_and_bounded() -> None:
    delays = backoff(initial="1s", jitter=0, attempts=2)
    assert delays.attempt == 0
    assert [delays.next_delay(LOST, 0) for _ in range(4)] == [1, 2, None, None]
    assert delays.attempt == 2


@pytest.mark.parametrize(("lasted", "delay"), [(9.99, 2), (10, 1), (1e9, 1)])
def test_only_a_connection_that_lasted_lets_it_start_over(lasted: float, delay: float) -> None:
    delays = backoff(initial="1s", jitter=0, attempts=2, reset_after="10s")
    assert delays.next_delay(LOST, 100) == 1
    delays.opened(200)
    assert delays.next_delay(LOST, 200 + lasted) == delay
    # One that did not open at all has not lasted, whenever that was.
    assert delays.next_delay(LOST, 1e12) == {2: None, 1: 2}[delay]


def unavailable(*values: str) -> StatusError:
    return StatusError(503, "", Headers([("Retry-After", value) for value in values]))


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (unavailable("7"), 7),
        (unavailable("0007"), 7),
        (unavailable("1"), 2),
        (unavailable("0"), 2),
        (unavailable("31"), 30),
        (unavailable("9" * 100_000), 30),
        (unavailable("0" * 100_000), 2),
        (unavailable("-7"), 2),
        (unavailable("7.5"), 2),
        (unavailable("\u00b2"), 2),
        (unavailable(""), 2),
        (unavailable("Fri, 31 Dec 1999 23:59:59 GMT"), 2),
        (unavailable(), 2),
        (errors.ConnectError("connection refused"), 2),
        (None, 2),
    ],
)
def test_retry_after_holds_back_within_the_maximum(error: Any, delay: float) -> None:
    delays = backoff(initial="2s", maximum="30s", jitter=0)
    assert delays.next_delay(error, 0) == delay


CHANCE = st.floats(0, 1, exclude_max=True)


@given(
    initial=st.floats(0.001, 1e9),
    maximum=st.floats(0.001, 2e9),
    factor=st.floats(1, 1000),
    jitter=st.floats(0, 1),
    steps=st.lists(st.tuples(CHANCE, st.none() | st.floats(0, 100)), max_size=60),
)
def test_each_delay_is_above_zero_and_within_its_bounds(
    initial: float,
    maximum: float,
    factor: float,
    jitter: float,
    steps: list[tuple[float, float | None]],
) -> None:
    """A step is a random number, and for how many seconds a connection was open, if at all."""
    if initial > maximum:
        initial, maximum = maximum, initial
    chances = iter([chance for chance, _ in steps])
    policy = Reconnect(
        initial=initial, maximum=maximum, factor=factor, jitter=jitter, reset_after="10s"
    )
    delays = Backoff(policy, lambda: next(chances))
    now, in_a_row = 0.0, 0
    for _, lasted in steps:
        if lasted is not None:
            delays.opened(now)
            start, now = now, now + lasted
            if now - start >= 10:
                in_a_row = 0
        delay = delays.next_delay(None, now)
        assert delay is not None
        longest = initial
        for _ in range(in_a_row):
            longest = min(longest * factor, maximum)
        assert 0 < delay <= longest / 1000 * (1 + 1e-9)
        assert delay >= longest / 1000 * (1 - jitter) * (1 - 1e-9)
        in_a_row += 1
        assert delays.attempt == in_a_row


# ---------------------------------------------------------------- what is worth it


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConnectError("connection refused"), True),
        (errors.ConnectTimeout("timeout"), True),
        (errors.TLSError("TLS: reset"), True),
        (errors.CertificateError("TLS: expired"), False),
        (errors.HandshakeError("no HTTP"), False),
        (StatusError(500, "", Headers([])), True),
        (StatusError(503, "", Headers([])), True),
        (StatusError(404, "", Headers([])), False),
        (StatusError(301, "", Headers([])), False),
        (errors.PermissionDenied("not allowed"), False),
        (errors.ConnectionLost(1006), True),
        (errors.ConnectionLost(1011, "keepalive ping timeout"), True),
        (errors.ConnectionLost(1008, "read timeout"), True),
        (errors.ProtocolError(1002), False),
        (errors.ProtocolError(1009), False),
        (errors.ForkedError(), False),
        (errors.WebSocketError("internal error"), False),
    ],
)
def test_an_error_knows_whether_it_is_worth_it(
    error: errors.WebSocketError, expected: bool
) -> None:
    assert worth_retrying(error, 1006) is expected
    assert worth_retrying(error, getattr(error, "code", None)) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, True) for code in (1000, 1001, 1005, 1011, 1012, 1013, 1014, 3000, 4000, 4999)),
        *((code, False) for code in (1002, 1003, 1007, 1008, 1009, 1010)),
        (None, True),
    ],
)
def test_a_close_is_final_if_it_complains_about_us(code: int | None, expected: bool) -> None:
    assert worth_retrying(None, code) is expected
