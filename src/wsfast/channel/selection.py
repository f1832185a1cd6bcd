"""`select`, and the waiting of every other operation, which is a select of one case."""

import operator
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import compress
from random import random
from typing import TYPE_CHECKING, Any, TypeVarTuple

from wsfast.channel.cases import Case, Cases, Receive, Send
from wsfast.channel.tasks import TaskWaiter
from wsfast.channel.waiting import Delivery, ThreadWaiter, Waiter
from wsfast.protocol.checks import flag
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import ChannelClosed
from wsfast.system.background import start_thread

if TYPE_CHECKING:
    from wsfast.channel.channels import Channel

__all__ = ["Selected", "aselect", "await_", "select", "wait"]

_acquire = operator.methodcaller("acquire")
_release = operator.methodcaller("release")

Arguments = TypeVarTuple("Arguments")


@dataclass(slots=True)
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
    limit = None if timeout is None else seconds(timeout, "timeout")
    if flag(default, "default"):
        return _now(listed)
    return _result(listed, _attempt_each(listed) or wait(listed, limit))


async def aselect(
    cases: Iterable[Case], default: bool = False, timeout: Duration | None = None
) -> Selected:
    """As `select`, in a task of asyncio. Cancelling it does nothing, and loses nothing.

    If a send has been done just then, it stays done. What is possible at once does not let other
    tasks run.
    """
    listed = _check(cases)
    limit = None if timeout is None else seconds(timeout, "timeout")
    if flag(default, "default"):
        return _now(listed)
    return _result(listed, _attempt_each(listed) or await await_(listed, limit))


def _check(cases: Iterable[Case]) -> Cases:
    listed = []
    for case in cases:
        if not isinstance(case, (Receive, Send)):
            raise TypeError(
                f"a case is made by case_receive or case_send of a channel, not {case!r:.60}"
            )
        listed.append(case)
    if not listed:
        raise ValueError("select needs at least one case")
    return listed


def _now(cases: Cases) -> Selected:
    delivery = _locked(_locks(cases), _attempt, cases)
    return Selected(None, default=True) if delivery is None else _result(cases, delivery)


def _result(cases: Cases, delivery: Delivery) -> Selected:
    index, value, ok = delivery
    case = cases[index]
    if not ok:
        if isinstance(case, Send):
            raise ChannelClosed
        case.channel._on_end()
    return Selected(case.channel, value, ok)


def wait(cases: Cases, limit: float | None) -> Delivery:
    """Does one of `cases` as soon as it is possible. `TimeoutError` after `limit` seconds."""
    deadline = None if limit is None else time.monotonic() + limit
    locks = _locks(cases)
    while True:
        waiter = ThreadWaiter()
        try:
            delivery = _locked(locks, _begin, cases, waiter, deadline)
            if delivery is None:
                _before_waiting(cases)
                waiter.sleep(_sleep_for(cases, deadline))
                delivery = _finish(cases, waiter)
        except BaseException:
            _abandon(cases, waiter)
            raise
        if delivery is not None:
            waiter.over = True
            return delivery


async def await_(cases: Cases, limit: float | None) -> Delivery:
    """As `wait`, in a task."""
    deadline = None if limit is None else time.monotonic() + limit
    locks = _locks(cases)
    while True:
        waiter = TaskWaiter()
        try:
            delivery = _locked(locks, _begin, cases, waiter, deadline)
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
            waiter.over = True
            return delivery


def _begin(cases: Cases, waiter: Waiter, deadline: float | None) -> Delivery | None:
    """Does what is possible now; otherwise has others find the waiter. All locks must be held."""
    delivery = _attempt(cases)
    if delivery is not None:
        return delivery
    if deadline is not None and time.monotonic() >= deadline:
        raise TimeoutError("timeout: nothing could be received or sent in time")
    for index, case in enumerate(cases):
        case.enlist(waiter, index)
    return None


def _attempt(cases: Cases) -> Delivery | None:
    """Tries them in random order. All locks must be held."""
    for index in _shuffled(len(cases)):
        taken = cases[index].attempt()
        if taken is not None:
            return (index, *taken)
    return None


def _attempt_each(cases: Cases) -> Delivery | None:
    """As `_attempt`, with one lock at a time: that it is cheap pays as something is ready."""
    for index in _shuffled(len(cases)):
        case = cases[index]
        with case.channel._lock:
            taken = case.attempt()
        if taken is not None:
            return (index, *taken)
    return None


def _shuffled(count: int) -> Iterator[int]:
    """The numbers below `count`, each with the same chance in each place; no more work than asked
    for."""
    if count == 1:
        yield 0
        return
    left = [*range(count)]
    while left:
        place = int(random() * len(left))
        yield left[place]
        left[place] = left[-1]
        left.pop()


def _before_waiting(cases: Cases) -> None:
    for case in cases:
        case.before_waiting()


def _sleep_for(cases: Cases, deadline: float | None) -> float | None:
    until = deadline
    for case in cases:
        due = case.due
        if due is not None and (until is None or due < until):
            until = due
    return None if until is None else max(0.0, until - time.monotonic())


def _finish(cases: Cases, waiter: Waiter) -> Delivery | None:
    """Ends the waiting. Returns what has been handed over, None if nothing has."""
    delivery = waiter.withdraw()
    if delivery is None or len(cases) > 1:
        for index, case in enumerate(cases):
            with case.channel._lock:
                case.strike(waiter, index)
    return delivery


def _abandon(cases: Cases, waiter: Waiter) -> None:
    """Ends the waiting of somebody who cannot take what may have been handed over."""
    delivery = _finish(cases, waiter)
    if delivery is not None:
        index, value, ok = delivery
        cases[index].undo(value, ok)
    waiter.over = True


def _locks(cases: Cases) -> list[threading.Lock]:
    """The locks of all channels, each once, in an order that is the same for everybody: where they
    lie in memory. There they stay as long as anybody can wait for them."""
    locks = {id(case.channel._lock): case.channel._lock for case in cases}
    return [locks[key] for key in sorted(locks)]


def _locked(
    locks: list[threading.Lock],
    act: Callable[[*Arguments], Delivery | None],
    *args: *Arguments,
) -> Delivery | None:
    """Acts with all locks held.

    Ctrl-C, which comes between two calls, must not find one taken that is not given back. So all
    are taken by one call in C, which notes those that it has, and given back by another.
    """
    taken: list[threading.Lock] = []
    giving_back = map(_release, taken)
    try:
        taken.extend(compress(locks, map(_acquire, locks)))
        return act(*args)
    finally:
        any(giving_back)
