import contextlib
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.durations import MAX_SECONDS, seconds
from wsfast.protocol.errors import InvalidOption

NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("5s", 5 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("300ms", 300 * 10**6),
        ("2us", 2000),
        ("2\u00b5s", 2000),
        ("2\u03bcs", 2000),
        ("10ns", 10),
        ("+5s", 5 * 10**9),
        ("1.s", 10**9),
        (".5s", 5 * 10**8),
        ("005s", 5 * 10**9),
        ("1h2m3s4ms5us6ns", 3723004005006),
        ("1s1s", 2 * 10**9),
        ("39h9m14.425s", 140954425 * 10**6),
        # Where Go's floating point rounds up what exact arithmetic would cut.
        ("0.3333333333333333333h", 20 * 60 * 10**9),
        # Digits past Go's 64 bits are read over.
        ("0.100000000000000000000h", 360 * 10**9),
        ("0.9223372036854775807h", 3320413933267),
        ("0.9223372036854775809h", 3320413933267),
        ("1." + "9" * 1000 + "s", 2 * 10**9),
        ("1." + "0" * 1000 + "1s", 10**9),
        ("0" * 1000 + "1s", 10**9),
    ],
)
def test_go_durations(text: str, nanoseconds: int) -> None:
    assert seconds(text, "dial_timeout") == nanoseconds / 1e9


@pytest.mark.parametrize(
    "text",
    [
        *("", "+", "-", "3", "3.5", ".", "-.", ".s", "+.s", "s", "1", "00", "0.", "+5", "5 s"),
        *(" 5s", "5s ", "5S", "5sec", "1d", "1e3s", "1_0s", "1,5s", "--5s", "+-5s", "1s-2s", "nan"),
        *(
            "inf",
            "1.2.3s",
            "1..2s",
            "1s2",
            "\u0663s",
            "\uff15s",
            "5s\n",
            "5\0s",
            "1m 30s",
            "\u00b5",
            "5\u00b5",
        ),
    ],
)
def test_what_go_refuses_is_a_value_error(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"^dial_timeout: .* is not a duration"):
        seconds(text, "dial_timeout")


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "+0",
        "-0",
        "0s",
        "0h0m",
        "-5s",
        "-1.5h",
        "0.3ns",
        0,
        -1,
        0.0,
        -0.0,
        -(10**400),
        5e-324,
        float("nan"),
        float("-inf"),
        timedelta(0),
        timedelta(seconds=-1),
        "-" + "9" * 30 + "h",
    ],
)
def test_nothing_but_above_zero(value: float | str | timedelta) -> None:
    with pytest.raises(InvalidOption, match=r"^dial_timeout must be above zero"):
        seconds(value, "dial_timeout")


@pytest.mark.parametrize(
    "value",
    [
        "577h",
        "9" * 19 + "h",
        "9" * 20 + "ns",
        "9" * 10000 + "s",
        "2562047h47m16.854775808s",
        10**400,
        float("inf"),
        1e308,
        MAX_SECONDS * 1000 + 1,
        timedelta.max,
        timedelta(days=25),
    ],
)
def test_no_longer_than_any_wait_can_be(value: float | str | timedelta) -> None:
    with pytest.raises(InvalidOption, match=r"^dial_timeout must not be longer than 24 days"):
        seconds(value, "dial_timeout")


def test_the_longest_duration() -> None:
    assert seconds("576h", "x") == MAX_SECONDS
    assert seconds(MAX_SECONDS * 1000, "x") == MAX_SECONDS
    assert seconds(timedelta(days=24), "x") == MAX_SECONDS


def test_numbers_are_milliseconds() -> None:
    assert seconds(1500, "x") == 1.5
    assert seconds(0.5, "x") == 0.0005


def test_timedelta_and_none() -> None:
    assert seconds(timedelta(minutes=1, milliseconds=5), "x") == 60.005
    assert seconds(None, "x") is None


@pytest.mark.parametrize("value", [True, False, b"5s", [5], object(), 5j, Fraction(5)])
def test_other_types(value: object) -> None:
    with pytest.raises(TypeError, match=r"^ping_interval must be"):
        seconds(value, "ping_interval")


def test_errors_quote_hostile_input_only_in_part() -> None:
    with pytest.raises(InvalidOption) as caught:
        seconds("x" * 100_000, "x")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("part", ["1", ".", "1.", "1s", "1ns.", "0", "x", "-", "1.5h"])
def test_hostile_input_takes_linear_time(part: str) -> None:
    # Quadratic time would take an hour and run into the limit of any test.
    with pytest.raises(InvalidOption):
        seconds(part * 200_000 + "!", "x")


PARTS = st.lists(
    st.tuples(
        st.integers(0, 10**7),
        st.one_of(st.none(), st.text("0123456789", max_size=12)),
        st.sampled_from(sorted(NANOSECONDS)),
    ),
    min_size=1,
    max_size=6,
)


@given(PARTS)
def test_durations_agree_with_exact_arithmetic(
    parts: list[tuple[int, str | None, str]],
) -> None:
    text = "".join(
        f"{whole}{'' if fraction is None else '.' + fraction}{unit}"
        for whole, fraction, unit in parts
    )
    exact = sum(
        (whole + Fraction(int(fraction or "0"), 10 ** len(fraction or ""))) * NANOSECONDS[unit]
        for whole, fraction, unit in parts
    )
    try:
        result = seconds(text, "x")
    except InvalidOption:
        assert exact < len(parts) or exact > MAX_SECONDS * 10**9
    else:
        assert result is not None
        # Each part is cut to whole nanoseconds, and floats keep 53 bits.
        assert abs(Fraction(result) * 10**9 - exact) <= len(parts) + 1


@given(st.text(st.sampled_from("0123456789.+-nuµmsh x"), max_size=30) | st.text())
def test_any_text_is_a_duration_or_an_invalid_option(text: str) -> None:
    with contextlib.suppress(InvalidOption):
        result = seconds(text, "x")
        assert result is not None
        assert 0 < result <= MAX_SECONDS
