"""The sending half of a connection on a socket.

At any time at most one thread *writes*: it holds the writing role, takes what the outbox has
gathered, has it encoded and sends it. That is the thread that calls `send`, if nobody writes and
this is no burst; otherwise the write thread, started when first needed, which sends all that has
gathered with one system call. So a lone message leaves at once and a burst costs few system calls,
and bytes leave in the order in which they were framed.

What each message goes through is `_sender.pyx`; here is what has to be done now and then, with the
connection's lock, which guards the fields. It is not held while encoding or sending.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import ConnectionLost, QueueFull, SendTimeout
from wsfast.protocol.keepalive import later
from wsfast.protocol.options import Options
from wsfast.protocol.sending import Chunks, fragments
from wsfast.system.background import start_thread
from wsfast.threads._sender import Sender
from wsfast.threads.stream import Stream
from wsfast.threads.timers import nothing

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Writer"]

BURST_GAP = 20e-6
"""Seconds: a send that follows another sooner than that, with nothing received between, is part of
a burst."""

IDLE = 1.0
"""Seconds after which a write thread that has nothing to do ends."""


class _Turn:
    """That of one message to be sent in fragments; `thread` sends it."""

    def __init__(self, thread: int) -> None:
        self.thread = thread


class Writer(Sender):
    """Thread-safe, except where a method says that the lock must be held."""

    def __new__(
        cls,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        on_idle: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> Self:
        return super().__new__(
            cls,
            protocol.outbox,
            max_bytes=options.send_queue_bytes,
            max_frames=options.send_queue_messages,
            gap=BURST_GAP,
            idle=IDLE,
        )

    def __init__(
        self,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        on_idle: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        """With `lock` held, `on_idle` is called when the writing role has become free and the
        connection is not open, or no longer; `on_failed` when a message cannot be completed, and
        the connection fails for it."""
        self._protocol = protocol
        self._options = options
        self._lock = lock
        self._on_idle = on_idle
        self._on_failed = on_failed
        self._room = threading.Condition(lock)  # less is waiting to be sent
        self._stream: Stream | None = None
        self._half_closed = False
        self._turn: _Turn | None = None  # of who sends a message in fragments

    def start(self, stream: Stream) -> None:
        """Gives it something to write to."""
        self._stream = stream
        self.begin(stream.sock.fileno(), stream if stream.encodes else None)

    def wake(self) -> None:
        """Makes all who wait look again at the state of the connection. The lock must be held."""
        self._room.notify_all()

    def let_go(self) -> None:
        """Nothing more will be sent; see `Reader.let_go`. The lock must be held."""
        self._stream = None
        self._on_idle = self._on_failed = nothing

    # -------------------------------------------------------------- from any thread

    def flush(self) -> None:
        """Sends what is pending, unless somebody is at it, and half-closes if that was all."""
        with self._lock:
            if self._stream is None or self._half_closed or self._protocol.finished:
                return
            then = self.take_role()
        self.go(then)

    def send_slowly(self, data: "str | Buffer", size: int) -> None:
        """As `send`, which calls it when there is more to do than to frame the message."""
        with self._lock:
            self._wait_for_room(size)
            self._protocol.send(data)
        self.kick()

    def send_fragments(self, chunks: Chunks, text: bool | None) -> None:
        """As `Connection.send_fragments`. No lock is held while a chunk is waited for."""
        turn = _Turn(threading.get_ident())
        try:
            for fragment in fragments(chunks, text):
                with self._lock:
                    self._wait_for_room(len(fragment.payload), turn)
                    self._turn = turn
                    self._protocol.send_fragment(fragment)
                    if fragment.last:
                        self._turn = None
                        self._room.notify_all()
                self.kick()
        except BaseException:
            if self._turn is turn:
                self._break_message()
            raise

    def _break_message(self) -> None:
        with self._lock:
            self._turn = None
            if not self.broken:  # or what the peer sent before it went away would not be delivered
                self._protocol.break_message(time.monotonic())
            self._on_failed()
        self.flush()

    def _wait_for_room(self, size: int, turn: "_Turn | None" = None) -> None:
        """With the lock held, which is given up while waiting. Within a message that is sent in
        fragments, by who has the `turn`, there is time to wait for room in any case."""
        self._check_usable()
        if self._may_add(size, turn):
            return
        within = turn is not None and self._turn is turn
        if not within and self._turn is not None and self._turn.thread == threading.get_ident():
            raise RuntimeError("what gives the chunks of a message cannot send another")
        if not within and self._options.send_overflow == "fail":
            raise QueueFull(self._obstacle())
        deadline = later(time.monotonic(), self._options.write_timeout)
        while not self._may_add(size, turn):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise SendTimeout(f"timeout: {self._obstacle()} for write_timeout")
            self._room.wait(left)
            self._check_usable()

    def _may_add(self, size: int, turn: "_Turn | None") -> bool:
        return (self._turn is None or self._turn is turn) and self.fits(size)

    def _obstacle(self) -> str:
        if self._turn is not None:
            return "another message was being sent in fragments"
        return "the send queue was full"

    def _check_usable(self) -> None:
        self._protocol.check_open()
        if self.broken:
            raise ConnectionLost(CloseCode.ABNORMAL_CLOSURE, "the peer takes no more data")

    # -------------------------------------------------------------- what the sender asks for

    def start_thread(self) -> None:
        """Starts the write thread, which has the writing role."""
        if start_thread(self.write_loop, "wsfast-write") is None:
            self._abort()
            self.thread_failed()

    def interrupted(self) -> None:
        """By who has the role: what has been sent of a frame is not known."""
        self._abort()
        self.fail()

    def _abort(self) -> None:
        assert self._stream is not None  # as long as somebody has the role
        self._stream.abort()  # the reader will see the end

    def room_made(self) -> None:
        """There is room for those who wait."""
        with self._lock:
            self._room.notify_all()

    def freed(self) -> None:
        """Nobody writes any more; everything has been sent, or cannot be."""
        with self._lock:
            self._room.notify_all()
            if self.busy:
                return  # again, and who does will come here
            if self._protocol.half_close and not self._half_closed and self._stream is not None:
                self._half_closed = True
                with contextlib.suppress(OSError, ValueError):  # who is gone needs no farewell
                    self._stream.send_now(self._stream.end())
                self._stream.half_close()
            self._on_idle()
