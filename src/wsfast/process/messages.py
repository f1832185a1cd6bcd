"""What processes receive, and what passes between them unseen."""

from enum import StrEnum
from typing import Any, NamedTuple

from wsfast.process.pids import PID

__all__ = [
    "CANCEL",
    "CANCELLED",
    "EXIT",
    "LINK_DOWN",
    "NOCONNECTION",
    "NOPROC",
    "NORMAL",
    "Event",
    "EventKind",
    "Message",
    "Signal",
    "SignalKind",
]

NORMAL = "normal"
"""The reason of a process that has returned."""
CANCELLED = "cancelled"
"""The reason of one that was cancelled without another being given."""
NOPROC = "noproc"
"""Instead of a reason: there was no such process any more when it was asked about."""
NOCONNECTION = "noconnection"
"""Instead of a reason: the node of the process cannot be reached."""


class Message(NamedTuple):
    """What `send` has sent (seed 003)."""

    topic: str
    payload: Any
    """Within a node the very object that was sent: nobody should change it any more."""
    sender: PID | None
    """Who has sent it; None if that was outside of any process."""


class EventKind(StrEnum):
    """What has happened to another process, or is to happen to this one (seed 003)."""

    EXIT = "EXIT"
    """A process that this one monitors has ended."""
    LINK_DOWN = "LINK_DOWN"
    """A process that this one is linked to has ended, and not normally."""
    CANCEL = "CANCEL"
    """Somebody wants this process to end."""


EXIT = EventKind.EXIT
LINK_DOWN = EventKind.LINK_DOWN
CANCEL = EventKind.CANCEL


class Event(NamedTuple):
    """What `events` brings."""

    kind: EventKind
    sender: PID | None
    """The process that has ended, or that cancels; None if that was outside of any process."""
    result: Any = None
    """Of an EXIT with the reason "normal": what the process has returned."""
    reason: str = ""
    """Why: "normal", "noproc", "noconnection", what was given to `cancel`, or of a crash the
    exception, as ``ValueError: no such room``."""


class SignalKind(StrEnum):
    """What processes tell each other without their programs' doing."""

    MONITOR = "monitor"
    UNMONITOR = "unmonitor"
    LINK = "link"
    UNLINK = "unlink"
    EXIT = "exit"
    """To those who monitor: the sender has ended."""
    DOWN = "down"
    """To those who are linked: the sender has ended, and not normally."""


class Signal(NamedTuple):
    """One such thing."""

    kind: SignalKind
    sender: PID
    reason: str = ""
    result: Any = None
