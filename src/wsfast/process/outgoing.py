"""What is to be sent to other nodes."""

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from wsfast.process.pids import PID

__all__ = ["LOST", "Batch", "NameChange", "Outgoing"]

logger = logging.getLogger("wsfast")

LOST = "the connection to Redis is lost"

_BATCH_FRAMES = 500
_BATCH_BYTES = 1 << 20


class NameChange(NamedTuple):
    """A name to be claimed, or without `owner` to be released."""

    name: str
    pid: PID
    owner: "Future[str | None] | None"
    """Told who has it instead, None if it has been claimed."""


class Batch(NamedTuple):
    """What is to be done next."""

    changes: list[NameChange]
    frames: list[tuple[str, bytes]]
    """Each with the node that it is for, in the order of sending."""


class Outgoing:
    """A bounded queue; who puts something into it never waits. Thread-safe.

    Messages are refused when it is full. Signals, of which there are no more than processes and
    their ties, may fill it a second time. Changes of names overtake both: who claims one waits.

    `_condition` guards all fields; nothing is called while it is held.

    Args:
        most: how many messages it holds.
        most_bytes: how many bytes in all.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._condition = threading.Condition(threading.Lock())
        self._frames: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._changes: deque[NameChange] = deque()
        self._woken = False
        self._warned = False
        self._connected = False
        self.signals_lost = False
        self.dropped = 0
        """How many messages have found no room."""

    def put_message(self, node: str, frame: bytes) -> bool:
        """Puts a message in, if there is room."""
        with self._condition:
            if self._has_room(1, len(frame)):
                self._put(node, frame)
                return True
            self.dropped += 1
            warned, self._warned = self._warned, True
        if not warned:
            logger.warning("too much waits to be sent to other nodes: messages are dropped")
        return False

    def put_signal(self, node: str, frame: bytes) -> bool:
        """The same for a signal. One that is lost has `signals_lost` set, until the connection is a
        new one."""
        with self._condition:
            if self._has_room(2, len(frame)):
                self._put(node, frame)
                return True
            self.signals_lost = True
        return False

    def put_all(self, frames: list[tuple[str, bytes]]) -> None:
        """Puts frames in, room or not."""
        with self._condition:
            for node, frame in frames:
                self._put(node, frame)

    def put_change(self, change: NameChange) -> bool:
        """Puts a change of a name in. A claim is refused while there is no connection."""
        with self._condition:
            if change.owner is not None and not self._connected:
                return False
            self._changes.append(change)
            self._condition.notify()
        return True

    def _has_room(self, times: int, size: int) -> bool:
        return (
            len(self._frames) < times * self._most
            and self._bytes + size <= times * self._most_bytes
        )

    def _put(self, node: str, frame: bytes) -> None:
        self._frames.append((node, frame))
        self._bytes += len(frame)
        self._condition.notify()

    def wake(self) -> None:
        """Lets `take` return."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def connected(self) -> None:
        """Takes claims from now on."""
        with self._condition:
            self._connected = True
            self.signals_lost = False

    def disconnected(self) -> None:
        """Takes no claims any more, and fails those that wait."""
        with self._condition:
            self._connected = False
            claims = [change.owner for change in self._changes if change.owner is not None]
            self._changes = deque(each for each in self._changes if each.owner is None)
        for owner in claims:
            owner.set_exception(ConnectionError(LOST))

    def take(self, until: float) -> Batch:
        """What is next; waits for it until `time.monotonic()` has reached `until`, or `wake`."""
        with self._condition:
            while not (self._woken or self._changes or self._frames):
                remaining = until - time.monotonic()
                if remaining <= 0:
                    break
                self._condition.wait(remaining)
            self._woken = False
            changes = [*self._changes]
            self._changes.clear()
            return Batch(changes, self._take_frames())

    def _take_frames(self) -> list[tuple[str, bytes]]:
        taken: list[tuple[str, bytes]] = []
        size = 0
        while self._frames and len(taken) < _BATCH_FRAMES and size < _BATCH_BYTES:
            taken.append(self._frames.popleft())
            size += len(taken[-1][1])
        self._bytes -= size
        if not self._frames:
            self._warned = False
        return taken
