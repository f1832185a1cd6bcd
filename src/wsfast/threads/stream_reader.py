"""The receiving half of a connection whose messages may be taken piece by piece."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, cast

from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import ProtocolError
from wsfast.protocol.messages import Message
from wsfast.protocol.options import Options
from wsfast.protocol.parts import Item, PartInbox, Parts
from wsfast.protocol.receiving import Part
from wsfast.threads.message_stream import MessageStream
from wsfast.threads.reader import Deliver, Reader

__all__ = ["StreamReader"]


_OTHERS_WAIT = object()


class StreamReader(Reader):
    """As `Reader`, with the option `streaming`.

    What comes are parts. Either somebody takes them one by one, or they are joined when the whole
    message is taken. Which of both is known only then, so a message that is over `read_limit` is
    refused when somebody wants it whole.
    """

    _polled = False  # somebody wants it whole, and comes back for it rather than wait

    @staticmethod
    def make_inbox(options: Options) -> PartInbox:
        return PartInbox(options)

    @property
    def _limit(self) -> int:
        return self._options.read_limit

    @property
    def _box(self) -> PartInbox:
        return cast("PartInbox", self.inbox)

    # -------------------------------------------------------------- with the lock held

    def put(self, messages: list[Message], size: int | None = None) -> None:
        if not messages or self._dropping:
            return
        self._box.put(cast("list[Item]", messages))
        if (self.watching or self._polled) and self._box.too_big:
            self._refuse()
        self._tell()

    def take(self) -> Message:
        self._polled = False
        self._skip()
        message = self._box.pop()
        self._space.notify_all()
        return message

    def _skip(self) -> None:
        """Whoever asks for a message wants no more of the one before."""
        if self._box.skip():
            self._space.notify_all()

    def wait(self, deadline: float | None) -> None:
        self._space.notify_all()  # who reads must not wait for room as long as this waits
        super().wait(deadline)

    def _read_for_watchers(self) -> None:
        super()._read_for_watchers()
        if self.watching:
            self._space.notify_all()  # as in `wait`

    def _must_wait(self, state: State) -> bool:
        wanted = self.waiting or self.watching or self._polled
        return super()._must_wait(state) and not (wanted and self._box.count == 0)

    def ask(self) -> None:
        self._polled = True
        self._space.notify_all()
        if self._want_whole():
            self.stand_in_due = time.monotonic()  # so that the timer's thread sends what there is
            self._arm()
        super().ask()

    def _want_whole(self) -> bool:
        """Makes way for the next message; whether that is refused."""
        self._skip()
        too_big = self._box.too_big
        if too_big:
            self._refuse()
        return too_big

    def _refuse(self) -> None:
        """Fails the connection for a message that is over `read_limit` and wanted whole."""
        self._protocol.refuse_message(time.monotonic())
        self._dropping = True  # nothing may come after the gap
        self._box.clear()
        self.wake()
        self._arm()
        self.start_stand_in()  # to hear TCP end

    # -------------------------------------------------------------- from any thread

    def receive(self, timeout: float | None = None) -> Message | None:
        found = self._wait_for(self._take_whole, timeout)
        return None if found is _OTHERS_WAIT else cast("Message", found)

    def receive_stream(self, timeout: float | None = None) -> MessageStream:
        stream: MessageStream = self._wait_for(self._begin, timeout)
        return stream

    def _wait_for(self, poll: Callable[[], object], timeout: float | None) -> Any:
        try:
            return self.wait_for(poll, timeout)
        except ProtocolError:
            self._writer.flush()  # it may be this thread that has failed the connection
            raise

    def _take_whole(self) -> object:
        if (self.watching or self.promised) and self.others_wait():
            return _OTHERS_WAIT
        if self._box.count:
            return self.take()
        self._skip()
        if self._box.too_big:
            self._refuse()
            raise _too_big()
        return None

    def _begin(self) -> MessageStream | None:
        self._polled = False
        self._skip()
        found = self._box.lend()
        self._space.notify_all()
        if isinstance(found, Parts):
            take = partial(self._take_part, found)
            return MessageStream(found.text, take, self._refuse_rest, self._limit)
        if isinstance(found, str | bytes):
            return MessageStream.of(found)
        return cast("MessageStream | None", found)

    def _take_part(self, parts: Parts, timeout: float | None) -> Part:
        part: Part = self._wait_for(partial(self._next_part, parts), timeout)
        return part

    def _next_part(self, parts: Parts) -> Part | None:
        if parts.skipped:
            raise RuntimeError("the rest was skipped, because another message has been asked for")
        part = self._box.take_part(parts)
        self._space.notify_all()
        return part

    def _refuse_rest(self) -> NoReturn:
        with self._lock:
            self._refuse()
        self._writer.flush()
        raise _too_big()

    def take_all(self) -> list[Message]:
        with self._lock:
            self._skip()
            messages = self._take_complete()
        self._writer.flush()
        return messages

    def _take_complete(self) -> list[Message]:
        messages = self._box.take_all()
        self._space.notify_all()
        if self._box.too_big:
            self._refuse()
        return messages

    def listen(self) -> None:
        with self._lock:
            self._want_whole()
        self._writer.flush()
        super().listen()

    def run(self, deliver: Deliver | None) -> None:
        super().run(None if deliver is None else partial(self._deliver_whole, deliver))

    def _deliver_whole(self, deliver: Deliver, items: list[Message]) -> None:
        with self._lock:
            if self._dropping:
                return
            self._box.put(cast("list[Item]", items))
            messages = self._take_complete()
            flush = self._protocol.pending > 0
        if flush:
            self._writer.flush()
        if messages:
            deliver(messages)


def _too_big() -> ProtocolError:
    return ProtocolError(CloseCode.MESSAGE_TOO_BIG, "message over the size limit")
