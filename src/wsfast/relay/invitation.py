"""The header field by which an application hands a WebSocket to a process (seed 003)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from wsfast.process import PID, Destination
from wsfast.process.pids import check_name
from wsfast.protocol.durations import Duration, seconds_or_off

__all__ = ["HEADER", "MESSAGE", "Invitation", "check_destination", "check_topic", "header"]

HEADER = "X-WS-Relay"
"""The name of the header field."""

MESSAGE = "ws.message"
"""The topic of what clients send, unless another is asked for."""

_LONGEST = 65_536
_FIELDS = frozenset({"target_pid", "message_topic", "heartbeat_interval", "metadata"})


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the header field says. Immutable, but for what `metadata` holds."""

    target: Destination
    topic: str = MESSAGE
    heartbeat: float | None = None
    """In seconds."""
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, values: Sequence[bytes]) -> "Invitation":
        """Reads the field's values, of which there must be one. `ValueError` says what is wrong."""
        if len(values) != 1:
            raise ValueError(f"there are {len(values)} of it")
        if len(values[0]) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST} bytes")
        try:
            found = json.loads(values[0].decode())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"no JSON: {error}") from None
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        try:
            return cls._of(**_known(found))
        except TypeError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def _of(
        cls,
        target_pid: object = None,
        message_topic: object = MESSAGE,
        heartbeat_interval: Any = None,
        metadata: object = None,
    ) -> "Invitation":
        if metadata is None:
            metadata = {}
        elif not isinstance(metadata, dict):
            raise TypeError(f"metadata must be an object, not {type(metadata).__name__}")
        return cls(
            check_destination(target_pid),
            check_topic(message_topic),
            seconds_or_off(heartbeat_interval, "heartbeat_interval"),
            metadata,
        )


def header(
    target_pid: Destination,
    *,
    message_topic: str = MESSAGE,
    heartbeat_interval: Duration | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """The value of `HEADER` for the response of an HTTP handler (seed 003).

    ::

        response.headers[relay.HEADER] = relay.header(pid, heartbeat_interval="30s")

    It is ASCII. May be called from any thread.

    Args:
        target_pid: the process that the client's messages go to: its PID, the `str` of that, or
            its registered name.
        message_topic: of these messages.
        heartbeat_interval: how often the process is told that the client is still there:
            milliseconds, a Go duration string or a timedelta; None or zero for never.
        metadata: added to everything that the process is told about the client. JSON can hold it.

    Raises:
        TypeError: an argument of a wrong type, or metadata that has no form in JSON.
        ValueError: an argument out of bounds, or more than 64 KiB in all.
    """
    seconds_or_off(heartbeat_interval, "heartbeat_interval")
    value: dict[str, Any] = {
        "target_pid": str(check_destination(target_pid)),
        "message_topic": check_topic(message_topic),
    }
    if isinstance(heartbeat_interval, timedelta):
        heartbeat_interval = heartbeat_interval.total_seconds() * 1000
    if heartbeat_interval is not None:
        value["heartbeat_interval"] = heartbeat_interval
    if metadata is not None:
        if not isinstance(metadata, Mapping):
            raise TypeError(f"metadata must be a mapping, not {type(metadata).__name__}")
        value["metadata"] = dict(metadata)
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    if len(text) > _LONGEST:
        raise ValueError(f"the header is longer than {_LONGEST} bytes")
    return text


def check_destination(value: object) -> Destination:
    """Checks what names a process. `TypeError`, `ValueError` for anything else."""
    if isinstance(value, PID):
        return value
    if not isinstance(value, str):
        raise TypeError(f"target_pid must be a PID or a str, not {type(value).__name__}")
    return PID.parse(value) if value.startswith("{") else check_name(value)


def check_topic(value: object) -> str:
    """Checks a topic. `TypeError`, `ValueError` for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"message_topic must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError("message_topic must not be empty")
    return value


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = fields.keys() - _FIELDS
    if unknown:
        raise ValueError(f"there is no field {min(unknown)!r:.80}")
    return fields
