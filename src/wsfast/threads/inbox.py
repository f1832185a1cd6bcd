"""Messages that have arrived and wait to be taken, counted in messages and in bytes."""

from collections import deque

from wsfast.protocol.messages import Message, total_size
from wsfast.protocol.options import Options
from wsfast.threads._receiver import join

__all__ = ["Inbox"]


class Inbox:
    """Not locked: its connection's lock guards it.

    Messages are kept in the lists they come in, one for each chunk that was received, so that what
    arrives in a flood costs little each. The bytes of a list count until its last message is taken.
    The bound is looked at before more is received, so what arrives in one chunk may exceed it.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._drops = options.receive_overflow == "drop_oldest"
        self._first: list[Message] = []  # the oldest, in reverse
        self._first_size = 0
        self._others: deque[tuple[list[Message], int]] = deque()
        self.count = 0
        """How many messages wait."""
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether nothing more should be received for now; never, if the oldest make room."""
        return not self._drops and (
            self.count >= self._options.receive_queue_messages
            or self._bytes >= self._options.receive_queue_bytes
        )

    def put(self, messages: list[Message], size: int) -> None:
        """Adds messages, whose list is the inbox's from now on, of `size` bytes or characters.

        With `receive_overflow="drop_oldest"` the oldest make room for them. The latest stays,
        however large it is.
        """
        if self._drops:
            for message in messages:
                self._add([message], total_size([message]))
            while self.count > 1 and self._over_bound():
                self.pop()
        elif messages:
            self._add(messages, size)

    def _add(self, messages: list[Message], size: int) -> None:
        self._others.append((messages, size))
        self.count += len(messages)
        self._bytes += size

    def _over_bound(self) -> bool:
        return (
            self.count > self._options.receive_queue_messages
            or self._bytes > self._options.receive_queue_bytes
        )

    def pop(self) -> Message:
        """Takes the oldest message; there must be one."""
        if not self._first:
            self._first, self._first_size = self._others.popleft()
            self._first.reverse()
        self.count -= 1
        message = self._first.pop()
        if not self._first:
            self._bytes -= self._first_size
        return message

    def take_all(self) -> list[Message]:
        """Takes all messages, the oldest first."""
        first, others = self._first, self._others
        self._first, self._others = [], deque()
        self.count = self._bytes = 0
        if not first and len(others) == 1:
            return others[0][0]
        first.reverse()
        return join([first, *(messages for messages, _ in others)])
