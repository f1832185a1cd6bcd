"""Messages that have arrived and wait to be taken, counted in messages and in bytes."""

from collections import deque
from collections.abc import Sequence

from wsfast.protocol.connection import Message
from wsfast.protocol.options import Options

__all__ = ["Inbox"]


class Inbox:
    """Not locked: its connection's lock guards it.

    The bound is looked at before more is received, so what arrives in one chunk may exceed it.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._drops = options.receive_overflow == "drop_oldest"
        self._messages: deque[Message] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether nothing more should be received for now; never, if the oldest make room."""
        return not self._drops and (
            len(self._messages) >= self._options.receive_queue_messages
            or self._bytes >= self._options.receive_queue_bytes
        )

    def put(self, messages: Sequence[Message]) -> None:
        """Adds messages; with `receive_overflow="drop_oldest"` the oldest make room for them.

        The latest stays, however large it is.
        """
        self._messages.extend(messages)
        self._bytes += sum(map(len, messages))
        while self._drops and len(self._messages) > 1 and self._over_bound():
            self.pop()

    def _over_bound(self) -> bool:
        return (
            len(self._messages) > self._options.receive_queue_messages
            or self._bytes > self._options.receive_queue_bytes
        )

    def pop(self) -> Message:
        """Takes the oldest message; there must be one."""
        message = self._messages.popleft()
        self._bytes -= len(message)
        return message

    def take_all(self) -> list[Message]:
        """Takes all messages, the oldest first."""
        messages = list(self._messages)
        self._messages.clear()
        self._bytes = 0
        return messages
