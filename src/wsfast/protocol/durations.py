"""Durations as the seeds write them: a number of milliseconds or a Go duration string."""

import re
import reprlib
from datetime import timedelta
from typing import TypeAlias

from wsfast.protocol.errors import InvalidOption

Duration: TypeAlias = float | str | timedelta
"""Milliseconds, a Go duration such as ``"1m30s"``, or a timedelta."""

# poll() takes its milliseconds as a C int, which ends after 24.8 days.
MAX_SECONDS = 24.0 * 24 * 60 * 60

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # MICRO SIGN
    "\u03bcs": 1_000,  # GREEK SMALL LETTER MU
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# Possessive, so that hostile input costs one pass.
_PART = re.compile(r"([0-9]*+)(?:\.([0-9]*+))?+([^0-9.]++)")
_INT64_MAX = 2**63 - 1


def seconds(value: Duration | None, name: str) -> float | None:
    """Convert a duration to seconds; None means no limit and stays None.

    An int or a float counts milliseconds. A str is what Go's ``time.ParseDuration`` takes
    (``"300ms"``, ``"1.5h"``, ``"1m30s"``; units ns, us, µs, ms, s, m, h), with the same result to
    the nanosecond. A timedelta is taken as it is.

    Args:
        name: the option that errors name.

    Raises:
        TypeError: any other type; a bool is no number here.
        InvalidOption: not a duration, not above zero, not finite, or longer than 24 days.
    """
    if value is None:
        return None
    result = _convert(value, name)
    if result <= 0:
        raise InvalidOption(f"{name} must be above zero; None means no limit")
    if result > MAX_SECONDS:
        raise InvalidOption(f"{name} must not be longer than 24 days; None means no limit")
    return result


def seconds_or_off(value: Duration | None, name: str) -> float | None:
    """As `seconds`, for what zero switches off as None does: both are returned as None."""
    return None if value is None or _convert(value, name) == 0 else seconds(value, name)


def _convert(value: Duration, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str | timedelta):
        raise TypeError(
            f"{name} must be a number of milliseconds, a duration string such as '5s', "
            f"a timedelta or None, not {type(value).__name__}"
        )
    if isinstance(value, str):
        try:
            result = _parse(value)
        except ValueError as error:
            raise InvalidOption(
                f"{name}: {reprlib.repr(value)} is not a duration such as '300ms' or '1m30s': "
                f"{error}"
            ) from None
    elif isinstance(value, timedelta):
        result = value.total_seconds()
    else:
        # Clamped before the division, which overflows for a huge int; NaN ends as -1.
        result = max(-1.0, min(value, MAX_SECONDS * 1000 + 1)) / 1000
    return result


def _parse(text: str) -> float:
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError("it is empty")
    total = 0
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            raise ValueError("every number needs a unit")
        whole, fraction, unit = part.groups(default="")
        if not whole and not fraction:
            raise ValueError("every unit needs a number")
        if unit not in _NANOSECONDS:
            raise ValueError(f"there is no unit {reprlib.repr(unit)}")
        total += _nanoseconds(whole, fraction, _NANOSECONDS[unit])
        position = part.end()
    return sign * min(total, _INT64_MAX) / 1e9


def _nanoseconds(whole: str, fraction: str, unit: int) -> int:
    digits = whole.lstrip("0")
    if len(digits) > 19:
        return _INT64_MAX
    # Go adds the fraction in floating point, cut to nanoseconds and to the digits that fit its
    # 64 bits; doing the same keeps "0.3333333333333333333h" at 20 minutes sharp.
    numerator, scale = 0, 1.0
    for digit in fraction:
        longer = numerator * 10 + int(digit)
        if numerator > _INT64_MAX // 10 or longer > 2**63:
            break
        numerator = longer
        scale *= 10
    return int(digits or "0") * unit + int(numerator * (unit / scale))
