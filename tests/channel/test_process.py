"""What interrupts a wait from outside: signals, fork, the end of the interpreter."""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest
from channel_waiting import count, join, until_waiting

from wsfast.channel import Channel, select

HAS_SIGNALS = hasattr(signal, "pthread_kill")

pytestmark = pytest.mark.skipif(not HAS_SIGNALS, reason="Windows has neither signals nor fork")


class Interrupted(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.fixture
def interrupt_main() -> Iterator[Callable[[], None]]:
    """Raises `Interrupted` in the main thread, once.

    The signal is sent until it has been heard: Python handles one that comes in the moment before a
    wait begins when the wait is over.
    """
    main = threading.get_ident()
    tick = threading.Event()
    struck: list[int] = []

    def interrupt(number: int, _: object) -> None:
        if not struck:
            struck.append(number)
            raise Interrupted

    def strike() -> None:
        while not struck:
            signal.pthread_kill(main, signal.SIGUSR1)
            tick.wait(0.01)

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield strike
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("how", ["receive", "send", "select"])
def test_an_interrupt_ends_the_wait(how: str, interrupt_main: Callable[[], None]) -> None:
    channel: Channel[int] = Channel()
    other: Channel[int] = Channel()
    cases = [other.case_send(1), channel.case_receive()]
    receivers = 0 if how == "send" else 1
    waits: dict[str, Callable[[], object]] = {
        "receive": channel.receive,
        "send": lambda: channel.send(1),
        "select": lambda: select(cases),
    }

    def strike() -> None:
        until_waiting(channel, receivers, 1 - receivers)
        interrupt_main()

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(Interrupted):
        waits[how]()
    join(thread)
    assert count(channel) == count(other) == (0, 0)


def test_interrupts_at_any_moment_leave_nobody_waiting_for_ever(
    run_script: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer interrupts the main thread wherever it is. The thread at the other end still sees
    every value that was sent for certain, in order, once, and the end."""
    # Coverage has a lock in Python, which would be interrupted, too.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    out = run_script("""
        from wsfast.channel import Channel, select

        class Interrupted(BaseException):
            pass

        armed, left = False, 3000

        def interrupt(*_):
            global armed, left
            if armed:
                armed = False
                left -= 1
                raise Interrupted

        def echo():
            for number in there:
                seen.append(number)
                select([back.case_send(number), stop.case_receive()])

        def poll():  # a loop in the block itself may be interrupted past its `except`
            while not select([back.case_receive()], default=True).ok:
                pass

        there, back, stop = Channel(), Channel(), Channel()
        seen, sent = [], []
        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        number = 0
        while left:
            number += 1
            try:
                armed = True
                if number % 2:
                    there.send(number)
                else:
                    select([stop.case_receive(), there.case_send(number)])
                sent.append(number)
                poll()
            except Interrupted:
                pass
            armed = False
            select([back.case_receive()], default=True)
        signal.setitimer(signal.ITIMER_REAL, 0)
        there.close()
        stop.close()
        thread.join(10)
        assert not thread.is_alive()
        assert seen == sorted(set(seen))
        assert set(sent) <= set(seen)
        print("done")
    """)
    assert out == "done\n"


def test_after_a_fork_the_child_has_a_channel_of_its_own(run_script: Callable[..., str]) -> None:
    out = run_script("""
        from wsfast.channel import Channel, select

        channel, other, parent_only = Channel(3), Channel(), Channel()
        channel.send(1)
        waiting = [threading.Thread(target=other.receive) for _ in range(3)]
        waiting.append(threading.Thread(target=select, args=([parent_only.case_send(1)],)))
        for thread in waiting:
            thread.start()
        while len(other._receivers) != 3 or not parent_only._senders:
            threading.Event().wait(0.001)
        with channel._lock, other._lock:  # as another thread might have them
            pid = os.fork()
        if pid == 0:
            channel.send(2)
            assert [channel.receive()[0] for _ in range(2)] == [1, 2]
            for case in (other.case_send(1), parent_only.case_receive()):
                assert select([case], default=True).default
            sending = threading.Thread(target=other.send, args=(5,))
            sending.start()
            assert other.receive(timeout="10s") == (5, True)
            sending.join()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert len(channel) == 1
        for value in range(3):
            other.send(value)
        assert parent_only.receive() == (1, True)
        for thread in waiting:
            thread.join()
        print("done")
    """)
    assert out == "done\n"


def test_the_interpreter_exits_while_threads_wait(run_script: Callable[..., str]) -> None:
    script = """
        from wsfast.channel import Channel, after, select

        channel = Channel()
        for target in (channel.receive, lambda: select([channel.case_receive()]),
                       after("1h").receive):
            threading.Thread(target=target, daemon=True).start()
        while len(channel._receivers) != 2:
            threading.Event().wait(0.001)
        print("done")
    """
    assert run_script(script) == "done\n"
