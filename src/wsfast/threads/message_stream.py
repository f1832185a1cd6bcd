"""A message that is received piece by piece."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from wsfast.protocol.keepalive import later
from wsfast.protocol.messages import Message
from wsfast.protocol.parts import join
from wsfast.protocol.receiving import Part

__all__ = ["MessageStream"]

TakePart: TypeAlias = Callable[[float | None], Part]


class MessageStream:
    """What `Connection.receive_stream` returns. One thread at a time.

        stream = connection.receive_stream()
        with open(name, "w" if stream.text else "wb") as file:
            for piece in stream:
                file.write(piece)

    Pieces are `str` or `bytes`, never empty, cut where they happened to be on their way, but not
    within a character. As many wait as `receive_queue_bytes` allows; then nothing more is read, so
    that TCP slows the peer down.

    The connection goes on to the next message when that is asked for; what is left of this one is
    skipped then, and asking for it raises `RuntimeError`. If the connection ends before the
    message, asking raises what `Connection.receive` does.
    """

    text: bool
    """Whether it is text."""

    def __init__(
        self, text: bool, take: TakePart | None, refuse: Callable[[], object], limit: int
    ) -> None:
        """`take` waits for the next part; None if there is none. `refuse` is called, and must
        raise, when more than `limit` bytes would be joined."""
        self.text = text
        self._take = take
        self._refuse = refuse
        self._limit = limit
        self._front: deque[Part] = deque()  # what has been taken, and is to be given first

    @classmethod
    def of(cls, message: Message) -> "MessageStream":
        """That of a message that has come whole."""
        stream = cls(isinstance(message, str), None, int, 0)
        if message:
            stream._front.append(Part(message, 0, more=False))
        return stream

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next piece; None after the last.

        Waits up to `timeout` seconds, then raises `TimeoutError`; nothing is lost by that.
        """
        part = self._next(later(time.monotonic(), timeout))
        return None if part is None else part.data

    def _next(self, deadline: float | None) -> Part | None:
        if self._front:
            return self._front.popleft()
        if self._take is None:
            return None
        part = self._take(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if not part.more:
            self._take = None
        return part if part.data else None

    def __iter__(self) -> Iterator[Message]:
        while (piece := self.receive()) is not None:
            yield piece

    def read(self, timeout: float | None = None) -> Message:
        """All pieces that have not been taken, joined.

        If they are more than `read_limit`, the connection fails with 1009, and `ProtocolError` is
        raised. `timeout` is for all of them together; those that have come by then are not lost.
        """
        deadline = later(time.monotonic(), timeout)
        parts: list[Part] = []
        size = 0
        try:
            while (part := self._next(deadline)) is not None:
                parts.append(part)
                size += part.size
                if size > self._limit:
                    self._refuse()
        except TimeoutError:
            self._front.extend(parts)
            raise
        return join(parts, text=self.text)
