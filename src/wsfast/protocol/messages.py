"""What an application receives."""

from collections.abc import Collection
from typing import TypeAlias

from wsfast.codec import Ping, Pong

__all__ = ["Message", "Received", "total_size"]

Message: TypeAlias = str | bytes
"""What functions that receive are said to return."""

Received: TypeAlias = str | bytes | Ping | Pong
"""What they return with `control_messages`."""


def total_size(received: Collection[Received]) -> int:
    """Bytes of binary messages and control frames, and characters of text."""
    try:
        return sum(map(len, received))  # type: ignore[arg-type] # as most lists can be summed up
    except TypeError:
        return sum(len(one) if isinstance(one, (str, bytes)) else len(one.data) for one in received)
