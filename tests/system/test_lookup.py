"""Looking up names: who shares a lookup, and what a resolver that hangs leaves behind."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import wsfast
from wsfast.protocol.errors import ConnectError
from wsfast.system import lookup
from wsfast.system.lookup import look_up

WAIT = 10.0
ADDRESS = socket.AF_INET, ("192.0.2.1", 80)


class Resolver:
    """Takes the place of the system's: answers when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.calls = 0
        self.answer = threading.Event()
        self.error: Exception | None = None

    def getaddrinfo(self, *_: Any, flags: int, **__: Any) -> list[Any]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        self.calls += 1
        self.asked.release()
        assert self.answer.wait(WAIT)
        if self.error is not None:
            raise self.error
        family, address = ADDRESS
        return [(family, socket.SOCK_STREAM, 6, "", address)]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr("socket.getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answer.set()


def test_a_lookup_is_shared_while_it_runs(resolver: Resolver) -> None:
    with ThreadPoolExecutor(8) as pool:
        lookups = [*pool.map(lambda _: look_up("example.com", 80), range(8))]
    assert resolver.asked.acquire(timeout=WAIT)
    resolver.answer.set()
    assert [one.result(WAIT) for one in lookups] == [[ADDRESS]] * 8
    assert resolver.calls == 1


def test_other_names_and_ports_and_later_lookups_are_not(resolver: Resolver) -> None:
    lookups = [look_up("example.com", 80), look_up("example.com", 443), look_up("localhost", 80)]
    for _ in lookups:
        assert resolver.asked.acquire(timeout=WAIT)
    resolver.answer.set()
    assert [one.result(WAIT) for one in lookups] == [[ADDRESS]] * 3
    assert look_up("example.com", 80).result(WAIT) == [ADDRESS]
    assert resolver.calls == 4


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "later"), UnicodeError("idna"), MemoryError()]
)
def test_an_error_is_shared_too_and_not_kept(resolver: Resolver, error: Exception) -> None:
    resolver.error = error
    lookups = [look_up("example.com", 80) for _ in range(2)]
    resolver.answer.set()
    assert [one.exception(WAIT) for one in lookups] == [error] * 2
    resolver.error = None
    assert look_up("example.com", 80).result(WAIT) == [ADDRESS]


def test_one_that_takes_too_long_does_not_keep_others_from_trying(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "STALE", 0)
    lookups = [look_up("example.com", 80) for _ in range(2)]
    assert lookups[0] is not lookups[1]
    resolver.answer.set()
    assert [one.result(WAIT) for one in lookups] == [[ADDRESS]] * 2
    assert resolver.calls == 2


def test_no_thread(monkeypatch: pytest.MonkeyPatch, resolver: Resolver) -> None:
    monkeypatch.setattr(lookup, "start_thread", lambda *_: None)
    with pytest.raises(ConnectError, match="cannot look up example.com: .* no thread left"):
        look_up("example.com", 80)
    monkeypatch.undo()
    monkeypatch.setattr("socket.getaddrinfo", resolver.getaddrinfo)
    resolver.answer.set()
    assert look_up("example.com", 80).result(WAIT) == [ADDRESS]


def test_who_tries_again_and_again_leaves_one_thread_behind(
    resolver: Resolver, make_recorder: Any
) -> None:
    recorders = [make_recorder() for _ in range(5)]
    for recorder in recorders:
        wsfast.connect(
            "ws://example.com/",
            **recorder.callbacks,
            dial_timeout="1ms",
            reconnect={"initial": "1ms", "maximum": "2ms"},
        )
    for recorder in recorders:
        recorder.wait("reconnect", 5)
    assert [t.name for t in threading.enumerate()].count("wsfast-resolve") == 1
    wsfast.disconnect_all()
    for recorder in recorders:
        recorder.wait_closed()
        assert all("timeout" in text for text in recorder.errors)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_the_child_of_a_fork_does_not_wait_for_the_parents_lookup(
    run_script: Callable[..., str], start_server: Any
) -> None:
    run_script(
        """
        import socket
        getaddrinfo, asked, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

        def hang(*args, flags=0, **kwargs):
            if not flags & socket.AI_NUMERICHOST and os.getpid() == parent:
                asked.set()
                go_on.wait()
            return getaddrinfo(*args, flags=flags, **kwargs)

        parent = os.getpid()
        socket.getaddrinfo = hang
        opened = threading.Event()
        number = wsfast.connect(sys.argv[2], on_open=opened.set)
        assert asked.wait(10)
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            connect(sys.argv[2])
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        go_on.set()
        assert opened.wait(10)
        """,
        start_server(lambda connection: connection.receive()).url,
    )
