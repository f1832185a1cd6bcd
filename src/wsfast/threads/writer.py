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


class Writer(Sender):
    """Thread-safe, except where a method says that the lock must be held."""

    def __new__(
        cls,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        on_idle: Callable[[], None],
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
    ) -> None:
        """`on_idle` is called, with `lock` held, when the writing role has become free and the
        connection is not open, or no longer."""
        self._protocol = protocol
        self._options = options
        self._lock = lock
        self._on_idle = on_idle
        self._room = threading.Condition(lock)  # less is waiting to be sent
        self._stream: Stream | None = None
        self._half_closed = False

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
        self._on_idle = nothing

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

    def _wait_for_room(self, size: int) -> None:
        """With the lock held, which is given up while waiting."""
        self._check_usable()
        if self.fits(size):
            return
        if self._options.send_overflow == "fail":
            raise QueueFull("the send queue is full")
        deadline = later(time.monotonic(), self._options.write_timeout)
        while not self.fits(size):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise SendTimeout("timeout: no room in the send queue within write_timeout")
            self._room.wait(left)
            self._check_usable()

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
