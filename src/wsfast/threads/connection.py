"""A connection on a socket: the sans-I/O connection, driven by threads.

It has two halves, `reader.py` and `writer.py`. At any time at most one thread reads from the stream
and one writes to it: each half has a role, which is taken and given back under `_lock` and used
without it. Whoever gives back the last one after the end closes the descriptor, so nobody is ever
inside a system call on a descriptor that is freed.

`_lock` guards the protocol object and both halves. It is never held while waiting for the network
or while user code runs. Order: `_lock`, then a stream's or the timers' own.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import ConnectionClosed, ForkedError, WebSocketError
from wsfast.protocol.facts import ConnectionFacts
from wsfast.protocol.options import Options
from wsfast.protocol.sending import Chunks
from wsfast.threads._sender import Sender
from wsfast.threads.message_stream import MessageStream
from wsfast.threads.reader import Reader
from wsfast.threads.stream import Stream
from wsfast.threads.stream_reader import StreamReader
from wsfast.threads.timers import Timer, timers
from wsfast.threads.writer import Writer

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection"]

_connections: "weakref.WeakSet[Connection]" = weakref.WeakSet()
_connections_lock = threading.Lock()


class Connection(ConnectionFacts):
    """One connection. All methods may be called from any thread unless they say otherwise."""

    send: "Callable[[str | Buffer], None]"
    """Queues a message and, unless a burst is on, sends it: text for `str`, binary for bytes-like
    data (RFC 6455, section 5.6).

    Waits up to `write_timeout` while the send queue is full (or not at all, by `send_overflow`).
    Raises `TypeError` and `ValueError` for data that cannot be sent, `SendTimeout`, `QueueFull`,
    `ConnectionClosed` after the end; then nothing was queued.
    """

    receive: Callable[..., Message]
    """`receive(timeout=None)`: the next message, `str` for text, `bytes` for binary.

    Waits up to `timeout` seconds, then raises `TimeoutError`; nothing is lost by that. After the
    end, and after the last message, raises `ConnectionClosed` or a subclass of it.

    With `control_messages` it also returns a `Ping` or a `Pong` that has come, as do the other ways
    to receive; see `wsfast.protocol.messages.Received`.
    """

    def __init__(self, protocol: Protocol, options: Options) -> None:
        self._protocol = protocol
        self._options = options
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._make_parts()
        with _connections_lock:
            _connections.add(self)

    def _make_parts(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._writer = Writer(
            self._protocol,
            self._options,
            self._lock,
            on_idle=self._after_sending,
            on_failed=self._after_change,
        )
        self.send = self._writer.send  # not by way of a method: that would cost as much again
        make_reader = StreamReader if self._options.streaming else Reader
        self._reader: Reader = make_reader(
            self._protocol,
            self._options,
            self._lock,
            self._writer,
            arm=self._arm,
            on_idle=self._after_end,
        )
        # Never None, unless somebody watches: whoever does offers a way of its own to receive.
        self.receive = cast("Callable[..., Message]", self._reader.receive)

    @property
    def sender(self) -> Sender:
        """What `send` is a method of."""
        return self._writer

    @property
    def reader(self) -> Reader:
        """What `receive` is a method of; for a face that waits for messages in its own way."""
        return self._reader

    @property
    def lock(self) -> threading.Lock:
        """What guards it, for the same: see `Reader.watch`."""
        return self._lock

    # -------------------------------------------------------------- what it is

    @property
    def input_ended(self) -> bool:
        """Whether no more messages can arrive; some may wait to be taken."""
        return self._protocol.input_ended

    @property
    def remote_address(self) -> object:
        """The peer's socket address, in the form of its address family; None if not connected."""
        return self._address(lambda stream: stream.sock.getpeername())

    @property
    def local_address(self) -> object:
        """Our socket address, in the form of its address family; None if not connected."""
        return self._address(lambda stream: stream.sock.getsockname())

    def _address(self, ask: Callable[[Stream], object]) -> object:
        with self._lock:
            try:
                return None if self._stream is None else ask(self._stream)
            except OSError:
                return None

    # -------------------------------------------------------------- opening

    def start(self, stream: Stream, early: bytes = b"") -> None:
        """Opens the connection over `stream`, which is its own from now on: TLS, then the upgrade.

        `early` is what the peer has sent already. Blocks until `dial_timeout` at most. Raises the
        error that the opening failed with. If the connection was closed meanwhile it returns, with
        the connection at its end; if the server redirects, with the connection still connecting.
        """
        with self._lock:
            if self._protocol.finished:
                stream.close()
                return
            self._stream = stream
            self._reader.start(stream)
        try:
            stream.open(self._protocol.deadline)
            self._writer.start(stream)
            if early:
                with self._lock:
                    self._protocol.feed(early, time.monotonic())
            while self._protocol.state is State.CONNECTING and self._protocol.redirect is None:
                self._writer.flush()
                self._reader.open(self._protocol.deadline)
                self._accept()
            self._writer.flush()
        except WebSocketError as error:
            self.abandon(error)
        finally:
            with self._lock:
                self._reader.give_back()
        if self._protocol.error is not None and self._protocol.state is not State.CONNECTED:
            raise self._protocol.error

    def _accept(self) -> None:
        with self._lock:
            if self._protocol.request is None:
                return
            messages = self._protocol.accept(time.monotonic())
        self._reader.keep(messages)

    def abandon(self, error: WebSocketError) -> None:
        """Ends it at once because of `error`, without a closing handshake."""
        with self._lock:
            self._protocol.abandon(error)
            self._after_end()

    def give_up(self) -> bool:
        """Ends the opening, if it is not over; returns whether it was not."""
        with self._lock:
            if self._protocol.state is not State.CONNECTING:
                return False
            self._protocol.close(CloseCode.NORMAL, "", time.monotonic())
            self._after_end()
            return True

    # -------------------------------------------------------------- receiving

    def run(self, deliver: Callable[[Sequence[Message]], None] | None) -> None:
        """Reads until the end on the calling thread.

        `deliver` gets the messages as they come, without a lock held; it must not raise. Without
        it they are put into the inbox, and while that is full nothing is read, so that TCP slows
        the peer down.
        """
        self._reader.run(deliver)

    def receive_stream(self, timeout: float | None = None) -> MessageStream:
        """The next message, to be taken piece by piece.

        With `streaming` it is returned as soon as its first piece has come, and may be of any size;
        without, once it has come whole, as one piece. What has not been taken of the message before
        is skipped. Waits and raises as `receive` does.

        With `streaming`, `receive` and all other ways to receive join the pieces of a message. One
        over `read_limit` fails the connection with 1009, and raises `ProtocolError`.
        """
        return self._reader.receive_stream(timeout)

    def __iter__(self) -> Iterator[Message]:
        """The messages until the end. Ends quietly after a closing handshake; otherwise raises
        `ConnectionLost` or `ProtocolError`."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as exc:
                if exc.clean:
                    return
                raise
            yield message

    def take_all(self) -> list[Message]:
        """All messages in the inbox, in order; does not wait."""
        return self._reader.take_all()

    def hand_over(self, to: deque[Message]) -> int:
        """Moves all messages in the inbox to the end of `to`, and returns their size. Whoever looks
        into the inbox first and then there, on any thread, misses none."""
        return self._reader.hand_over(to)

    def keep(self, messages: Sequence[Message]) -> None:
        """Puts messages into the inbox, before all that will come."""
        self._reader.keep(messages)

    # -------------------------------------------------------------- sending

    def check_open(self) -> None:
        """Raises what `send` would if the connection is not open."""
        self._protocol.check_open()

    @property
    def unsent(self) -> int:
        """Messages that `send` has taken and that have not been handed to the system whole.

        No more than this many: of those that leave in one piece all count until all are gone.
        """
        return self._writer.unsent

    def send_fragments(self, chunks: Chunks, *, text: bool | None = None) -> None:
        """Sends one message in fragments, a frame for each chunk (RFC 6455, section 5.4), so that
        it need not be in memory as a whole: text if the chunks are `str`, binary if they are
        bytes-like.

        `text` says which of them they must be; without chunks the message is empty, and binary
        unless `text` is True. A chunk is sent once the next has come or there is none, so one alone
        makes a message as `send` does. Before each it waits for room as `send` does; after the
        first for up to `write_timeout` also with `send_overflow="fail"`. On a compressed connection
        each is compressed, whatever `compression_threshold` says.

        Meanwhile control frames leave, but no other message: who sends one on another thread waits
        up to `write_timeout`, or gets `QueueFull`, as if the send queue were full.

        Raises what `send` does and what `chunks` raises; `TypeError` also for chunks of both kinds,
        or a single `str` or bytes-like object in their place; `RuntimeError` for a send of another
        message within `chunks`. If that is before the second chunk has come nothing was sent.
        After that the message cannot be completed any more, and the connection fails with 1011.
        """
        self._writer.send_fragments(chunks, text)

    def ping(self, data: "Buffer | None" = None) -> int:
        """Sends a ping and returns its number, for `wait_pong`; by default with data of its own.
        Raises as `send` does, and `ValueError` for more than 125 bytes."""
        with self._lock:
            number = self._protocol.ping(data, time.monotonic())
        self._writer.flush()
        return number

    def wait_pong(self, number: int, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds for the answer to a ping; False if it did not come.

        Not for the thread that delivers to callbacks: nobody else would read the answer.
        """
        return self._reader.wait_pong(number, timeout)

    # -------------------------------------------------------------- the end

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begins the closing handshake, after all that is queued, and does not wait for its end.

        Ends by `close_timeout` whatever the peer does. Does nothing after the end. Raises
        `TypeError` or `ValueError` for a code or reason that may not be sent
        (RFC 6455, section 7.4).
        """
        self._begin_close(code, reason)
        with self._lock:
            self._reader.start_stand_in()  # somebody must hear the answer

    def finish(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """As `close`, and reads until the end, dropping what comes. Bounded by `close_timeout`."""
        self._begin_close(code, reason)
        self._reader.drop_to_end()

    def _begin_close(self, code: int, reason: str) -> None:
        with self._lock:
            self._protocol.close(code, reason, time.monotonic())
            self._after_change()
        self._writer.flush()

    def _after_change(self) -> None:
        """Under the lock: the connection is closing, or at its end."""
        self._after_end()
        self._reader.wake()
        self._writer.wake()
        self._arm()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds for the end; False if it has not come."""
        return self._ended.wait(timeout)

    def _after_sending(self) -> None:
        """Under the lock, when nobody writes."""
        self._reader.all_sent()
        self._after_end()

    def _after_end(self) -> None:
        """Under the lock: wakes all who wait once it is over, and closes the descriptor as soon
        as nobody uses it."""
        if not self._protocol.finished:
            return
        self._reader.wake()
        self._writer.wake()
        if self._timer is not None:
            timers.cancel(self._timer)
            self._timer = None
        if self._stream is not None:
            if self._reader.busy or not self._writer.end():
                self._stream.abort()
                return
            self._stream.close()
            self._stream = None
        self._reader.let_go()
        self._writer.let_go()
        self._ended.set()

    # -------------------------------------------------------------- time

    def _arm(self) -> None:
        """Under the lock: makes sure that the timer fires when it is needed. It may fire too early;
        then it is armed again."""
        if self._protocol.finished or self._protocol.state is State.CONNECTING:
            return
        due = [self._protocol.deadline, self._reader.stand_in_due]
        when = min((when for when in due if when is not None), default=None)
        if when is None or (self._timer is not None and self._timer.when <= when):
            return
        if self._timer is not None:
            timers.cancel(self._timer)
        self._timer = timers.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        with self._lock:
            self._timer = None
            now = time.monotonic()
            self._reader.tell_times()
            self._protocol.tick(now, reading=self._reader.hears_silence)
            self._reader.check_stand_in(now)
            if self._protocol.input_ended:
                self._reader.wake()
            self._after_end()
            self._arm()
        self._writer.flush()

    # -------------------------------------------------------------- fork

    def _after_fork(self) -> None:
        """In the child: dead, and the parent's socket untouched."""
        self._protocol.outbox.after_fork()
        self._make_parts()
        self._timer = None
        self._protocol.abandon(ForkedError())
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._ended.set()


def _after_fork() -> None:
    global _connections_lock
    _connections_lock = threading.Lock()
    for connection in list(_connections):
        connection._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
