"""What a `Client` receives, and the channel that it comes through."""

import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from wsfast.channel import Channel
from wsfast.channel.cases import Receive, Taken
from wsfast.channel.selection import wait
from wsfast.channel.waiting import Waiter
from wsfast.codec import Ping, Pong
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import ConnectionClosed, ForkedError
from wsfast.protocol.keepalive import later
from wsfast.protocol.messages import Received
from wsfast.protocol.options import ClientOptions
from wsfast.threads.connection import Connection
from wsfast.threads.message_stream import MessageStream

__all__ = [
    "TYPE_BINARY",
    "TYPE_CLOSE",
    "TYPE_PING",
    "TYPE_PONG",
    "TYPE_TEXT",
    "Message",
    "MessageChannel",
    "MessageType",
    "StreamedMessage",
]

TYPE_TEXT: Literal["text"] = "text"
TYPE_BINARY: Literal["binary"] = "binary"
TYPE_PING: Literal["ping"] = "ping"
TYPE_PONG: Literal["pong"] = "pong"
TYPE_CLOSE: Literal["close"] = "close"

MessageType: TypeAlias = Literal["text", "binary", "ping", "pong", "close"]


class Message(NamedTuple):
    """What is received (seeds 001 and 002)."""

    type: MessageType
    """`TYPE_TEXT` or `TYPE_BINARY`; with `control_messages` also the other three."""
    data: str | bytes
    """`str` for text, `bytes` for everything else."""
    code: int | None = None
    """Of a close: its code."""
    reason: str = ""
    """Of a close: its reason."""


class StreamedMessage:
    """A message that is received piece by piece; see `Client.receive_stream`. One thread at a time.

        with open(name, "wb") as file:
            for piece in client.receive_stream():
                file.write(piece)

    Pieces are `str` or `bytes`, as the message is, never empty, and cut anywhere but within a
    character. As many wait as `receive_queue_bytes` allows; then TCP slows the peer down.
    """

    type: MessageType
    """As that of a `Message`."""

    def __init__(self, received: MessageStream | Ping | Pong) -> None:
        """Use `Client.receive_stream`."""
        if isinstance(received, MessageStream):
            self.type = TYPE_TEXT if received.text else TYPE_BINARY
            self._stream = received
        else:
            self.type = _message(received).type
            self._stream = MessageStream.of(received.data)

    def receive(self, timeout: Duration | None = None) -> str | bytes | None:
        """The next piece; None after the last.

        `timeout`, in milliseconds, as a Go duration string or a timedelta, is for this piece.

        Raises:
            TimeoutError: it has not come in time; nothing is lost by that.
            ConnectionClosed: the connection has ended before the message.
            RuntimeError: this message has been left behind: another has been asked for since.
            TypeError, ValueError: `timeout` is no duration.
        """
        return self._stream.receive(seconds(timeout, "timeout"))

    def __iter__(self) -> Iterator[str | bytes]:
        return iter(self._stream)

    def read(self, timeout: Duration | None = None) -> str | bytes:
        """All pieces that have not been taken, joined; `timeout` is for all of them together.

        Raises as `receive` does; `ProtocolError` if they are more than `read_limit`, for which the
        connection fails with 1009.
        """
        return self._stream.read(seconds(timeout, "timeout"))


