"""`Channel`: a queue between threads and tasks that can be closed, and selected on."""

import os
import sys
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from wsfast.channel.cases import Case, Receive, Send, Taken
from wsfast.channel.selection import await_, wait
from wsfast.channel.waiting import Waiter
from wsfast.protocol.checks import integer
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import ChannelClosed

__all__ = ["Channel"]

T = TypeVar("T")

_check_capacity = integer(0, sys.maxsize)


class Channel(Generic[T]):
    """`Channel(capacity=0)`: what is sent is received once, in the order of sending (seed 001).

    A value waits in the buffer, which holds `capacity` of them; without one, sending waits for a
    receiver. Any value may be sent, None too. Iteration, plain or `async for`, receives until the
    end; several may iterate over one channel, and share its values.

    Every method may be called from any thread, every async one in any event loop. `_lock` guards
    all fields; nobody waits and no code of the user runs while it is held. After a fork the child
    has a channel of its own, with a copy of what was in the buffer, and nobody waiting.

    Raises `TypeError` if `capacity` is no int, and `ValueError` if it is negative.

    A subclass may bring values from elsewhere, under the lock of where they come from: it passes
    `_lock=` (and after a fork calls `_after_fork` itself), overrides `_take` and `_give_back`,
    calls `_serve` when there is something new, and may override `_before_waiting` and `_on_end`.
    """

    _sendable = True
    """Whether there is something that one may send."""

    _due: float | None = None
    """When, by `time.monotonic()`, something can be received with nobody's doing."""

    def __init__(self, capacity: int = 0, *, _lock: "threading.Lock | None" = None) -> None:
        self._capacity: int = _check_capacity(capacity, "capacity")
        self._buffer: deque[T] = deque()
        self._closed = False
        self._after_fork(threading.Lock() if _lock is None else _lock)
        if _lock is None:
            _channels.add(self)

    @property
    def capacity(self) -> int:
        """How many values the buffer holds; 0 if each is handed from sender to receiver."""
        return self._capacity

    @property
    def closed(self) -> bool:
        """Whether `close` was called. Values that wait in the buffer can still be received."""
        return self._closed

    def __len__(self) -> int:
        """How many values wait in the buffer; senders that wait are not counted.

        More than `capacity` if receivers were cancelled that had been given some.
        """
        return len(self._buffer)

    def __bool__(self) -> bool:
        # Otherwise an empty channel would be false.
        return True

    # -------------------------------------------------------------- sending

    def send(self, value: T, timeout: Duration | None = None) -> None:
        """Sends; waits while the buffer is full, or for a receiver if there is none.

        Args:
            timeout: milliseconds, a Go duration string or a timedelta; None waits for ever.

        Raises:
            ChannelClosed: the channel is closed, or was while this waited. The value is not sent.
            TimeoutError: nobody took the value in time, and nobody will.
            TypeError: this channel is only for receiving, or `timeout` is no duration.
            ValueError: no valid duration.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        self._check_sendable()
        with self._lock:
            done = self._put(value)
        ok = wait((Send(self, value),), limit)[2] if done is None else done[1]
        if not ok:
            raise ChannelClosed

    async def asend(self, value: T, timeout: Duration | None = None) -> None:
        """As `send`, in a task. If it is cancelled just when a receiver takes the value, that
        stays sent."""
        limit = None if timeout is None else seconds(timeout, "timeout")
        self._check_sendable()
        with self._lock:
            done = self._put(value)
        ok = (await await_((Send(self, value),), limit))[2] if done is None else done[1]
        if not ok:
            raise ChannelClosed

    def close(self) -> None:
        """Lets nothing more be sent; who waits to send gets `ChannelClosed`.

        What is in the buffer can still be received; then comes the end. Does nothing the second
        time.
        """
        with self._lock:
            self._closed = True
            # Not by `_serve`: it would let a select receive what it wants to send itself.
            while self._receivers:
                self._hand_to(self._receivers, None, False)
            while self._senders:
                self._hand_to(self._senders, None, False)

    # -------------------------------------------------------------- receiving

    def receive(self, timeout: Duration | None = None) -> tuple[T, bool] | tuple[None, bool]:
        """Receives: `(value, True)`, or `(None, False)` at the end. Waits until there is either.

        Args:
            timeout: milliseconds, a Go duration string or a timedelta; None waits for ever.

        Raises:
            TimeoutError: there was nothing in time. What comes later is for the next to receive.
            TypeError: `timeout` is no duration.
            ValueError: no valid duration.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        with self._lock:
            taken = self._take()
        if taken is None:
            taken = wait((Receive(self),), limit)[1:]
        if not taken[1]:
            self._on_end()
        return taken

    async def areceive(self, timeout: Duration | None = None) -> tuple[T, bool] | tuple[None, bool]:
        """As `receive`, in a task. If it is cancelled when it has just been given a value, this
        goes back to the front of the channel."""
        limit = None if timeout is None else seconds(timeout, "timeout")
        with self._lock:
            taken = self._take()
        if taken is None:
            taken = (await await_((Receive(self),), limit))[1:]
        if not taken[1]:
            self._on_end()
        return taken

    def __iter__(self) -> Iterator[T]:
        return _Values(self)

    def __next__(self) -> T:
        taken: tuple[Any, bool] = self.receive()
        if not taken[1]:
            raise StopIteration
        return cast("T", taken[0])

    def __aiter__(self) -> "Channel[T]":
        return self

    async def __anext__(self) -> T:
        taken: tuple[Any, bool] = await self.areceive()
        if not taken[1]:
            raise StopAsyncIteration
        return cast("T", taken[0])

    # -------------------------------------------------------------- select

    def case_receive(self) -> Case:
        """The case of receiving from this channel, for `select`."""
        return Receive(self)

    def case_send(self, value: T) -> Case:
        """The case of sending `value`, for `select`. `TypeError` if this channel only receives."""
        self._check_sendable()
        return Send(self, value)

    # -------------------------------------------------------------- with the lock held

    def _take(self) -> Taken | None:
        """What a receive gets now; None if it has to wait."""
        if self._buffer:
            value = self._buffer.popleft()
            if self._senders and len(self._buffer) < self._capacity:
                taken = self._take_from_sender()
                if taken is not None:
                    self._buffer.append(taken[0])
            return value, True
        if self._senders:
            taken = self._take_from_sender()
            if taken is not None:
                return taken
        return (None, False) if self._closed else None

    def _take_from_sender(self) -> Taken | None:
        while self._senders:
            value = next(iter(self._senders.values()))
            if self._hand_to(self._senders, None, True):
                return value, True
        return None

    def _put(self, value: T) -> Taken | None:
        """As `_take`, for sending; the value that it returns means nothing."""
        if self._closed:
            return None, False
        if self._receivers and self._offer(value, True):
            return None, True
        if len(self._buffer) < self._capacity:
            self._buffer.append(value)
            return None, True
        return None

    def _offer(self, value: T | None, ok: bool) -> bool:
        """Hands a value, or the end, to who has waited longest; False if nobody waits."""
        while self._receivers:
            if self._hand_to(self._receivers, value, ok):
                return True
        return False

    def _hand_to(self, queue: "OrderedDict[tuple[Waiter, int], Any]", value: Any, ok: bool) -> bool:
        """Hands something to the first in `queue`, who leaves it; False if that one is served."""
        key = next(iter(queue))
        waiter, index = key
        handed_over = waiter.deliver((index, value, ok))
        # Afterwards: an interrupt before would make the channel forget somebody who still waits.
        del queue[key]
        return handed_over

    def _serve(self) -> None:
        """Hands what is there to those who wait for it. To be called when something has arrived by
        other ways than `_put`, or when the end has come."""
        while self._receivers:
            taken = self._take()
            if taken is None:
                return
            value, ok = taken
            if not self._offer(value, ok):
                if ok:
                    self._give_back(value)
                return

    def _give_back(self, value: T) -> None:
        """Puts a value to the front that its receiver could not take."""
        self._buffer.appendleft(value)

    def _after_fork(self, lock: threading.Lock) -> None:
        """In the child: those who wait stay in the parent, where one may have held the lock."""
        self._lock = lock
        self._receivers: OrderedDict[tuple[Waiter, int], None] = OrderedDict()
        self._senders: OrderedDict[tuple[Waiter, int], T] = OrderedDict()

    # -------------------------------------------------------------- without

    def _before_waiting(self) -> None:
        """Called by a receiver, in `select` too, that will be found from now on, and sleeps next.

        It must not wait for anything. In asyncio it runs on the thread of the event loop.
        """

    def _on_end(self) -> None:
        """Called by a receiver, in `select` too, that has found the end. May raise."""

    def _check_sendable(self) -> None:
        if not self._sendable:
            raise TypeError("this channel is only for receiving")


class _Values(Iterator[T]):
    """What a channel yields. Not the channel itself: a generator that delegates to an iterator
    closes it, if it can be, when it is closed itself."""

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    def __next__(self) -> T:
        return next(self._channel)


_channels: "weakref.WeakSet[Channel[Any]]" = weakref.WeakSet()


def _after_fork() -> None:
    for channel in list(_channels):
        channel._after_fork(threading.Lock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
