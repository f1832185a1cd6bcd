"""Messages that come in parts, between who reads and who takes them: joined, or one by one.

For drivers, with `streaming`. Nothing here is thread-safe.
"""

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias, cast

from wsfast.codec import Ping, Pong
from wsfast.protocol.messages import Message, Received, total_size
from wsfast.protocol.options import Options
from wsfast.protocol.receiving import Part

__all__ = ["Item", "PartInbox", "Parts", "join"]

Item: TypeAlias = str | bytes | Part | Ping | Pong


def join(parts: Iterable[Part], *, text: bool) -> Message:
    """The parts of one message in one."""
    data = [part.data for part in parts]
    return "".join(cast("list[str]", data)) if text else b"".join(cast("list[bytes]", data))


class Parts:
    """One message: what of it has come and waits to be taken."""

    __slots__ = ("ended", "lent", "size", "skipped", "text", "waiting")

    def __init__(self, *, text: bool) -> None:
        self.text = text
        self.waiting: list[Part] | deque[Part] = []
        self.size = 0
        """Bytes of those that wait."""
        self.ended = False
        """Whether all has come."""
        self.lent = False
        """Whether its parts are taken one by one."""
        self.skipped = False
        """Whether nobody wants the rest of it."""


class PartInbox:
    """What has arrived and waits to be taken, counted in bytes and in objects.

    At most one message is incomplete, the last, and at most one is lent: that has been begun to be
    read as a stream. Control frames that come between the parts of a message stand before it.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._complete: deque[Received | Parts] = deque()
        self._growing: Parts | None = None
        self._lent: Parts | None = None
        self._objects = 0
        self._bytes = 0

    # -------------------------------------------------------------- what there is

    @property
    def full(self) -> bool:
        """Whether nothing more should be received for now."""
        return (
            self._objects >= self._options.receive_queue_messages
            or self._bytes >= self._options.receive_queue_bytes
        )

    @property
    def count(self) -> int:
        """How many can be taken by `pop`; 0 if the first of them is `too_big`."""
        return 0 if self._complete and self._is_too_big(self._complete[0]) else len(self._complete)

    @property
    def too_big(self) -> bool:
        """Whether the message that would be taken next is over `read_limit`, complete or not."""
        return self._is_too_big(self._complete[0] if self._complete else self._growing)

    def _is_too_big(self, item: Received | Parts | None) -> bool:
        return isinstance(item, Parts) and not item.lent and item.size > self._options.read_limit

    # -------------------------------------------------------------- what comes

    def put(self, items: Iterable[Item], size: int | None = None) -> None:
        """Adds them; each is counted by itself, whatever `size` they have together."""
        for item in items:
            if isinstance(item, Part):
                self._put_part(item)
            elif not self._must_drop(item):
                self._complete.append(item)
                self._objects += 1
                self._bytes += total_size([item])

    def _must_drop(self, item: Item) -> bool:
        """Whether it is a control frame without room within a message that is read as a stream: who
        reads it goes on until its end, and can make no room for anything else."""
        parts = self._growing
        return parts is not None and parts.lent and self.full and not isinstance(item, str | bytes)

    def _put_part(self, part: Part) -> None:
        parts = self._growing
        if parts is None:
            parts = self._growing = Parts(text=isinstance(part.data, str))
            self._objects += 1
        if part.data and not parts.skipped:
            parts.waiting.append(part)
            parts.size += part.size
            self._objects += 1
            self._bytes += part.size
        if part.more:
            return
        parts.ended = True
        self._growing = None
        if parts.skipped:
            self._objects -= 1
        elif not parts.lent:
            self._complete.append(parts)

    # -------------------------------------------------------------- what is taken

    def pop(self) -> Message:
        """The oldest, joined if it is in parts; `count` must not be 0."""
        item = self._complete.popleft()
        if isinstance(item, Parts):
            self._forget(item)
            return join(item.waiting, text=item.text)
        self._uncount(item)
        return cast("Message", item)

    def take_all(self) -> list[Message]:
        """All that `pop` would give."""
        taken: list[Message] = []
        while self.count:
            taken.append(self.pop())
        return taken

    def lend(self) -> Received | Parts | None:
        """The oldest, of which the parts are to be taken one by one if it is in parts, complete or
        not; None if there is none."""
        if self._complete:
            item = self._complete.popleft()
        elif self._growing is not None and not (self._growing.lent or self._growing.skipped):
            item = self._growing
        else:
            return None
        if isinstance(item, Parts):
            item.lent = True
            item.waiting = deque(item.waiting)
            self._lent = item
        else:
            self._uncount(item)
        return item

    def take_part(self, parts: Parts) -> Part | None:
        """The next part of the message that is lent; None if none waits."""
        if parts.waiting:
            part = cast("deque[Part]", parts.waiting).popleft()
            parts.size -= part.size
            self._bytes -= part.size
            self._objects -= 1
        elif parts.ended:
            part = Part("" if parts.text else b"", 0, more=False)
        else:
            return None
        if parts.ended and not parts.waiting:
            part = Part(part.data, part.size, more=False)
            self._forget(parts)
        return part

    def skip(self) -> bool:
        """Drops the rest of the message that is lent; returns whether there is one."""
        parts = self._lent
        if parts is None:
            return False
        parts.skipped = True
        self._objects -= len(parts.waiting) + parts.ended  # or it counts until its end has come
        self._bytes -= parts.size
        parts.waiting = []
        parts.size = 0
        self._lent = None
        return True

    def clear(self) -> None:
        """Drops everything."""
        self.skip()
        self._complete.clear()
        self._growing = None
        self._objects = self._bytes = 0

    def _forget(self, parts: Parts) -> None:
        """Nothing of it waits any more, or will not as soon as it has been joined."""
        self._objects -= 1 + len(parts.waiting)
        self._bytes -= parts.size
        if self._lent is parts:
            self._lent = None

    def _uncount(self, item: Received) -> None:
        self._objects -= 1
        self._bytes -= total_size([item])
