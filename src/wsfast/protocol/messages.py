"""What an application receives."""

from collections.abc import Iterable
from typing import TypeAlias

from wsfast.codec import Ping, Pong

__all__ = ["Message", "Received", "total_size"]

Message: TypeAlias = str | bytes
"""What functions that receive are said to return."""

Received: TypeAlias = str | bytes | Ping | Pong
"""What they return with `control_messages`."""


def total_size(received: Iterable[Received]) -> int:
    """Bytes of binary messages and control frames, and characters of text."""
    return sum(len(one) if isinstance(one, str | bytes) else len(one.data) for one in received)