class MessageChannel(Channel[Message]):
    """The messages of a `Client`, to be received, iterated over and selected on, by threads or
    tasks, as from any other channel. Its `capacity` is `channel_capacity`.

    It ends with the connection, after the last message; with `control_messages` that tells of the
    end, and comes once, however many receive. Any way of receiving from it may be used by
    several threads and tasks at once; each message goes to one of them. As long as only `receive`
    and iteration are, messages go straight from the socket to the thread that asks for them.

    `_lock` is the connection's, and guards all fields. What has arrived waits in the inbox of the
    connection; in the buffer is only what was given back.
    """

    _sendable = False

    def __init__(self, connection: Connection, options: ClientOptions) -> None:
        self._connection = connection
        self._reader = connection.reader
        self._promised: list[Waiter] = []  # who have been handed something, and may give it back
        self._tells_end = options.control_messages  # and has not yet
        super().__init__(options.receive_queue_messages, _lock=connection.lock)
        self._reader.watch = self._hand_over
        _channels.add(self)

    def close(self) -> None:
        """Raises `TypeError`: it is the client that is closed."""
        raise TypeError("this channel is closed by closing its client")

    @property
    def closed(self) -> bool:
        """Whether no more messages can come. Those that wait can still be received."""
        return self._connection.input_ended

    def __len__(self) -> int:
        """How many messages wait."""
        end = self._tells_end and self._connection.input_ended
        return len(self._buffer) + self._reader.inbox.count + end

    def receive(self, timeout: Duration | None = None) -> tuple[Message, bool] | tuple[None, bool]:
        """As `Channel.receive`; who calls it reads from the socket itself if nobody else does.

        Raises `ForkedError` too, in the child of a fork.
        """
        limit = deadline = None
        if timeout is not None:
            limit = seconds(timeout, "timeout")
            deadline = later(time.monotonic(), limit)
        try:
            received = self._reader.receive(limit)
        except ForkedError:
            raise
        except ConnectionClosed:
            received = None
        if received.__class__ is bytes:  # without another call: whoever asks waits for the answer
            return _new(Message, (TYPE_BINARY, received, None, "")), True
        return self._receive_in_turn(deadline) if received is None else (_message(received), True)

    def _receive_in_turn(self, deadline: float | None) -> Taken:
        """Receives in one queue with those who wait by `select`, or in tasks."""
        with self._lock:
            taken = self._take()
        if taken is None:
            left = None if deadline is None else deadline - time.monotonic()
            _, value, ok = wait((Receive(self),), left)
            return value, ok
        return taken

    def _take(self) -> Taken | None:
        if self._buffer:
            return self._buffer.popleft(), True
        reader = self._reader
        if reader.inbox.count:
            return _message(reader.take()), True
        if self._connection.input_ended:
            return self._end()
        reader.ask()  # who only polls never waits
        return None

    def _end(self) -> Taken:
        if not self._tells_end:
            return None, False
        self._tells_end = False
        connection = self._connection
        return Message(TYPE_CLOSE, b"", connection.close_code, connection.close_reason), True

    def _hand_to(self, queue: "OrderedDict[tuple[Waiter, int], Any]", value: Any, ok: bool) -> bool:
        waiter, _ = next(iter(queue))
        handed_over = super()._hand_to(queue, value, ok)
        if ok and handed_over:
            self._promised.append(waiter)
            self._reader.promised = True
        return handed_over

    def _give_back(self, value: Message) -> None:
        super()._give_back(value)
        self._reader.promised = True

    def _before_waiting(self) -> None:
        self._reader.listen()

    def _hand_over(self) -> bool:
        """Hands what has come to those who wait for it; whether more of them wait."""
        self._serve()
        self._promised = [waiter for waiter in self._promised if not waiter.over]
        self._reader.promised = bool(self._promised or self._buffer)
        return bool(self._receivers)

    def forget_parent(self) -> None:
        """In the child of a fork: its connection is dead, and has parts of its own."""
        self._reader = self._connection.reader
        self._buffer.clear()
        self._promised.clear()
        self._after_fork(self._connection.lock)


_channels: "weakref.WeakSet[MessageChannel]" = weakref.WeakSet()


def _after_fork() -> None:
    for channel in list(_channels):
        channel.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)  # after that of the connections


_new = tuple.__new__  # a fraction of what calling the class costs


def _message(received: Received) -> Message:
    if isinstance(received, str):
        return _new(Message, (TYPE_TEXT, received, None, ""))
    if isinstance(received, bytes):
        return _new(Message, (TYPE_BINARY, received, None, ""))
    return Message(TYPE_PING if isinstance(received, Ping) else TYPE_PONG, received.data)
