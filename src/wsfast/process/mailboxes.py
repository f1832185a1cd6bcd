"""The channels through which a process receives."""

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from wsfast.channel import Channel
from wsfast.process.messages import Event, EventKind, Message
from wsfast.process.pids import PID

__all__ = ["Mailbox", "Mailboxes", "Terminated"]

T = TypeVar("T")


class Terminated(BaseException):
    """Raised by what receives from a mailbox of a process that has been cancelled, or taken down by
    a link.

    As with `asyncio.CancelledError`, no ``except Exception`` is meant to hold it up. In a task that
    one may come instead.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mailbox(Channel[T]):
    """A channel that only the node of its process sends to: `inbox`, `listen` or `events`.

    To be received from, iterated over and selected on as any other, by threads and tasks. It holds
    up to `capacity` messages, and ends with its process; what nobody has received then is gone.

    `_lock` is the lock of the process, and guards all fields.
    """

    _sendable = False

    def __init__(self, capacity: int, lock: threading.Lock) -> None:
        super().__init__(capacity, _lock=lock)
        self._forget: Callable[[], object] | None = None
        self._terminated: str | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many messages have found no room, and are lost."""
        return self._dropped

    def close(self) -> None:
        """Stops listening to a topic: its messages go to the inbox again from now on.

        What has come before can still be received. Does nothing the second time. `TypeError` for
        an inbox and for events, which end with their process.
        """
        if self._forget is None:
            raise TypeError("this mailbox ends with its process")
        with self._lock:
            self._forget()
        super().close()

    def _on_end(self) -> None:
        reason = self._terminated
        if reason is not None:
            raise Terminated(reason)


class Mailboxes:
    """All mailboxes of a process. To be used with its lock held, but for `inbox`.

    Args:
        capacity: of the inbox, and of each topic. Events are bounded by what the process does: it
            is told once about each that it monitors or is linked to, and of one cancellation.
        drop_oldest: whether a message without room takes the place of the oldest.
    """

    def __init__(self, capacity: int, drop_oldest: bool, lock: threading.Lock) -> None:
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._lock = lock
        self.overflowed = False
        self._ended = False
        self._terminated: str | None = None
        self._topics: dict[str, Mailbox[Message]] = {}
        self._events: Mailbox[Event] | None = None
        self.inbox: Mailbox[Message] = Mailbox(capacity, lock)

    def put(self, message: Message) -> bool:
        """Puts a message into the inbox, or to those of its topic; False if it is lost."""
        mailbox = self._topics.get(message.topic, self.inbox)
        if mailbox._put(message) is not None:
            return not mailbox._closed
        mailbox._dropped += 1
        self.overflowed = True
        if self._drop_oldest:
            mailbox._buffer.popleft()
            mailbox._buffer.append(message)
        return self._drop_oldest

    def has_room(self, topic: str) -> bool:
        """Whether `put` would take a message of this topic as things are."""
        mailbox = self._topics.get(topic, self.inbox)
        return self._drop_oldest or len(mailbox._buffer) < mailbox._capacity

    def listen(self, topic: str) -> Mailbox[Message]:
        """The mailbox of a topic; what waits of it in the inbox moves there."""
        mailbox = self._topics.get(topic)
        if mailbox is None:
            mailbox = self._new(Mailbox(self._capacity, self._lock))
            mailbox._forget = partial(self._forget, topic, mailbox)
            self._topics[topic] = mailbox
            waiting = [*self.inbox._buffer]
            self.inbox._buffer.clear()
            for message in waiting:
                (mailbox if message.topic == topic else self.inbox)._buffer.append(message)
        return mailbox

    def _forget(self, topic: str, mailbox: Mailbox[Message]) -> None:
        if self._topics.get(topic) is mailbox:
            del self._topics[topic]

    def events(self) -> Mailbox[Event]:
        """The mailbox of events."""
        if self._events is None:
            self._events = self._new(Mailbox(sys.maxsize, self._lock))
        return self._events

    def tell(self, event: Event) -> None:
        """Puts an event into it."""
        self.events()._put(event)

    def untell(self, kind: EventKind, sender: PID) -> None:
        """Takes events back that nobody has received yet."""
        if self._events is not None:
            events = self._events._buffer
            kept = [event for event in events if (event.kind, event.sender) != (kind, sender)]
            events.clear()
            events.extend(kept)

    def end(self, terminated: str | None) -> None:
        """Lets nothing more be received. Those who wait are told, or with a reason get
        `Terminated`."""
        self._ended = True
        self._terminated = terminated
        for mailbox in self._all():
            self._end(mailbox)
        self._topics.clear()

    def after_fork(self, lock: threading.Lock, reason: str) -> None:
        """In the child: the process is the parent's."""
        self._lock = lock
        for mailbox in self._all():
            mailbox._after_fork(lock)
        self.end(reason)

    def _all(self) -> list[Mailbox[Any]]:
        mailboxes: list[Mailbox[Any]] = [self.inbox, *self._topics.values()]
        return mailboxes if self._events is None else [*mailboxes, self._events]

    def _new(self, mailbox: Mailbox[T]) -> Mailbox[T]:
        if self._ended:
            self._end(mailbox)
        return mailbox

    def _end(self, mailbox: Mailbox[Any]) -> None:
        mailbox._terminated = self._terminated
        mailbox._closed = True
        mailbox._buffer.clear()
        mailbox._serve()
