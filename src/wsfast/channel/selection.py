"""`select`, and the waiting of every other operation, which is a select of one case."""

import operator
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any, TypeAlias

from wsfast.channel.waiting import Delivery, ThreadWaiter, Waiter
from wsfast.protocol.checks import flag
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import ChannelClosed
from wsfast.system.background import start_thread

if TYPE_CHECKING:
    from wsfast.channel.channels import Channel

__all__ = ["Case", "Receive", "Selected", "Send", "Taken", "aselect", "await_", "select", "wait"]

Taken: TypeAlias = tuple[Any, bool]
"""A value, and whether the channel was open."""

_acquire = operator.methodcaller("acquire")
_release = operator.methodcaller("release")


class Case:
    """One thing that `select` may do; made by `Channel.case_receive` and `Channel.case_send`.

    Immutable: it may be used again, by several threads at once too.
    """

    __slots__ = ("channel",)

    def __init__(self, channel: "Channel[Any]") -> None:
        self.channel = channel

    @property
    def due(self) -> float | None:
        """When it may become possible with nobody else's doing."""
        return None

    def attempt(self) -> Taken | None:
        """Does it, under the channel's lock; None if it is not possible now."""
        raise NotImplementedError

    def enlist(self, waiter: Waiter, index: int) -> None:
        """Has others do it once it is possible. Under the channel's lock."""
        raise NotImplementedError

    def strike(self, waiter: Waiter, index: int) -> None:
        """Takes back `enlist`. Under the channel's lock."""
        raise NotImplementedError

    def before_waiting(self) -> None:
        """Without a lock, once the waiter is enlisted everywhere."""

    def undo(self, value: Any, ok: bool) -> None:
        """Takes back what was done for somebody who is not there any more."""


class Receive(Case):
    """Takes a value, or notices the end."""

    __slots__ = ()

    @property
    def due(self) -> float | None:
        return self.channel._due

    def attempt(self) -> Taken | None:
        return self.channel._take()

    def enlist(self, waiter: Waiter, index: int) -> None:
        self.channel._receivers[waiter, index] = None

    def strike(self, waiter: Waiter, index: int) -> None:
        self.channel._receivers.pop((waiter, index), None)

    def before_waiting(self) -> None:
        self.channel._before_waiting()

    def undo(self, value: Any, ok: bool) -> None:
        if ok:
            with self.channel._lock:
                self.channel._give_back(value)
                self.channel._serve()


class Send(Case):
    """Adds a value. One that has been taken stays sent, whoever has sent it."""

    __slots__ = ("value",)

    def __init__(self, channel: "Channel[Any]", value: Any) -> None:
        super().__init__(channel)
        self.value = value

    def attempt(self) -> Taken | None:
        return self.channel._put(self.value)

    def enlist(self, waiter: Waiter, index: int) -> None:
        self.channel._senders[waiter, index] = self.value

    def strike(self, waiter: Waiter, index: int) -> None:
        self.channel._senders.pop((waiter, index), None)


@dataclass(frozen=True, slots=True)
class Selected:
    """What `select` has done."""

    channel: "Channel[Any] | None"
    """The channel of the chosen case, None for the default."""
    value: Any = None
    """What was received; None if nothing was."""
    ok: bool = False
    """Whether something was received or sent; False at the end of the channel."""
    default: bool = False
    """Whether no case was ready, and `default` was allowed."""


def select(
    cases: Iterable[Case], default: bool = False, timeout: Duration | None = None
) -> Selected:
    """Waits until one of `cases` is possible, and does that one and no other (seed 001).

    Among several that are possible each is chosen with the same probability, whatever their order.
    Receiving is possible if there is a value, or if the channel has ended (then `ok` is False);
    sending, if there is room or a receiver waits. A channel may stand in several cases; no select
    receives what it sends itself. May be called from any thread.

    Args:
        default: return at once if no case is possible, with `default` set in the result.
        timeout: milliseconds, a Go duration string or a timedelta; None waits for ever.

    Raises:
        ChannelClosed: a send was chosen, and its channel is closed.
        TimeoutError: nothing was possible in time, and nothing has been done.
        TypeError: something else than cases.
        ValueError: no cases (with `default` neither), or no valid duration.
    """
    listed = _check(cases)
    limit = seconds(timeout, "timeout")
    if flag(default, "default"):
        return _now(listed)
    return _result(listed, wait(listed, limit))


async def aselect(
    cases: Iterable[Case], default: bool = False, timeout: Duration | None = None
) -> Selected:
    """As `select`, in a task of asyncio. Cancelling it does nothing, and loses nothing.

    If a send has been done just then, it stays done. What is possible at once does not let other
    tasks run.
    """
    listed = _check(cases)
    limit = seconds(timeout, "timeout")
    if flag(default, "default"):
        return _now(listed)
    return _result(listed, await await_(listed, limit))


