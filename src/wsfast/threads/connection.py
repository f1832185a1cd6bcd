"""A connection on a socket: the sans-I/O connection, driven by threads.

At any time at most one thread *reads* from the stream and one *writes* to it (`writer.py`). A role
is taken and given back under `_lock` and used without it; whoever gives back the last one after
the end closes the descriptor, so nobody is ever inside a system call on a descriptor that is freed.

The reader is either a thread that calls `run` and delivers to callbacks, or whoever waits in
`receive`, so that no message changes threads. When nobody has done so for a while, a stand-in
thread reads into the inbox, so that pings are answered and a close is seen; it steps back once
somebody waits again.

`_lock` guards the protocol object, the inbox, the roles and the flags. It is never held while
waiting for the network or while user code runs. Order: `_lock`, then a stream's own.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import ConnectionClosed, ForkedError, WebSocketError
from wsfast.protocol.handshake import Request, Response
from wsfast.protocol.options import Options
from wsfast.threads.inbox import Inbox
from wsfast.threads.stream import Stream, describe
from wsfast.threads.timers import Timer, start_thread, timers
from wsfast.threads.writer import Writer

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection"]

STAND_IN = 2.0
"""Seconds that nobody has waited in `receive` after which a stand-in may start to read."""

_connections: "weakref.WeakSet[Connection]" = weakref.WeakSet()
_connections_lock = threading.Lock()


class Connection:
    """One connection. All methods may be called from any thread unless they say otherwise."""

    def __init__(self, protocol: Protocol, options: Options) -> None:
        self._protocol = protocol
        self._options = options
        self._stream: Stream | None = None
        self._forked = False
        self._make_locks()
        self._reading = False
        self._in_recv = False  # in the system call: only then does silence mean something
        self._inbox = Inbox(options)
        self._waiting = 0  # threads in receive() that somebody else reads for
        self._pong_waiters = 0
        self._stand_in = False  # a stand-in thread exists
        self._stand_in_check = False  # the timer will look whether one is needed
        self._timer: Timer | None = None
        with _connections_lock:
            _connections.add(self)

    def _make_locks(self) -> None:
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)  # inbox filled, pong, end, or role free
        self._space = threading.Condition(self._lock)  # inbox emptied, or the end
        self._ended = threading.Event()
        self._writer = Writer(self._protocol, self._options, self._lock, self._after_end)

    # -------------------------------------------------------------- what it is

    @property
    def state(self) -> State:
        """Where it stands; see `wsfast.protocol.constants.State`."""
        return self._protocol.state

    @property
    def error(self) -> WebSocketError | None:
        """What went wrong, if anything did."""
        return self._protocol.error

    @property
    def close_code(self) -> int | None:
        """The peer's close code, or why there is none; None before the end (RFC 6455, 7.1.5)."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The close reason that belongs to `close_code`."""
        return self._protocol.close_reason

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on, if any (RFC 6455, section 1.9)."""
        return self._protocol.subprotocol

    @property
    def request(self) -> Request | None:
        """On a server, what the client asked for: path, query, headers, origin."""
        return self._protocol.request

    @property
    def response(self) -> Response | None:
        """On a client, how the server answered the handshake."""
        return self._protocol.response

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; None before the first."""
        return self._protocol.latency

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

    def start(self, stream: Stream) -> None:
        """Opens the connection over `stream`, which is its own from now on: TLS, then the upgrade.

        Blocks until `dial_timeout` at most. Raises the error that the opening failed with. If the
        connection was closed meanwhile it returns, with the connection at its end.
        """
        with self._lock:
            if self._protocol.finished:
                stream.close()
                return
            self._stream = stream
            self._reading = True
        try:
            stream.open(self._protocol.deadline)
            self._writer.start(stream)
            while self._protocol.state is State.CONNECTING:
                self._writer.flush()
                self._keep(self._read(self._protocol.deadline))
                self._accept()
            self._writer.flush()
        except WebSocketError as error:
            self.abandon(error)
        finally:
            with self._lock:
                self._give_back_reading()
        if self._protocol.error is not None and self._protocol.state is not State.CONNECTED:
            raise self._protocol.error
        self._arm()

    def _accept(self) -> None:
        with self._lock:
            if self._protocol.request is not None and self._protocol.state is State.CONNECTING:
                messages = self._protocol.accept(time.monotonic())
            else:
                return
        self._keep(messages)

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

    def _read(self, deadline: float | None = None) -> Sequence[Message]:
        """Waits for the next bytes; returns the messages they end. Needs the reading role.

        Raises `TimeoutError` at the deadline, except while connecting, where the protocol knows.
        """
        assert self._stream is not None
        size = 0
        failure: str | None = None
        timed_out = False
        self._in_recv = True
        try:
            size = self._stream.receive_into(self._protocol.get_buffer(), deadline)
        except MemoryError:
            failure = "out of memory"
        except OSError as exc:
            timed_out = isinstance(exc, TimeoutError) and exc.errno is None  # the deadline
            if timed_out and self._protocol.state is not State.CONNECTING:
                raise
            failure = f"connection lost: {describe(exc)}"
        finally:
            self._in_recv = False
        now = time.monotonic()
        with self._lock:
            if size:
                self._writer.heard()
                messages = self._protocol.received(size, now)
                flush = (
                    self._protocol.pending > 0
                    or self._stream.has_output
                    or self._protocol.half_close
                )
                if self._protocol.unsettled or self._protocol.state is State.CLOSING:
                    self._arm_locked()  # the end has a deadline sooner than those before
                if self._pong_waiters:
                    self._arrived.notify_all()
            else:
                if timed_out:
                    self._protocol.tick(max(now, deadline or now))
                elif failure is not None:
                    self._protocol.lost(failure, now)
                else:
                    self._protocol.eof(now)
                self._after_end()
                return ()
        if flush:
            self._writer.flush()
        return messages

    def _keep(self, messages: Sequence[Message]) -> None:
        """Puts messages into the inbox, for `receive` or `take_all`."""
        if not messages:
            return
        with self._lock:
            if self._inbox.full and self._protocol.state is State.CLOSING:
                return  # we have said goodbye, and nobody takes what came before
            self._inbox.put(messages)
            self._arrived.notify_all()

    def settle(self) -> None:
        """Lets go out what waited for the replies to the messages received last."""
        with self._lock:
            self._protocol.settle(time.monotonic())
        self._writer.flush()
        self._arm()

    def run(self, deliver: Callable[[Sequence[Message]], None] | None) -> None:
        """Reads until the end on the calling thread.

        `deliver` gets the messages as they come, without a lock held; it must not raise. Without
        it they are put into the inbox, and while that is full nothing is read, so that TCP slows
        the peer down.
        """
        with self._lock:
            while self._reading:
                self._wait_for_reader(None)
            self._reading = True
            messages = self._inbox.take_all() if deliver is not None else []
        try:
            if deliver is not None and messages:
                deliver(messages)
            self._read_to_end(deliver or self._keep, bounded=deliver is None)
        finally:
            with self._lock:
                self._give_back_reading()

    def _read_to_end(self, deliver: Callable[[Sequence[Message]], None], *, bounded: bool) -> None:
        while True:
            if self._protocol.unsettled:
                self.settle()
            if self._protocol.finished:
                return
            if bounded and not self._wait_for_space():
                return
            messages = self._read()
            if messages:
                deliver(messages)

    def _wait_for_space(self) -> bool:
        """Waits while the inbox is full; not once we are closing, to hear the peer's answer.

        False if a stand-in should give the reading role back.
        """
        with self._lock:
            while self._inbox.full and self._protocol.state is State.CONNECTED:
                self._space.wait()
            return not (self._stand_in and self._waiting)

    def receive(self, timeout: float | None = None) -> Message:
        """The next message: `str` for text, `bytes` for binary.

        Waits up to `timeout` seconds, then raises `TimeoutError`; nothing is lost by that. After
        the end, and after the last message, raises `ConnectionClosed` or a subclass of it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if self._forked:
                    raise ForkedError()
                if self._inbox:
                    if self._inbox.full:
                        self._space.notify_all()
                    return self._inbox.pop()
                settle = self._protocol.unsettled
                if not settle:
                    if self._protocol.input_ended:
                        self._start_stand_in()  # to hear TCP end: who got this may not come back
                        raise self._protocol.closed_error()
                    if self._reading:
                        self._wait_for_reader(deadline)
                        continue
                    self._reading = True
            if settle:
                self.settle()
                continue
            try:
                self._keep(self._read(deadline))
            finally:
                with self._lock:
                    self._give_back_reading()

    def _wait_for_reader(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timeout: no message")
        self._waiting += 1
        try:
            self._arrived.wait(left)
        finally:
            self._waiting -= 1

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
        with self._lock:
            self._space.notify_all()
            return self._inbox.take_all()

    def _give_back_reading(self) -> None:
        self._reading = False
        if self._waiting:
            self._arrived.notify()
        if self._protocol.finished:
            self._after_end()
        elif not self._stand_in_check and self._protocol.state is not State.CONNECTING:
            self._stand_in_check = True
            self._arm_locked()

    def _start_stand_in(self) -> None:
        """Under the lock: reads in the background while the application is busy."""
        if (
            self._reading
            or self._stream is None
            or self._protocol.state not in (State.CONNECTED, State.CLOSING)
            or self._protocol.unsettled
        ):
            return
        if start_thread(self._stand_in_loop, "wsfast-stand-in") is not None:
            self._reading = self._stand_in = True

    def _stand_in_loop(self) -> None:
        try:
            while not self._protocol.unsettled and not self._protocol.finished:
                if not self._wait_for_space():
                    return
                self._keep(self._read())
        finally:
            with self._lock:
                self._stand_in = False
                self._give_back_reading()

    # -------------------------------------------------------------- sending

    def send(self, data: "str | Buffer") -> None:
        """Queues a message and, unless a burst is on, sends it: text for `str`, binary for
        bytes-like data (RFC 6455, section 5.6).

        Waits up to `write_timeout` while the send queue is full (or not at all, by
        `send_overflow`). Raises `TypeError` and `ValueError` for data that cannot be sent,
        `SendTimeout`, `QueueFull`, `ConnectionClosed` after the end; then nothing was queued.
        """
        self._writer.send(data)

    def ping(self, data: "Buffer" = b"") -> int:
        """Sends a ping and returns its number, for `wait_pong`. Raises as `send` does, and
        `ValueError` for more than 125 bytes."""
        with self._lock:
            number = self._protocol.ping(data, time.monotonic())
        self._writer.flush()
        return number

    def wait_pong(self, number: int, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds for the answer to a ping; False if it did not come.

        Not for the thread that delivers to callbacks: nobody else would read the answer.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._pong_waiters += 1
            while self._protocol.pongs < number and not self._protocol.finished:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._start_stand_in()
                self._arrived.wait(left)
            self._pong_waiters -= 1
            return self._protocol.pongs >= number

    # -------------------------------------------------------------- the end

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begins the closing handshake, after all that is queued, and does not wait for its end.

        Ends by `close_timeout` whatever the peer does. Does nothing after the end. Raises
        `TypeError` or `ValueError` for a code or reason that may not be sent
        (RFC 6455, section 7.4).
        """
        self._begin_close(code, reason)
        with self._lock:
            self._start_stand_in()  # somebody must hear the answer

    def finish(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """As `close`, and reads until the end, dropping what comes. Bounded by `close_timeout`."""
        self._begin_close(code, reason)
        with self._lock:
            while self._reading and not self._protocol.finished:
                self._wait_for_reader(None)
            if self._protocol.finished:
                return
            self._reading = True
        try:
            self._read_to_end(lambda _: None, bounded=False)
        finally:
            with self._lock:
                self._give_back_reading()

    def _begin_close(self, code: int, reason: str) -> None:
        with self._lock:
            self._protocol.close(code, reason, time.monotonic())
            self._after_end()
            self._space.notify_all()
            self._writer.wake()
        self._writer.flush()
        self._arm()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds for the end; False if it has not come."""
        return self._ended.wait(timeout)

    def _after_end(self) -> None:
        """Under the lock: wakes all who wait once it is over, and closes the descriptor as soon
        as nobody uses it."""
        if not self._protocol.finished:
            return
        self._arrived.notify_all()
        self._space.notify_all()
        self._writer.wake()
        if self._timer is not None:
            timers.cancel(self._timer)
            self._timer = None
        if self._stream is not None:
            if self._reading or self._writer.busy:
                self._stream.abort()
                return
            self._stream.close()
            self._stream = None
        self._ended.set()

    # -------------------------------------------------------------- time

    def _arm(self) -> None:
        with self._lock:
            self._arm_locked()

    def _arm_locked(self) -> None:
        """Makes sure that the timer fires when the protocol, or a check for a stand-in, needs it.
        It may fire too early; then it is armed again."""
        if self._protocol.finished or self._protocol.state is State.CONNECTING:
            return
        when = self._protocol.deadline
        if self._stand_in_check:
            check = time.monotonic() + STAND_IN
            when = check if when is None else min(when, check)
        if when is None or (self._timer is not None and self._timer.when <= when):
            return
        if self._timer is not None:
            timers.cancel(self._timer)
        self._timer = timers.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        with self._lock:
            self._timer = None
            if self._protocol.finished or self._stream is None:
                return
            reading = self._in_recv and not self._stream.readable()
            self._protocol.tick(time.monotonic(), reading=reading)
            self._after_end()
            if self._stand_in_check and not self._protocol.finished:
                self._stand_in_check = False
                self._start_stand_in()
        self._writer.flush()
        self._arm()

    # -------------------------------------------------------------- fork

    def _after_fork(self) -> None:
        """In the child: dead, and the parent's socket untouched."""
        self._forked = True
        self._make_locks()
        self._reading = self._stand_in = False
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
