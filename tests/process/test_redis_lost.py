"""Nodes that are lost, and Redis killed and started again."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from process_helpers import event, payload, take, until
from redis_helpers import RedisProcess, Worker

from wsfast import process
from wsfast.process import NOCONNECTION, NOPROC, PID, keeper, registry
from wsfast.process.cluster import Cluster
from wsfast.process.node import node

Starter = Callable[..., Worker]

PATIENT = "30s"
HASTY = "2s"


@pytest.fixture
def restarted(redis_process: RedisProcess, me: PID) -> Iterator[RedisProcess]:
    """A Redis to be killed, that the program of the test has joined."""
    process.join(redis_process.url, timeout=PATIENT)
    yield redis_process
    process.leave(1)


@pytest.fixture
def hasty(redis_process: RedisProcess, me: PID) -> Iterator[RedisProcess]:
    """The same, where others are soon taken for lost."""
    process.join(redis_process.url, timeout=HASTY, queue_size=100)
    yield redis_process
    process.leave(1)


def cluster() -> Cluster:
    found = node().elsewhere
    assert isinstance(found, Cluster)
    return found


def until_answered(other: PID) -> None:
    """Waits for an echo; what is sent before the other is back may be lost."""

    def answered() -> bool:
        process.send(other, "again")
        try:
            return process.inbox().receive("100ms")[1]
        except TimeoutError:
            return False

    until(answered)
    process.send(other, "the last")
    until(lambda: take(process.inbox()).topic == "the last")


def test_a_node_that_is_killed_is_lost(
    shared_redis: RedisProcess, me: PID, start_worker: Starter, leaving: None
) -> None:
    process.join(shared_redis.url, namespace="killed", timeout="1s")
    other = start_worker(shared_redis.url, namespace="killed", timeout="1s")
    other("process.registry.register('name')")
    until(lambda: registry.lookup("name") == other.pid)
    linked = process.spawn(link_to, "name", me, monitor=True)
    assert payload() == "linked"
    process.monitor("name")
    other("process.monitor(to)", to=me)
    other("process.link(to)", to=me)
    until(lambda: node().find(me).is_linked(other.pid))  # type: ignore[union-attr]
    other.kill()
    assert {tuple(event()) for _ in range(3)} == {
        (process.EXIT, other.pid, None, NOCONNECTION),
        (process.LINK_DOWN, other.pid, None, NOCONNECTION),
        (process.EXIT, linked, None, NOCONNECTION),
    }
    assert registry.lookup("name") is None
    registry.register("name")
    mine: Any = node().find(me)
    assert not mine._monitors | mine._monitored | mine._links
    assert cluster().peers.watched() == []
    with shared_redis.client() as client:
        until(lambda: len(client.keys("killed:node:*")) == 1)


def link_to(name: str, to: PID) -> None:
    process.link(name)
    process.send(to, "topic", "linked")
    process.inbox().receive()


def test_a_node_that_was_stopped_comes_back(
    shared_redis: RedisProcess, me: PID, start_worker: Starter, leaving: None
) -> None:
    options = {"namespace": "stopped", "timeout": "1s"}
    process.join(shared_redis.url, **options)  # type: ignore[arg-type]
    other = start_worker(shared_redis.url, **options)
    other("process.registry.register('name')")
    other("process.link(to)", to=me)
    other("process.monitor(to)", to=me)
    until(lambda: registry.lookup("name") == other.pid)
    until(lambda: node().find(me).is_linked(other.pid))  # type: ignore[union-attr]
    process.monitor(other.pid)
    other.signal(signal.SIGSTOP)
    assert {event().reason, event().reason} == {NOCONNECTION}
    registry.register("name")
    other.signal(signal.SIGCONT)
    # The link is broken on its side too, and the name is lost; what it monitors is there.
    assert other("event()") == ("LINK_DOWN", me, None, NOCONNECTION)
    until(lambda: other("process.registry.lookup('name')") == me)
    process.monitor(other.pid)
    other("process.send(to, 'topic', 'back')", to=me)
    assert payload() == "back"
    log = other.end()
    assert "has lost the name 'name'" in log
    assert event().reason == "normal"


def test_redis_killed_and_started_again(
    restarted: RedisProcess, me: PID, start_worker: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsfast")
    other = start_worker(restarted.url, timeout=PATIENT)
    echo = other("process.spawn(echo, name='echo')")
    quiet = other("process.spawn(wait_for_end)")
    ends = other("process.spawn(give, 1)")
    linked = other("process.spawn(linked, to, True)", to=me)
    assert take(process.inbox()).topic == "linked"
    for each in (quiet, ends):
        process.monitor(each)
    registry.register("here")
    until(lambda: other("process.registry.lookup('here')") == me)
    restarted.kill()
    until(lambda: "connection to Redis is lost" in caplog.text)
    assert registry.lookup("echo") == echo
    with pytest.raises(ConnectionError):
        registry.register("while it is away")
    other("process.send(ends, 'end')", ends=ends)
    restarted.start()
    until_answered(echo)
    # It has ended while nobody could be told, or the telling may have been lost.
    told = event()
    assert (told.sender, told.reason) in [(ends, "normal"), (ends, NOPROC)]
    assert registry.lookup("echo") == echo
    until(lambda: other("process.registry.lookup('here')") == me)
    with restarted.client() as client:
        until(lambda: len(client.hgetall("wsfast:names")) == 2)
    process.cancel(quiet, "over")
    assert event() == (process.EXIT, quiet, None, "over")
    process.send(linked, "crash")
    assert event() == (process.LINK_DOWN, linked, None, "ValueError: crash")
    assert "connected to Redis again" in caplog.text
    registry.register("now")


def test_an_end_that_was_not_told_is_told_later(
    restarted: RedisProcess, me: PID, start_worker: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start_worker(restarted.url, timeout=PATIENT)
    ends = other("process.spawn(give, 1)")
    process.monitor(ends)
    process.send(ends, "end")
    monkeypatch.setattr(cluster(), "receive", lambda _: None)
    until(lambda: other("process.send(ends, 'end')", ends=ends) is False)
    monkeypatch.undo()
    restarted.kill()
    restarted.start()
    told = event()
    assert told.sender == ends
    assert told.reason in (NOPROC, "normal")


def test_names_that_are_not_claimed_again_are_forgotten(
    hasty: RedisProcess, me: PID, start_worker: Starter
) -> None:
    other = start_worker(hasty.url, timeout=HASTY)
    other("process.registry.register('kept')")
    other("process.registry.register('given up')")
    until(lambda: registry.lookup("given up") == registry.lookup("kept") == other.pid)
    hasty.kill()
    other("process.registry.unregister('given up')")
    hasty.start()
    until(lambda: registry.lookup("given up") is None)
    assert registry.lookup("kept") == other.pid


def test_the_queue_is_bounded(
    hasty: RedisProcess, me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = PID("nobody", "host", 1)
    hasty.signal(signal.SIGSTOP)
    until(lambda: not process.send(nobody, "topic"))
    assert not process.send(nobody, "topic")
    assert cluster().outgoing.dropped == 2
    assert caplog.text.count("messages are dropped") == 1
    # Signals have more room; with that gone, too, who wants a tie is told that there is none.
    for number in range(1, 102):
        process.monitor(PID("nobody", "host", number))
    assert event().reason == NOCONNECTION
    assert cluster().outgoing.signals_lost
    hasty.signal(signal.SIGCONT)
    until(lambda: not cluster().outgoing.signals_lost)
    until(lambda: process.send(nobody, "topic"))
    for _ in range(100):
        assert event().reason == NOCONNECTION


def test_redis_that_says_nothing_any_more(
    hasty: RedisProcess, me: PID, start_worker: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    other = start_worker(hasty.url, timeout=HASTY)
    echo = other("process.spawn(echo)")
    process.monitor(echo)
    hasty.signal(signal.SIGSTOP)
    until(lambda: "connection to Redis is lost" in caplog.text)
    hasty.signal(signal.SIGCONT)
    until_answered(echo)
    process.cancel(echo, "over")
    told = event()
    # By the other program, should it be late, this one may have been taken for lost meanwhile.
    assert (told.sender, told.reason) in [(echo, "over"), (echo, NOPROC)]


def test_leaving_without_redis(
    hasty: RedisProcess, me: PID, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    attempts: list[object] = []

    class Counted(keeper.RedisLink):
        def __init__(self, *args: Any) -> None:
            attempts.append(args)
            super().__init__(*args)

    monkeypatch.setattr(keeper, "RedisLink", Counted)
    hasty.kill()
    until(lambda: len(attempts) == 3)
    assert caplog.text.count("is lost") == 1
    nobody = PID("nobody", "host", 1)
    process.monitor(nobody)
    process.leave("1s")
    assert event() == (process.EXIT, nobody, None, NOCONNECTION)
    assert not process.send(nobody, "topic")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_the_child_of_a_fork_has_not_joined(
    shared_redis: RedisProcess, run_script: Callable[..., str]
) -> None:
    out = run_script(
        """
        from wsfast import process

        process.join(sys.argv[2], namespace="fork")
        with process.attach("name") as me:
            pid = os.fork()
            if pid == 0:
                assert not process.leave()
                process.join(sys.argv[2], namespace="fork")
                process.send("name", "child", 1)
                sys.exit()
            assert process.inbox().receive("20s")[0].payload == 1
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        print(process.leave())
        """,
        shared_redis.url,
    )
    assert out == "True\n"


def test_leaving_while_redis_hangs(restarted: RedisProcess) -> None:
    restarted.signal(signal.SIGSTOP)
    assert process.send(PID("nobody", "host", 1), "topic")
    assert process.leave("50ms")
    restarted.signal(signal.SIGCONT)
