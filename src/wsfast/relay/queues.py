"""What waits for one client."""

from collections import deque

from wsfast.process.messages import Message
from wsfast.relay.payloads import SEND, size_of
from wsfast.relay.settings import Settings

__all__ = ["Queue"]

_ROOM_FOR_CONTROL = 100
"""How many messages that are not for the client may wait beyond the bound."""


class Queue:
    """Messages to a socket, bounded in number and size. To be used with the lock of its process
    held."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._messages: deque[tuple[Message, int]] = deque()
        self._size = 0
        self.overflowed = False
        """Whether there was no room, and that is not to be borne."""

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> bool:
        """Adds a message; False if it is lost."""
        if message.topic != SEND:
            if len(self._messages) >= self._settings.queue_messages + _ROOM_FOR_CONTROL:
                return False
            self._messages.append((message, 0))
            return True
        size = size_of(message.payload)
        if not self._has_room(size) and not self._make_room(size):
            return False
        self._messages.append((message, size))
        self._size += size
        return True

    def take(self) -> Message:
        """The oldest."""
        message, size = self._messages.popleft()
        self._size -= size
        return message

    def clear(self) -> None:
        """Forgets all."""
        self._messages.clear()
        self._size = 0

    def _has_room(self, size: int) -> bool:
        settings = self._settings
        return not self._messages or (
            len(self._messages) < settings.queue_messages
            and self._size + size <= settings.queue_bytes
        )

    def _make_room(self, size: int) -> bool:
        if self._settings.overflow != "drop_oldest":
            self.overflowed = self._settings.overflow == "close"
            return False
        kept = []
        while not self._has_room(size):
            oldest = self.take()
            if oldest.topic != SEND:
                kept.append((oldest, 0))
        self._messages.extendleft(reversed(kept))
        return True
