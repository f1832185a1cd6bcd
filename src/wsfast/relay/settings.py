"""The options of a `WebSocketRelay`: their names, units, defaults and checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from wsfast.protocol.checks import Check, choice, integer, required_seconds
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.origins import OriginPolicy

__all__ = ["Options", "Overflow", "Settings"]

Overflow = Literal["close", "drop_newest", "drop_oldest"]
"""What happens when more waits for a client than may: it is closed with 1013, or what comes, or the
oldest of what waits, is lost."""

_MOST = 2**31 - 1


class Options(TypedDict, total=False):
    """What `WebSocketRelay` takes.

    A duration is a number of milliseconds, a Go duration string or a timedelta.
    """

    allowed_origins: Sequence[str] | str | None
    """Which web pages may connect: patterns, or one str with commas between them; see
    `wsfast.protocol.origins.OriginPolicy` for the exact rule. None (default): those of the same
    origin. Seed 003, ``wsrelay.allowed.origins``."""
    prefix: str
    """The paths that are relayed: this one and those below it. Default "/", all. Seed 003."""
    handler_timeout: Duration | None
    """Bounds the time in which the handler has to respond; then 504. Default "10s"."""
    response_limit: int
    """Bytes in the body of the handler's response, which is kept back until it is whole; then 500.
    Default 1 MiB."""
    max_connections: int
    """How many are relayed at once; then 503. Default 10,000."""
    read_limit: int
    """Bytes in a message of a client; then it is closed with 1009. Default 1 MiB. The server has a
    limit of its own, by which it has the whole message first."""
    queue_messages: int
    """How many messages may wait for one client. Default 1,000."""
    queue_bytes: int
    """How many bytes or characters these may have; one message may always wait. Default 4 MiB."""
    overflow: Overflow
    """What happens when there are more. Default "close"."""
    write_timeout: Duration
    """Bounds how long one message to the client may take; then it is closed with 1013. Default
    "30s"."""
    delivery_timeout: Duration
    """Bounds how long a message of the client may wait for room in the mailbox of its target,
    during which nothing more is read; then it is closed with 1013. Default "10s"."""
    close_timeout: Duration
    """Bounds the closing handshake. Default "5s"."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The same, checked; durations in seconds. Immutable."""

    origins: OriginPolicy
    prefix: str
    handler_timeout: float | None
    response_limit: int
    max_connections: int
    read_limit: int
    queue_messages: int
    queue_bytes: int
    overflow: Overflow
    write_timeout: float
    delivery_timeout: float
    close_timeout: float

    @classmethod
    def of(cls, **options: Unpack[Options]) -> "Settings":
        """Checks options. `TypeError`, `ValueError` name the wrong one."""
        given: dict[str, Any] = dict(options)
        origins = OriginPolicy(_patterns(given.pop("allowed_origins", None)))
        unknown = given.keys() - _CHECKS.keys()
        if unknown:
            raise TypeError(f"WebSocketRelay has no option {min(unknown)!r}")
        checked = {
            name: check(given.get(name, default), name)
            for name, (check, default) in _CHECKS.items()
        }
        return cls(origins=origins, **checked)


def _patterns(value: Sequence[str] | str | None) -> Sequence[str] | None:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()] or None


def _prefix(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value.startswith("/"):
        raise ValueError(f"{name} must begin with '/'")
    return value.rstrip("/")


_count = integer(1, _MOST)
_CHECKS: dict[str, tuple[Check, Any]] = {
    "prefix": (_prefix, "/"),
    "handler_timeout": (seconds, "10s"),
    "response_limit": (integer(0, _MOST), 1024 * 1024),
    "max_connections": (_count, 10_000),
    "read_limit": (_count, 1024 * 1024),
    "queue_messages": (_count, 1000),
    "queue_bytes": (_count, 4 * 1024 * 1024),
    "overflow": (choice(("close", "drop_newest", "drop_oldest")), "close"),
    "write_timeout": (required_seconds, "30s"),
    "delivery_timeout": (required_seconds, "10s"),
    "close_timeout": (required_seconds, "5s"),
}
