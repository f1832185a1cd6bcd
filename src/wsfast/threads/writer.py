"""The sending half of a connection on a socket.

At any time at most one thread *writes*: it holds the writing role (`_writing`), takes what the
protocol has gathered, encodes it and sends it. That is the thread that calls `send`, if nobody
writes and this is no burst; otherwise the write thread, started when first needed, which sends all
that has gathered with one system call. So a lone message leaves at once and a burst costs few
system calls, and bytes leave in the order in which they were framed.

The connection's lock guards every field but `_wire` and `_sent`, which belong to the role. It is
not held while encoding or sending.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.errors import ConnectionLost, QueueFull, SendTimeout
from wsfast.protocol.keepalive import later
from wsfast.protocol.options import Options
from wsfast.threads.stream import Stream
from wsfast.threads.timers import nothing, start_thread

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Writer"]

BURST_GAP = 20e-6
"""Seconds: a send that follows another sooner than that, with nothing received between, is part of
a burst."""

IDLE = 1.0
"""Seconds after which a write thread that has nothing to do ends."""


class Writer:
    """Thread-safe, except where a method says that the lock must be held."""

    def __init__(
        self,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        on_idle: Callable[[], None],
    ) -> None:
        """`on_idle` is called, with `lock` held, each time the writing role becomes free."""
        self._protocol = protocol
        self._options = options
        self._lock = lock
        self._on_idle = on_idle
        self._room = threading.Condition(lock)  # less is waiting to be sent
        self._work = threading.Condition(lock)  # the write thread has been given the role
        self._stream: Stream | None = None
        self._writing = False
        self._thread: threading.Thread | None = None
        self._thread_has_role = False
        self._wire = memoryview(b"")  # encoded and not sent yet
        self._accepted = 0  # messages, ever; of these are
        self._taken = 0  # those that the writing role has taken from the protocol
        self._sent = 0  # those that have left
        self._in_flight = 0  # bytes taken from the protocol and not all sent yet
        self._broken = False  # the stream takes no more
        self._sent_all = False  # and half-closed
        self._sent_at = 0.0
        self._heard = True

    def start(self, stream: Stream) -> None:
        """Gives it something to write to."""
        self._stream = stream

    @property
    def busy(self) -> bool:
        """Whether somebody writes. The lock must be held."""
        return self._writing

    @property
    def unsent(self) -> int:
        """As `Connection.unsent`. The lock must be held."""
        return self._accepted - self._sent

    def heard(self) -> None:
        """Something was received: what is sent next is an answer, not part of a burst."""
        self._heard = True

    def wake(self) -> None:
        """Makes all who wait look again at the state of the connection. The lock must be held."""
        self._room.notify_all()
        self._work.notify_all()

    def let_go(self) -> None:
        """Nothing more will be sent; see `Reader.let_go`. The lock must be held."""
        self._stream = None
        self._wire = memoryview(b"")
        self._on_idle = nothing

    # -------------------------------------------------------------- from any thread

    def send(self, data: "str | Buffer") -> None:
        """As `Connection.send`."""
        with self._lock:
            self._wait_for_room(data)
            self._protocol.send(data)
            self._accepted += 1
            if self._writing:
                return  # whoever writes takes this along
            if not self._heard and time.monotonic() - self._sent_at < BURST_GAP:
                self._hand_over()
                return
            self._heard = False
            taken = self._take()
        self._send_inline(taken)

    def flush(self) -> None:
        """Sends what is pending, unless somebody is at it, and half-closes if that was all."""
        with self._lock:
            if self._writing or self._stream is None or self._sent_all or self._protocol.finished:
                return
            taken = self._take()
        self._send_inline(taken)

    def _wait_for_room(self, data: "str | Buffer") -> None:
        """With the lock held, which is given up while waiting."""
        size = len(data) if isinstance(data, str) else memoryview(data).nbytes
        self._check_usable()
        if self._fits(size):
            return
        if self._options.send_overflow == "fail":
            raise QueueFull("the send queue is full")
        deadline = later(time.monotonic(), self._options.write_timeout)
        while not self._fits(size):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise SendTimeout("timeout: no room in the send queue within write_timeout")
            self._room.wait(left)
            self._check_usable()

    def _check_usable(self) -> None:
        self._protocol.check_open()
        if self._broken:
            raise ConnectionLost(CloseCode.ABNORMAL_CLOSURE, "the peer takes no more data")

    def _fits(self, size: int) -> bool:
        pending = self._protocol.pending + self._in_flight
        return pending == 0 or (
            pending + size <= self._options.send_queue_bytes
            and self._protocol.pending_frames < self._options.send_queue_messages
        )

    # -------------------------------------------------------------- with the writing role

    def _take(self) -> bytes:
        """With the lock held: takes the role, or keeps it, and what the protocol has gathered."""
        data = self._protocol.data_to_send()
        self._in_flight = len(data)
        self._taken = self._accepted
        self._writing = True
        return data

    def _send_inline(self, data: bytes) -> None:
        """Sends what can be sent at once; gives the role back, or over to the write thread."""
        try:
            sent_all = self._transmit(data)
        except BaseException:  # Ctrl-C: how much of it was sent is not known
            with self._lock:
                self._break()
            raise
        with self._lock:
            self._sent_at = time.monotonic()
            if not sent_all or self._protocol.pending:
                self._hand_over()
            else:
                self._give_back()

    def _transmit(self, data: bytes) -> bool:
        """Encodes `data`, if there is any, and sends; False if not all could be sent at once."""
        stream = self._stream
        if self._broken or stream is None:
            return True
        try:
            if data or stream.has_output:
                # Records of TLS must leave in the order in which they were made.
                self._wire = memoryview(bytes(self._wire) + stream.encode(data))
            while self._wire:
                sent = stream.send_now(self._wire)
                if not sent:
                    return False
                self._wire = self._wire[sent:]
            self._wire = memoryview(b"")  # an empty slice would keep all that was sent
            self._sent = self._taken
        except (OSError, ValueError, MemoryError):
            # Reading goes on: what the peer sent before it went away is still to be delivered.
            self._broken = True
            self._wire = memoryview(b"")
        return True

    def _give_back(self) -> None:
        """With the lock held and everything sent."""
        self._in_flight = 0
        self._writing = False
        self._room.notify_all()
        if self._protocol.half_close and not self._sent_all and self._stream is not None:
            self._sent_all = True
            with contextlib.suppress(OSError, ValueError):  # who is gone needs no farewell
                self._stream.send_now(self._stream.end())
            self._stream.half_close()
        self._on_idle()

    # -------------------------------------------------------------- the write thread

    def _hand_over(self) -> None:
        """With the lock held: the role goes to the write thread."""
        self._writing = self._thread_has_role = True
        if self._thread is not None:
            self._work.notify()
            return
        self._thread = start_thread(self._write_loop, "wsfast-write")
        if self._thread is None:
            self._thread_has_role = False
            self._break()

    def _break(self) -> None:
        """With the lock and the role held: nothing can be sent any more. The reader will see the
        end."""
        assert self._stream is not None
        self._broken = True
        self._wire = memoryview(b"")
        self._stream.abort()
        self._give_back()

    def _write_loop(self) -> None:
        while self._wait_for_role():
            data: bytes | None = b""
            while data is not None:
                if self._transmit(data):
                    data = self._take_or_give_back()
                else:
                    data = b""
                    self._wait_writable()

    def _wait_for_role(self) -> bool:
        """False, and the thread ends, when it has not come for a while or never will."""
        with self._lock:
            self._work.wait_for(lambda: self._thread_has_role or self._protocol.finished, IDLE)
            if not self._thread_has_role:
                self._thread = None
            return self._thread_has_role

    def _take_or_give_back(self) -> bytes | None:
        with self._lock:
            data = self._take()
            self._room.notify_all()
            if data and not self._broken:
                return data
            self._thread_has_role = False
            self._give_back()
            return None

    def _wait_writable(self) -> None:
        assert self._stream is not None
        self._stream.wait_writable()
        if self._protocol.finished:
            self._broken = True
