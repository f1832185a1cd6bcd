"""The thread that calls back at given times."""

import itertools
import queue
import random
import threading
import time
import weakref

import pytest

from wsfast.threads.timers import Timers

WAIT = 10.0
FAR = 3600.0


@pytest.fixture
def timers() -> Timers:
    return Timers()


def join(timers: Timers) -> None:
    thread = timers._thread
    if thread is not None:
        thread.join(WAIT)
        assert not thread.is_alive()
    assert timers._thread is None


def test_callbacks_come_in_the_order_of_their_times(timers: Timers) -> None:
    called: queue.Queue[int] = queue.Queue()
    all_set = threading.Event()
    timers.call_at(0, lambda: all_set.wait(WAIT))  # no other is called before that
    now = time.monotonic()
    for i in random.Random(1).sample(range(50), 50):
        timers.call_at(now + i / 1000, lambda i=i: called.put(i))
    all_set.set()
    join(timers)
    assert [called.get_nowait() for _ in range(50)] == [*range(50)]


def test_equal_times_are_called_in_the_order_they_were_asked_for(timers: Timers) -> None:
    called: queue.Queue[int] = queue.Queue()
    when = time.monotonic() + 0.02
    for i in range(20):
        timers.call_at(when, lambda i=i: called.put(i))
    join(timers)
    assert [called.get_nowait() for _ in range(20)] == [*range(20)]


def test_no_callback_comes_before_its_time(timers: Timers) -> None:
    early: queue.Queue[float] = queue.Queue()
    for i in range(20):
        when = time.monotonic() + i / 500
        timers.call_at(when, lambda when=when: early.put(time.monotonic() - when))
    join(timers)
    assert min(early.get_nowait() for _ in range(20)) >= 0


def test_a_time_that_has_passed_is_called_at_once(timers: Timers) -> None:
    called = threading.Event()
    timers.call_at(time.monotonic() - FAR, called.set)
    assert called.wait(WAIT)
    join(timers)


def test_a_sooner_time_does_not_wait_for_a_later_one(timers: Timers) -> None:
    called = threading.Event()
    later = timers.call_at(time.monotonic() + FAR, lambda: None)
    timers.call_at(time.monotonic() + 0.001, called.set)
    assert called.wait(WAIT)
    timers.cancel(later)
    join(timers)


def test_a_time_too_far_for_the_system_to_wait_for(timers: Timers) -> None:
    called = threading.Event()
    never = timers.call_at(float("inf"), lambda: None)
    timers.call_at(0, called.set)
    assert called.wait(WAIT)
    timers.cancel(never)
    join(timers)


def test_a_cancelled_callback_is_not_called_and_the_thread_ends(timers: Timers) -> None:
    called = threading.Event()
    timer = timers.call_at(time.monotonic() + FAR, called.set)
    assert timers._thread is not None
    timers.cancel(timer)
    timers.cancel(timer)
    join(timers)
    assert not called.is_set()


def test_the_thread_starts_again_after_it_has_ended(timers: Timers) -> None:
    for _ in range(20):
        called = threading.Event()
        timers.call_at(0, called.set)
        assert called.wait(WAIT)
        join(timers)


def test_a_callback_may_set_and_cancel_timers(timers: Timers) -> None:
    left = itertools.count()
    done = threading.Event()
    other = timers.call_at(time.monotonic() + FAR, lambda: None)

    def again() -> None:
        if next(left) < 10:
            timers.call_at(0, again)
        else:
            timers.cancel(other)
            done.set()

    timers.call_at(0, again)
    assert done.wait(WAIT)
    join(timers)


def test_cancelling_one_that_is_called_does_not_cancel_another(timers: Timers) -> None:
    called = threading.Event()
    first = timers.call_at(0, lambda: timers.cancel(first))
    timers.call_at(time.monotonic() + 0.01, called.set)
    assert called.wait(WAIT)
    join(timers)


def test_cancelled_timers_do_not_pile_up(timers: Timers) -> None:
    keep = timers.call_at(time.monotonic() + FAR, lambda: None)
    for _ in range(10_000):
        timers.cancel(timers.call_at(time.monotonic() + FAR, lambda: None))
    assert len(timers._heap) < 200
    timers.cancel(keep)
    join(timers)


def test_many_threads_set_and_cancel_at_once(timers: Timers) -> None:
    called: queue.Queue[int] = queue.Queue()
    barrier = threading.Barrier(8)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        barrier.wait(WAIT)
        for i in range(500):
            when = time.monotonic() + chance.random() / 100
            if i % 2:
                timers.call_at(when, lambda i=i: called.put(seed * 1000 + i))
            else:
                timers.cancel(timers.call_at(when + FAR, lambda: called.put(-1)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    join(timers)
    seen = sorted(called.queue)
    assert seen == sorted(seed * 1000 + i for seed in range(8) for i in range(1, 500, 2))


def test_a_callback_that_raises_is_logged_and_does_not_end_the_others(
    timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    def fail() -> None:
        raise ValueError("a bug")

    timers.call_at(time.monotonic() - 1, fail)
    timers.call_at(time.monotonic() + 0.01, called.set)
    assert called.wait(WAIT)
    join(timers)
    assert "a bug" in caplog.text


def test_a_system_without_threads_is_tried_again(
    timers: Timers, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: queue.Queue[int] = queue.Queue()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        timers.call_at(0, lambda: called.put(1))
    timers.call_at(0, lambda: called.put(2))
    assert [called.get(timeout=WAIT), called.get(timeout=WAIT)] == [1, 2]
    join(timers)


def test_what_was_called_is_not_kept_while_the_next_is_waited_for(timers: Timers) -> None:
    class Connection:
        def on_timer(self) -> None:
            called.set()

    called = threading.Event()
    waited_for = threading.Event()
    connection = Connection()
    gone = weakref.ref(connection, lambda _: waited_for.set())
    later = timers.call_at(time.monotonic() + FAR, waited_for.set)
    timers.call_at(time.monotonic(), connection.on_timer)
    del connection
    assert called.wait(WAIT)
    assert waited_for.wait(WAIT)
    assert gone() is None
    timers.cancel(later)
    join(timers)