def _check(cases: Iterable[Case]) -> Sequence[Case]:
    listed = tuple(cases)
    for case in listed:
        if not isinstance(case, Case):
            raise TypeError(
                f"a case is made by case_receive or case_send of a channel, not {case!r:.60}"
            )
    if not listed:
        raise ValueError("select needs at least one case")
    return listed


def _now(cases: Sequence[Case]) -> Selected:
    with _guard(cases):
        delivery = _attempt(cases)
    return Selected(None, default=True) if delivery is None else _result(cases, delivery)


def _result(cases: Sequence[Case], delivery: Delivery) -> Selected:
    index, value, ok = delivery
    case = cases[index]
    if not ok and isinstance(case, Send):
        raise ChannelClosed
    return Selected(case.channel, value, ok)


def wait(cases: Sequence[Case], limit: float | None) -> Delivery:
    """Does one of `cases` as soon as it is possible. `TimeoutError` after `limit` seconds."""
    deadline = None if limit is None else time.monotonic() + limit
    guard = _guard(cases)
    while True:
        waiter = ThreadWaiter()
        try:
            delivery = _begin(cases, guard, waiter, deadline)
            if delivery is None:
                _before_waiting(cases)
                waiter.sleep(_sleep_for(cases, deadline))
                delivery = _finish(cases, waiter)
        except BaseException:
            _abandon(cases, waiter)
            raise
        if delivery is not None:
            return delivery


async def await_(cases: Sequence[Case], limit: float | None) -> Delivery:
    """As `wait`, in a task."""
    from wsfast.channel.tasks import TaskWaiter

    deadline = None if limit is None else time.monotonic() + limit
    guard = _guard(cases)
    while True:
        waiter = TaskWaiter()
        try:
            delivery = _begin(cases, guard, waiter, deadline)
            if delivery is None:
                _before_waiting(cases)
                await waiter.sleep(_sleep_for(cases, deadline))
                delivery = _finish(cases, waiter)
        except GeneratorExit:
            # Not cancelled but dropped, perhaps by the garbage collector, which may run in the
            # middle of anything: under a lock that would be needed here, too.
            if waiter.withdraw() is not None:
                start_thread(partial(_abandon, cases, waiter), "wsfast-give-back")
            raise
        except BaseException:
            _abandon(cases, waiter)
            raise
        if delivery is not None:
            return delivery


def _begin(
    cases: Sequence[Case],
    guard: AbstractContextManager[object],
    waiter: Waiter,
    deadline: float | None,
) -> Delivery | None:
    """Does what is possible now; otherwise has others find the waiter, from the same moment on."""
    with guard:
        delivery = _attempt(cases)
        if delivery is not None:
            return delivery
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError("timeout: nothing could be received or sent in time")
        for index, case in enumerate(cases):
            case.enlist(waiter, index)
    return None


def _attempt(cases: Sequence[Case]) -> Delivery | None:
    """Tries them in random order. The locks of all must be held."""
    left = list(range(len(cases)))
    while left:
        place = int(random() * len(left))
        index = left[place]
        left[place] = left[-1]
        left.pop()
        taken = cases[index].attempt()
        if taken is not None:
            return (index, *taken)
    return None


def _before_waiting(cases: Sequence[Case]) -> None:
    for case in cases:
        case.before_waiting()


def _sleep_for(cases: Sequence[Case], deadline: float | None) -> float | None:
    times = [case.due for case in cases]
    until = min((when for when in (deadline, *times) if when is not None), default=None)
    return None if until is None else max(0.0, until - time.monotonic())


def _finish(cases: Sequence[Case], waiter: Waiter) -> Delivery | None:
    """Ends the waiting. Returns what has been handed over, None if nothing has."""
    delivery = waiter.withdraw()
    if delivery is None or len(cases) > 1:
        for index, case in enumerate(cases):
            with case.channel._lock:
                case.strike(waiter, index)
    return delivery


def _abandon(cases: Sequence[Case], waiter: Waiter) -> None:
    """Ends the waiting of somebody who cannot take what may have been handed over."""
    delivery = _finish(cases, waiter)
    if delivery is not None:
        index, value, ok = delivery
        cases[index].undo(value, ok)


def _guard(cases: Sequence[Case]) -> AbstractContextManager[object]:
    """What holds the locks of all channels."""
    locks = {id(case.channel._lock): case.channel._lock for case in cases}
    if len(locks) == 1:
        return locks.popitem()[1]
    return _Locks([locks[key] for key in sorted(locks)])


class _Locks:
    """Several locks, each once, in one order for all: that of where they lie in memory, where they
    stay as long as somebody may wait for them.

    They are taken by one call in C, so that Ctrl-C comes while it waits for one, or after the last.
    """

    __slots__ = ("_locks", "_taken")

    def __init__(self, locks: list[threading.Lock]) -> None:
        self._locks = locks
        self._taken: list[object] = []

    def __enter__(self) -> None:
        self._taken = []
        try:
            self._taken.extend(map(_acquire, self._locks))
        except BaseException:
            self._release()
            raise

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        deque(map(_release, self._locks[: len(self._taken)]), maxlen=0)
