"""One call that waits: handing something over to it, and sleeping until that is done."""

import threading
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

__all__ = ["Delivery", "ThreadWaiter", "Waiter"]

Delivery: TypeAlias = tuple[int, Any, bool]
"""Which case it is for, the value received, and whether the channel was open."""

_GONE: Delivery = (-1, None, False)


class Waiter(ABC):
    """Stands in the queue of each channel that its call waits for.

    Thread-safe without a lock: the dict holds one delivery at most, and `setdefault`, atomic on
    every build of Python, says whose. So to claim a waiter and to hand something over is one step,
    which no interrupt can divide.
    """

    __slots__ = ("_delivery", "over")

    def __init__(self) -> None:
        self._delivery: dict[None, Delivery] = {}
        self.over = False
        """Whether nothing that was handed over can come back any more: the call has returned it, or
        given it back. Set once, by who waits."""

    def deliver(self, delivery: Delivery) -> bool:
        """Hands over, and wakes. False if another was first, or if nobody will ever wake up."""
        try:
            if self._delivery.setdefault(None, delivery) is not delivery:
                return False
            self.wake()
        except RuntimeError:
            # The event loop has been closed, and the task with it: it has received nothing.
            self._delivery[None] = _GONE
            return False
        except BaseException:
            # Interrupted. What has been handed over must wake who waits, who has no other chance.
            if self._delivery.get(None) is delivery:
                self._wake_again()
            raise
        return True

    def withdraw(self) -> Delivery | None:
        """Lets nothing be handed over any more. Returns what has been, None if nothing."""
        delivery = self._delivery.setdefault(None, _GONE)
        return None if delivery is _GONE else delivery

    @abstractmethod
    def wake(self) -> None:
        """Ends the sleep, or the next one at once. Raises `RuntimeError` if there is none."""

    def _wake_again(self) -> None:
        try:
            self.wake()
        except RuntimeError:
            pass


class ThreadWaiter(Waiter):
    """Sleeps on a lock that is released once.

    On Windows Ctrl-C is handled after the sleep, as with every lock there.
    """

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        super().__init__()
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()

    def sleep(self, timeout: float | None) -> None:
        """Waits up to `timeout` seconds to be woken."""
        self._asleep.acquire(timeout=-1 if timeout is None else timeout)
