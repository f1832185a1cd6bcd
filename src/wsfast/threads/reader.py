"""The receiving half of a connection on a socket.

At any time at most one thread *reads*: it holds the reading role (`reading`). That is either a
thread that calls `run` and delivers to callbacks, or whoever waits in `receive`, so that no message
changes threads. When nobody has done so for a while, a stand-in thread reads into the inbox, so
that pings are answered and a close is seen; it steps back once somebody waits again.

What each chunk and each `receive` goes through is `_receiver.pyx`; here is what has to be done now
and then, with the connection's lock, which guards every field. It is not held while waiting for the
network or while messages are delivered.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn, Self, TypeAlias, cast

from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Event, Message
from wsfast.protocol.constants import State
from wsfast.protocol.keepalive import later, reached
from wsfast.protocol.messages import Received, total_size
from wsfast.protocol.options import Options
from wsfast.protocol.parts import PartInbox
from wsfast.system.background import start_thread
from wsfast.system.tls import describe
from wsfast.threads._receiver import Receiver, Taker
from wsfast.threads.inbox import Inbox
from wsfast.threads.message_stream import MessageStream
from wsfast.threads.stream import Stream
from wsfast.threads.timers import nothing
from wsfast.threads.writer import Writer

__all__ = ["Deliver", "Reader"]

Deliver: TypeAlias = Callable[[list[Message]], None]

STAND_IN = 2.0
"""Seconds that nobody has waited in `receive` after which a stand-in may start to read."""

ANSWER = 1.0
"""Seconds that the application gets to answer what came before the peer's close frame, if that is
read by a stand-in. An application that only sends would never come back to settle it."""

TAKE = 1.0
"""Seconds that the application gets, after we have closed, to take something from a full inbox."""


class Reader(Taker):
    """Thread-safe, except where a method says that the lock, or the reading role, is needed."""

    def __new__(
        cls,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        writer: Writer,
        *,
        arm: Callable[[], None],
        on_idle: Callable[[], None],
    ) -> Self:
        return super().__new__(cls, protocol, lock, cls.make_inbox(options))

    @staticmethod
    def make_inbox(options: Options) -> Inbox | PartInbox:
        """Where what has arrived waits."""
        return Inbox(options)

    def __init__(
        self,
        protocol: Protocol,
        options: Options,
        lock: threading.Lock,
        writer: Writer,
        *,
        arm: Callable[[], None],
        on_idle: Callable[[], None],
    ) -> None:
        """With `lock` held, `arm` is called when a deadline may have come nearer, and `on_idle`
        when the connection may be over and nobody reads."""
        self._protocol = protocol
        self._options = options
        self._lock = lock
        self._writer = writer
        self._arm = arm
        self._on_idle = on_idle
        self._arrived = threading.Condition(lock)  # inbox filled, pong, end, or role free
        self._space = threading.Condition(lock)  # inbox emptied, or closing, or the end
        self._stream: Stream | None = None
        self._dropping = False  # we have closed, and nobody takes what comes
        self._draining = False  # the peer has closed, and something for it is still to be sent
        self._asked = False  # somebody who does not wait has taken all there is, and wants more
        self._waiting_for_role = 0  # of those who wait, who wants nothing else
        self.watch: Callable[[], bool] = _nobody
        """Called with the lock held when something can be taken, once `listen` has been called:
        takes it for those who do not wait in `receive`, and says whether more of them wait. It also
        tells `promised`."""

    # -------------------------------------------------------------- with the lock held

    def start(self, stream: Stream) -> None:
        """Gives it something to read from, and the caller the reading role."""
        self._stream = stream
        self.reading = True

    @property
    def busy(self) -> bool:
        """Whether somebody reads."""
        return self.reading

    @property
    def hears_silence(self) -> bool:
        """Whether somebody waits for bytes and there are none: only then does silence mean that
        the peer is silent."""
        return (
            self.receiver is not None
            and self.receiver.in_recv
            and self._stream is not None
            and not self._stream.readable()
        )

    def tell_times(self) -> None:
        """Tells the protocol when it was that what it has not seen arrived."""
        if self.receiver is not None:
            self._protocol.heard(self.receiver.heard_at, self.receiver.message_at)

    def wake(self) -> None:
        """Makes all who wait, and who reads, look again at the state of the connection."""
        if self.receiver is not None:
            self.receiver.stop = True
        self._tell()
        self._space.notify_all()

    def _tell(self) -> None:
        """Tells all who wait that there may be something for them."""
        self._arrived.notify_all()
        if self.watching:
            self.watching = self.watch()

    def give_back(self) -> None:
        """Gives the reading role back."""
        self.reading = False
        self._pass_on()
        if self._protocol.finished:
            self._on_idle()
        elif self.stand_in_due is None and self._protocol.state is not State.CONNECTING:
            self._try_later()

    def _pass_on(self) -> None:
        """Makes sure that somebody reads for those who wait, if need be one of them. Whoever has
        been woken for that, and leaves instead, calls it again."""
        if self.reading:
            return
        if self.waiting_for_pong:
            self._arrived.notify_all()  # any of them has a stand-in read
        elif self.waiting:
            self._arrived.notify()
        elif self.watching:
            self._read_for_watchers()

    def others_wait(self) -> bool:
        """Whether somebody waits in another way than by `receive`, or may give a message back."""
        self.watching = self.watch()
        return self.watching or self.promised

    def _read_for_watchers(self) -> None:
        self.watching = self.watch()
        if self.watching:
            self.start_stand_in()

    def all_sent(self) -> None:
        """Says that nothing is on its way to the peer."""
        if self._draining and not self._protocol.finished:
            self._protocol.eof(time.monotonic())

    def let_go(self) -> None:
        """Nothing more will be read. What its connection holds is free as soon as nobody has the
        connection any more; a cycle would keep it until the garbage is collected."""
        self._stream = self.receiver = None
        self._arm = self._on_idle = nothing
        self.watch()  # somebody may have begun to wait, and not have called `listen` yet
        self.watch = _nobody

    def check_stand_in(self, now: float) -> None:
        """Starts a stand-in if nobody has read for long enough."""
        if reached(self.stand_in_due, now):
            self.stand_in_due = None
            self.start_stand_in()

    def start_stand_in(self) -> None:
        """Makes sure that somebody reads while the application does not."""
        if (
            self.reading
            or self._stream is None
            or self._protocol.state not in (State.CONNECTED, State.CLOSING)
        ):
            return
        self.reading = start_thread(self._stand_in_loop, "wsfast-stand-in") is not None
        if not self.reading:
            self._try_later()

    def _try_later(self) -> None:
        self.stand_in_due = time.monotonic() + STAND_IN
        self._arm()

    def ask(self) -> None:
        """Says that somebody wants more than there is, and comes back for it rather than wait."""
        if self._protocol.unsettled and not self.promised:
            self._asked = True
            self._arrived.notify_all()
        self.start_stand_in()

    # -------------------------------------------------------------- with the reading role

    def open(self, deadline: float | None) -> None:
        """Waits for the next bytes of the handshake. At the deadline the protocol gives up."""
        assert self._stream is not None
        size = 0
        timed_out = False
        failure: str | None = None
        try:
            size = self._stream.receive_into(self._protocol.get_buffer(), deadline)
        except OSError as exc:
            timed_out = _is_deadline(exc)
            failure = f"connection lost: {describe(exc)}"
        with self._lock:
            now = time.monotonic()
            if size:
                self.put(list(self._protocol.received(size, now)))
                self.held_back = self._protocol.held_back
            elif timed_out:
                self._protocol.tick(max(now, deadline or now))
            elif failure is not None:
                self._protocol.lost(failure, now)
            else:
                self._protocol.eof(now)

    def read(self, deliver: Deliver | None = None) -> None:
        """Waits for the next bytes and keeps the messages that they end. With `deliver` delivers
        them, and goes on until there is more to do."""
        if self.held_back:
            self.handle(None, deliver)
            return
        receiver = self.receiver or self.make_receiver()
        try:
            events = receiver.receive() if deliver is None else receiver.run(deliver)
        except (MemoryError, OSError) as exc:
            self.failed(exc)
            return
        if events is None:
            self.ended()
        elif receiver.control:
            self.handle(events, deliver)
        elif events:
            with self._lock:
                if not self._protocol.input_ended:
                    self.put(cast("list[Message]", events), receiver.message_bytes)

    def make_receiver(self) -> Receiver:
        """Once what comes are frames."""
        assert self._stream is not None
        stream = self._stream
        receiver = self.receiver = Receiver(
            self._protocol.decoder,
            self._writer,
            stream.sock.fileno(),
            stream.cipher,
            stream if stream.encodes and stream.cipher is None else None,
        )
        return receiver

    def failed(self, error: MemoryError | OSError) -> None:
        """Has the connection end because of `error`; raises it if it is only our own deadline."""
        if isinstance(error, OSError):
            if _is_deadline(error):
                raise error
            self.ended(f"connection lost: {describe(error)}")
            return
        with self._lock:
            self._protocol.out_of_memory(time.monotonic())
            self._arm()

    def handle(self, events: list[Event] | None, deliver: Deliver | None = None) -> None:
        """Has the protocol do what `events` ask for, or what it has held back, and delivers or
        keeps the messages."""
        protocol, stream = self._protocol, self._stream
        assert stream is not None
        now = time.monotonic()
        with self._lock:
            messages = list(
                protocol.resume(now) if events is None else protocol.handle(events, now)
            )
            self.held_back = protocol.held_back
            if deliver is None:
                # At once: who sees that the peer has closed must find what came before.
                self.put(messages)
            flush = protocol.pending > 0 or stream.has_output or protocol.half_close
            if protocol.unsettled or protocol.state is State.CLOSING:
                self._arm()  # the end has a deadline sooner than those before
            if self.waiting_for_pong or protocol.input_ended:
                self._tell()
        if flush:
            self._writer.flush()
        if deliver is not None and messages:
            deliver(messages)

    def ended(self, failure: str | None = None) -> None:
        """Nothing more will come; `failure` says why, if that is not how it should be."""
        with self._lock:
            now = time.monotonic()
            if failure is not None:
                self._protocol.lost(failure, now)
            else:
                self._protocol.settle(now)
                sending = self._writer.busy or self._protocol.pending > 0
                self._protocol.eof(now, sending=sending)
                self._draining = not self._protocol.finished
                self._arm()
            self._on_idle()
        if self._draining:
            self._writer.flush()

    def keep(self, messages: Sequence[Message]) -> None:
        """Puts messages into the inbox, for `receive` or `take_all`."""
        if messages:
            with self._lock:
                self.put(list(messages))
                self.held_back = self._protocol.held_back

    def put(self, messages: list[Message], size: int | None = None) -> None:
        """With the lock held; they are the inbox's from now on."""
        if not messages or self._dropping:
            return
        self.inbox.put(messages, total_size(messages) if size is None else size)
        self._tell()

    def _read_to_end(self, deliver: Deliver | None) -> None:
        """Without `deliver`, messages are kept."""
        while True:
            if self.receiver is not None:
                self.receiver.stop = False  # first: what it is set for is then looked at
            if self._protocol.unsettled:
                self.settle()
            if self._protocol.finished:
                return
            if self._draining:
                self._wait_drained()
                continue
            if deliver is None:
                self._wait_for_space()
            self.read(deliver)

    def _wait_for_space(self) -> None:
        """Waits while the inbox is full. Once we have said goodbye not for long, to hear the peer's
        answer: if nobody takes what came before, it is dropped from then on."""
        with self._lock:
            while self._must_wait(State.CONNECTED):
                self._space.wait()
            if self._must_wait(State.CLOSING) and not self._dropping:
                self._dropping = not self._space.wait_for(
                    lambda: not self._must_wait(State.CLOSING), TAKE
                )

    def _must_wait(self, state: State) -> bool:
        return self.inbox.full and self._protocol.state is state and not self._waiting_for_role

    def _wait_drained(self, *, yielding: bool = False) -> None:
        """Waits until all has been sent that there is for a peer which has closed; `yielding`:
        or somebody wants the role."""
        with self._lock:
            self._arrived.wait_for(
                lambda: self._protocol.finished or (yielding and self.waiting > 0)
            )

    def _stand_in_loop(self) -> None:
        try:
            while not (self.waiting or self._protocol.finished):
                if self._protocol.unsettled:
                    self._settle_late()
                    continue
                if self._draining:
                    self._wait_drained(yielding=True)
                    continue
                self._wait_for_space()
                if not self.waiting:
                    self.read()
        finally:
            with self._lock:
                self.give_back()
                if self._protocol.input_ended and not self.waiting:
                    self.start_stand_in()  # who it stepped back for has left meanwhile

    def _settle_late(self) -> None:
        """Settles, unless the application does so within `ANSWER` or wants the reading role."""
        with self._lock:
            self._arrived.wait_for(
                lambda: self.waiting or self._wanted_more() or not self._protocol.unsettled, ANSWER
            )
            settle = not self.waiting
        if settle:
            self.settle()

    def _wanted_more(self) -> bool:
        """With the lock held: whether the application has had its chance to answer."""
        self.watching = self.watching and self.watch()
        return self._asked or (self.watching and not self.promised)

    # -------------------------------------------------------------- from any thread

    def settle(self) -> None:
        """Lets go out what waited for the replies to the messages received last."""
        with self._lock:
            self._protocol.settle(time.monotonic())
            self._tell()
            self._arm()
        self._writer.flush()

    def listen(self) -> None:
        """Calls `watch`, and has it called as long as it wants to be."""
        with self._lock:
            self._read_for_watchers()
            settle = self._protocol.unsettled and self.watching
        if settle:
            self.settle()

    def run(self, deliver: Deliver | None) -> None:
        """As `Connection.run`."""
        with self._lock:
            self._take_role()
            messages = self.inbox.take_all() if deliver is not None else []
        try:
            if deliver is not None and messages:
                deliver(messages)
            self._read_to_end(deliver)
        finally:
            with self._lock:
                self.give_back()

    def drop_to_end(self) -> None:
        """Reads until the end and drops what comes."""
        with self._lock:
            self._take_role()
        try:
            self._read_to_end(lambda _: None)
        finally:
            with self._lock:
                self.give_back()

    def _take_role(self) -> None:
        """With the lock held, which is given up while waiting."""
        self._waiting_for_role += 1
        while self.reading:
            self.wake()  # a stand-in may wait for space or for answers
            self.wait(None)
        self._waiting_for_role -= 1
        self.reading = True

    def take(self) -> Message:
        """With the lock held: the oldest message in the inbox."""
        if self.inbox.full:
            self._space.notify_all()
        return self.inbox.pop()

    def at_end(self) -> NoReturn:
        """With the lock held, when no message can come any more: raises what says so."""
        self.start_stand_in()  # to hear TCP end: who got this may not come back
        raise self._protocol.closed_error()

    def wait(self, deadline: float | None) -> None:
        """With the lock held, which is given up while waiting for the role or for a message."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            self._pass_on()
            raise TimeoutError("timeout: no message")
        self.waiting += 1
        try:
            self._arrived.wait(left)
        except BaseException:
            self.waiting -= 1
            self._pass_on()
            raise
        self.waiting -= 1

    def take_all(self) -> list[Message]:
        """As `Connection.take_all`."""
        with self._lock:
            self._space.notify_all()
            return self.inbox.take_all()

    def hand_over(self, to: deque[Message]) -> int:
        """As `Connection.hand_over`."""
        with self._lock:
            messages = self.inbox.take_all()
            # Counted here: without a GIL, a deque that others take from cannot be looked through.
            size = total_size(messages)
            to.extend(messages)
        return size

    def receive_stream(self, timeout: float | None = None) -> MessageStream:
        """As `Connection.receive_stream`."""
        message: Received = self.wait_for(self._take_if_any, timeout)
        if isinstance(message, str | bytes):
            return MessageStream.of(message)
        return cast("MessageStream", message)

    def _take_if_any(self) -> Message | None:
        return self.take() if self.inbox.count else None

    def wait_pong(self, number: int, timeout: float | None) -> bool:
        """As `Connection.wait_pong`."""
        deadline = later(time.monotonic(), timeout)
        with self._lock:
            self.waiting_for_pong += 1
            try:
                while self._protocol.pongs < number and not self._protocol.finished:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self.start_stand_in()
                    self._arrived.wait(left)
            finally:
                self.waiting_for_pong -= 1
                self._pass_on()
            return self._protocol.pongs >= number


def _nobody() -> bool:
    return False


def _is_deadline(error: OSError) -> bool:
    """Whether it is the deadline that has come, not one of the system's."""
    return isinstance(error, TimeoutError) and error.errno is None
