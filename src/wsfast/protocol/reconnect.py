"""Whether to open a connection again after its end, and how long to wait before that.

Nothing here waits or looks at a clock: a driver says when a connection opened and when it ended,
gets a delay, and waits in a way of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from random import SystemRandom
from typing import TypeAlias, TypedDict

from wsfast.protocol import checks
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.durations import Duration
from wsfast.protocol.errors import InvalidOption, StatusError, WebSocketError

__all__ = [
    "Backoff",
    "Reconnect",
    "ReconnectDict",
    "ReconnectLike",
    "reconnect_policy",
    "worth_retrying",
]

_COMPLAINTS = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_PAYLOAD,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.MANDATORY_EXTENSION,
    }
)
"""What a peer closes with if it does not like what we do. We would do the same again."""

_chance = SystemRandom().random
"""Nobody can seed it, so clients that all seed the global generator alike still spread."""

_MAX_DIGITS = 9
"""Of a Retry-After: more than any `maximum` can be."""


class ReconnectDict(TypedDict, total=False):
    """The fields of `Reconnect`, for those who have them in a mapping."""

    initial: Duration
    maximum: Duration
    factor: float
    jitter: float
    attempts: int | None
    reset_after: Duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconnect:
    """When a connection that has ended is opened again: exponential backoff with jitter.

    Before attempt `n` in a row, the delay is at most `initial * factor ** (n - 1)`, and never more
    than `maximum`; `jitter` says how far below that it may be. Immutable, and checked when made:
    a wrong type is a `TypeError`, a wrong value an `InvalidOption`, both name the field.

    A duration is a number of milliseconds, a Go duration string or a timedelta.
    """

    initial: Duration = "1s"
    """The longest delay before the first attempt."""
    maximum: Duration = "60s"
    """The longest delay before any attempt; not below `initial`."""
    factor: float = 2.0
    """What the longest delay is multiplied by with each attempt in a row, from 1 to 1000."""
    jitter: float = 1.0
    """The share of the delay that chance decides, from 0 to 1. With 1 ("full jitter") it is
    anything between nothing and the longest, so that clients which a server lost all at once do
    not come back all at once; with 0 it is always the longest."""
    attempts: int | None = None
    """How many attempts in a row there may be; None does not bound them."""
    reset_after: Duration = "10s"
    """How long a connection must have been open for the next attempt to count as the first again.
    A server that accepts and hangs up is not spared by an attempt that "succeeds"."""

    def __post_init__(self) -> None:
        """Checks all fields."""
        for field in fields(self):
            _CHECKS[field.name](getattr(self, field.name), f"reconnect: {field.name}")
        if _seconds(self.initial) > _seconds(self.maximum):
            raise InvalidOption("reconnect: initial must not be longer than maximum")


ReconnectLike: TypeAlias = bool | Reconnect | ReconnectDict | None
"""What stands for a policy: True for the defaults, False and None for none."""


def reconnect_policy(value: ReconnectLike) -> Reconnect | None:
    """The policy that `value` stands for, if any.

    Any mapping will do at run time.

    Raises:
        TypeError: something else, an unknown field or a field of a wrong type.
        InvalidOption: a field with a wrong value.
    """
    if value is None or value is False:
        return None
    if value is True:
        return Reconnect()
    if isinstance(value, Reconnect):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(
            f"reconnect must be a bool, a Reconnect or a mapping, not {type(value).__name__}"
        )
    for name in value:
        if name not in _CHECKS:
            raise TypeError(f"reconnect: unknown field {name!r}; there are {', '.join(_CHECKS)}")
    return Reconnect(**value)


def worth_retrying(error: WebSocketError | None, close_code: int | None) -> bool:
    """Whether a connection that ended like this may fare better when it is opened again.

    With an error, the error knows: a connection that was lost or could not be opened may, but not
    after a refused certificate, an HTTP status below 500, or a violation of the protocol. Without
    one the peer has closed, and that may have been a restart, an idle timeout, or a handler that
    returned; only a code that complains about us (1002, 1003, 1007 to 1010) is final.
    """
    return close_code not in _COMPLAINTS if error is None else error.retryable


class Backoff:
    """The attempts to open one connection again. Times and delays are seconds. Not locked."""

    def __init__(self, policy: Reconnect, random: Callable[[], float] = _chance) -> None:
        """`random` returns numbers from 0 up to, not including, 1."""
        self._policy = policy
        self._random = random
        self._maximum = _seconds(policy.maximum)
        self._reset_after = _seconds(policy.reset_after)
        self._opened_at: float | None = None
        self._start_over()

    def _start_over(self) -> None:
        self.attempt = 0
        """How many attempts in a row there have been, with the one that is to come."""
        self._longest = _seconds(self._policy.initial)

    def opened(self, now: float) -> None:
        """The connection is open."""
        self._opened_at = now

    def next_delay(self, error: WebSocketError | None, now: float) -> float | None:
        """The connection has ended with `error`, or did not open: how long to wait before the next
        attempt. None if there have been enough.

        A server that answers with Retry-After (RFC 9110, section 10.2.3) is not asked sooner, but
        `maximum` holds all the same.
        """
        opened_at, self._opened_at = self._opened_at, None
        if opened_at is not None and now - opened_at >= self._reset_after:
            self._start_over()
        if self.attempt == self._policy.attempts:
            return None
        self.attempt += 1
        delay = self._longest * (1 - self._policy.jitter * self._random())
        self._longest = min(self._longest * self._policy.factor, self._maximum)
        return max(delay, min(_retry_after(error), self._maximum))


def _retry_after(error: WebSocketError | None) -> float:
    """Seconds; 0 if nothing is said. An HTTP date is passed over: clocks differ."""
    value = error.headers.get("Retry-After") if isinstance(error, StatusError) else None
    if value is None or not (value.isascii() and value.isdigit()):
        return 0.0
    return float(value.lstrip("0")[:_MAX_DIGITS] or 0)


def _seconds(value: Duration) -> float:
    """Of a duration that has been checked."""
    return checks.required_seconds(value, "reconnect")


_CHECKS: Mapping[str, checks.Check] = {
    "initial": checks.required_seconds,
    "maximum": checks.required_seconds,
    "factor": checks.real(1, 1000),
    "jitter": checks.real(0, 1),
    "attempts": checks.optional(checks.integer(1, 2**31 - 1)),
    "reset_after": checks.required_seconds,
}
