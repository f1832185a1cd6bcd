"""Handing something over to one that waits: once, whatever interrupts it."""

import threading

import pytest
from channel_waiting import WAIT, join

from wsfast.channel.selection import _locked
from wsfast.channel.waiting import Delivery, ThreadWaiter


class Interrupted(BaseException):
    pass


class Interruptible(ThreadWaiter):
    """Is interrupted as it wakes: before or after it has."""

    when = ""

    def wake(self) -> None:
        when, self.when = self.when, ""
        if when == "before":
            raise Interrupted
        super().wake()
        if when == "after":
            raise Interrupted


ONE: Delivery = (0, "one", True)
TWO: Delivery = (1, "two", True)


def test_the_first_is_handed_over() -> None:
    waiter = ThreadWaiter()
    assert waiter.deliver(ONE)
    assert not waiter.deliver(TWO)
    waiter.sleep(None)
    assert waiter.withdraw() is ONE


def test_nothing_is_handed_over_to_one_that_has_withdrawn() -> None:
    waiter = ThreadWaiter()
    assert waiter.withdraw() is None
    assert not waiter.deliver(ONE)
    assert waiter.withdraw() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_leaves_nobody_asleep(when: str) -> None:
    waiter = Interruptible()
    waiter.when = when
    with pytest.raises(Interrupted):
        waiter.deliver(ONE)
    waiter.sleep(None)
    assert waiter.withdraw() is ONE


def test_an_interrupt_does_not_wake_one_that_has_something_else() -> None:
    class Interrupting(dict[None, Delivery]):
        def setdefault(self, *_: object) -> Delivery:  # type: ignore[override]
            raise Interrupted

    waiter = ThreadWaiter()
    waiter._delivery = Interrupting({None: TWO})
    with pytest.raises(Interrupted):
        waiter.deliver(ONE)
    assert waiter._asleep.locked()


def test_of_many_who_hand_over_one_succeeds() -> None:
    barrier = threading.Barrier(4)
    successes = []

    def deliver(number: int) -> None:
        for waiter in waiters:
            barrier.wait(WAIT)
            if waiter.deliver((number, None, True)):
                successes.append(number)

    waiters = [ThreadWaiter() for _ in range(300)]
    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    winners = [delivery[0] for delivery in (waiter.withdraw() for waiter in waiters) if delivery]
    assert sorted(successes) == sorted(winners)
    assert len(winners) == 300


class InterruptedLock:
    """A lock whose waiting is interrupted."""

    def acquire(self) -> bool:
        raise Interrupted


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_an_interrupt_while_waiting_for_a_lock_gives_the_others_back(taken: int) -> None:
    locks = [threading.Lock() for _ in range(4)]
    locks[taken] = InterruptedLock()  # type: ignore[call-overload]
    with pytest.raises(Interrupted):
        _locked(locks, lambda: None)
    del locks[taken]
    assert not any(lock.locked() for lock in locks)
