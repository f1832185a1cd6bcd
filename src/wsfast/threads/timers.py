"""One thread that calls back at given times, for all connections of the process.

Connections block in system calls, so something else must tell them that a deadline has passed.
Deadlines mostly move to later while nothing goes wrong: then nobody touches the timer, which finds
out when it fires and is armed again.
"""

import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

from wsfast.system.background import start_thread

__all__ = ["Timer", "Timers", "nothing", "timers"]

logger = logging.getLogger("wsfast")


def nothing() -> None:
    """A callback in the place of one that is not to be called any more."""


class Timer:
    """One call to be made; `cancel` it through the `Timers` it came from."""

    __slots__ = ("callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False


class Timers:
    """Thread-safe. The thread starts with the first timer and ends with the last.

    `_condition` guards everything; it is not held while a callback runs. Callbacks must not block.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything. For the child of a fork: the thread stays in the parent, where it
        may have held the lock, and no connection outlives a fork."""
        self._condition = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()  # equal times: first come, first called
        self._live = 0
        self._thread: threading.Thread | None = None

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` on the timer thread once `time.monotonic()` has reached `when`."""
        timer = Timer(when, callback)
        with self._condition:
            entry = (when, next(self._numbers), timer)
            heapq.heappush(self._heap, entry)
            self._live += 1
            if self._thread is None:
                # Without a thread this time, the next timer tries again.
                self._thread = start_thread(self._run, "wsfast-timers")
            elif self._heap[0] is entry:
                self._condition.notify()
        return timer

    def cancel(self, timer: Timer) -> None:
        """Makes sure that the callback is not called, unless its call has already begun."""
        with self._condition:
            if timer.cancelled:
                return
            timer.cancelled = True
            timer.callback = nothing  # the heap may keep it for long, but not its connection
            self._live -= 1
            if self._live == 0:
                self._heap.clear()
                self._condition.notify()
            elif len(self._heap) > 2 * self._live + 64:
                self._heap = [entry for entry in self._heap if not entry[2].cancelled]
                heapq.heapify(self._heap)

    def _run(self) -> None:
        while True:
            with self._condition:
                timer = self._next()
                if timer is None:
                    self._thread = None
                    return
            try:
                timer.callback()
            except Exception:
                # Without this thread no connection of the process would keep its deadlines.
                logger.exception("the callback of a timer failed")
            del timer  # which would keep its connection while the next one is waited for

    def _next(self) -> Timer | None:
        """Waits for the next timer that is due; None when there are none left."""
        while self._heap:
            when, _, timer = self._heap[0]
            wait = when - time.monotonic()
            if timer.cancelled:
                heapq.heappop(self._heap)
            elif wait > 0:
                self._condition.wait(min(wait, threading.TIMEOUT_MAX))
            else:
                heapq.heappop(self._heap)
                timer.cancelled = True
                self._live -= 1
                return timer
        return None


timers = Timers()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=timers.reset)
