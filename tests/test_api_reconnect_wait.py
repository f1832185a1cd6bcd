"""The ID API: `reconnect=`, while it waits for the next attempt, and what callbacks may do."""

import inspect
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import close_frame
from reconnecting import NEVER, SOON, accept_next, check_works

import wsfast

WAIT = 10.0


# ---------------------------------------------------------------- while it waits


@pytest.fixture
def waiting(raw_listener: Any, recorder: Any) -> int:
    """An id that has lost its connection and waits for the next attempt, for hours."""
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=NEVER)
    peer = raw_listener.upgrade()
    recorder.wait("open")
    peer.reset()
    recorder.wait("reconnect")
    return number


def test_what_functions_say_while_it_waits(waiting: int, raw_listener: Any) -> None:
    assert wsfast.get_state(waiting) == "connecting"
    assert wsfast.is_connected(waiting) is False
    assert wsfast.send(waiting, "x") is False
    with pytest.raises(TypeError):
        wsfast.send(waiting, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="close code"):
        wsfast.close(waiting, 1005)
    assert wsfast.get_messages(waiting) == []
    assert wsfast.get_url(waiting) == raw_listener.url
    assert wsfast.list() == [{"id": waiting, "url": raw_listener.url, "state": "connecting"}]


@pytest.mark.parametrize("how", ["close", "disconnect_all"])
def test_a_close_ends_the_wait_at_once(
    waiting: int, recorder: Any, join_connection: Any, how: str
) -> None:
    wsfast.close(waiting, 4000, "enough") if how == "close" else wsfast.disconnect_all()
    assert wsfast.get_state(waiting) == "disconnected"
    assert recorder.wait_closed() == (1006, "closed before the connection was open")
    join_connection(waiting)
    assert [entry[0] for entry in recorder.log] == ["open", "error", "reconnect", "close"]
    assert wsfast.get_state(waiting) == "disconnected"
    assert wsfast.list() == []
    assert wsfast.close(waiting) is True


@pytest.mark.parametrize("name", ["on_error", "on_reconnect"])
def test_a_callback_may_end_it(
    raw_listener: Any, recorder: Any, join_connection: Any, name: str
) -> None:
    callbacks = recorder.callbacks
    called = callbacks[name]
    callbacks[name] = lambda *args: (called(*args), wsfast.close(wsfast.current()))
    number = wsfast.connect(raw_listener.url, **callbacks, reconnect=NEVER)
    peer = raw_listener.upgrade()
    recorder.wait("open")
    peer.reset()
    assert recorder.wait_closed()[0] == 1006
    join_connection(number)
    told = ["error"] if name == "on_error" else ["error", "reconnect"]
    assert [entry[0] for entry in recorder.log] == ["open", *told, "close"]
    assert wsfast.get_state(number) == "disconnected"


def test_our_own_close_is_the_end(start_server: Any, recorder: Any, collector: Any) -> None:
    number = wsfast.connect(start_server(collector).url, **recorder.callbacks, reconnect=SOON)
    recorder.wait("open")
    wsfast.close(number, 4001, "done")
    assert recorder.wait_closed()[0] == 4001
    assert [entry[0] for entry in recorder.log] == ["open", "close"]


def test_a_close_that_the_peer_does_not_answer_is_the_end(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    peer = raw_listener.upgrade()
    recorder.wait("open")
    wsfast.close(number)
    peer.reset()
    recorder.wait_closed()
    assert recorder.of("reconnect") == []


def test_a_close_while_connecting_again_ends_it(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    raw_listener.upgrade().reset()
    raw_listener.accept().read_head()
    assert wsfast.get_state(number) == "connecting"
    wsfast.close(number)
    assert recorder.wait_closed() == (1006, "closed before the connection was open")
    assert wsfast.get_state(number) == "disconnected"


@pytest.mark.parametrize(
    ("function", "call"),
    [
        pytest.param("worth_retrying", 1, id="the wait has not begun"),
        pytest.param("Dial", 2, id="the next connection is not in its place"),
    ],
)
def test_disconnect_all_at_an_awkward_moment_is_not_overheard(
    raw_listener: Any, recorder: Any, monkeypatch: pytest.MonkeyPatch, function: str, call: int
) -> None:
    """When there is no connection to close, and no wait to end either."""
    real = getattr(wsfast.threads.session, function)
    calls = itertools.count(1)

    def disconnect_all_and_go_on(*args: Any) -> Any:
        if next(calls) == call:
            wsfast.disconnect_all()
        return real(*args)

    monkeypatch.setattr(f"wsfast.threads.session.{function}", disconnect_all_and_go_on)
    wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    raw_listener.upgrade().reset()
    assert recorder.wait_closed()[0] == 1006
    assert len(recorder.of("open")) <= 1
    assert next(calls) > call


# ---------------------------------------------------------------- callbacks


@pytest.mark.parametrize("given", [{"user_data": "data"}, {}])
def test_on_reconnect_gets_user_data_and_the_id(
    raw_listener: Any, recorder: Any, given: dict[str, Any]
) -> None:
    calls: queue.Queue[tuple[Any, ...]] = queue.Queue()
    number = wsfast.connect(
        raw_listener.url,
        on_reconnect=lambda *args: calls.put((wsfast.current(), *args)),
        reconnect=NEVER,
        **given,
    )
    peer = raw_listener.upgrade()
    peer.send(close_frame(4001, b"later"))
    current, attempt, delay, *rest = calls.get(timeout=WAIT)
    assert (current, attempt, *rest) == (number, 1, 4001, "later", *given.values())
    assert isinstance(delay, float)
    assert 0 < delay <= 36_000


@pytest.mark.parametrize("exception", [ValueError, SystemExit])
def test_an_exception_in_on_reconnect_is_logged_told_and_stops_nothing(
    raw_listener: Any, recorder: Any, caplog: Any, exception: type[BaseException]
) -> None:
    def on_reconnect(*args: Any) -> None:
        recorder.on_reconnect(*args)
        raise exception("from the test")

    callbacks = recorder.callbacks | {"on_reconnect": on_reconnect}
    with caplog.at_level(logging.INFO, "wsfast"):
        number = wsfast.connect(raw_listener.url, **callbacks, reconnect=SOON)
        peer = raw_listener.upgrade()
        peer.send(close_frame(1012))
        check_works(number, accept_next(raw_listener, recorder))
    assert recorder.errors == [f"on_reconnect raised {exception.__name__}: from the test"]
    (failed,) = [record for record in caplog.records if record.exc_info]
    assert f"on_reconnect of connection {number}" in failed.getMessage()
    (told,) = [r.getMessage() for r in caplog.records if "attempt 1 in" in r.getMessage()]
    assert f"connection {number}: connection closed: 1012; attempt 1 in 0.00" in told


INSIDE: dict[str, tuple[Callable[[int, str], object], object]] = {
    "send": (lambda number, url: wsfast.send(number, "from inside"), False),
    "close": (lambda number, url: wsfast.close(number), True),
    "is_connected": (lambda number, url: wsfast.is_connected(number), False),
    "get_messages": (lambda number, url: wsfast.get_messages(number), []),
    "get_messages_json": (lambda number, url: wsfast.get_messages_json(number), "[]"),
    "get_state": (lambda number, url: wsfast.get_state(number), "connecting"),
    "get_url": (lambda number, url: wsfast.get_url(number) == url, True),
    "disconnect_all": (lambda number, url: wsfast.disconnect_all(), None),
    "list": (lambda number, url: [entry["state"] for entry in wsfast.list()], ["connecting"]),
    "connect": (lambda number, url: wsfast.connect(url) > number, True),
}


@pytest.mark.parametrize("function", INSIDE)
def test_every_function_may_be_called_from_on_reconnect(
    raw_listener: Any, recorder: Any, function: str
) -> None:
    call, expected = INSIDE[function]
    results: queue.Queue[object] = queue.Queue()

    def on_reconnect(*_: Any) -> None:
        results.put(call(wsfast.current(), raw_listener.url))

    callbacks = recorder.callbacks | {"on_reconnect": on_reconnect}
    number = wsfast.connect(raw_listener.url, **callbacks, reconnect=NEVER)
    raw_listener.upgrade().reset()
    assert results.get(timeout=WAIT) == expected
    wsfast.close(number)
    recorder.wait_closed()
    assert len(recorder.of("close")) == 1


def test_one_thread_and_one_stack_for_all_connections(start_server: Any, recorder: Any) -> None:
    """No recursion, no thread per attempt."""
    depths: set[int] = set()
    threads: set[int] = set()

    def on_open() -> None:
        recorder.on_open()
        depths.add(len(inspect.stack(0)))
        threads.add(threading.get_ident())

    endpoint = start_server(lambda connection: None)
    callbacks = recorder.callbacks | {"on_open": on_open}
    number = wsfast.connect(
        endpoint.url, **callbacks, reconnect={"initial": "1us", "maximum": "1ms"}
    )
    recorder.wait("open", 300)
    wsfast.close(number)
    recorder.wait_closed()
    assert (len(depths), len(threads)) == (1, 1)
    kinds = [entry[0] for entry in recorder.log]
    assert kinds.count("close") == 1
    assert kinds[-1] == "close"


def test_many_that_reconnect_are_all_ended_by_one_call(
    start_server: Any, make_recorder: Any
) -> None:
    """Whatever each of them does at that moment: dials, is open, tells, waits."""
    endpoint = start_server(lambda connection: None)
    for _ in range(5):
        recorders = [make_recorder() for _ in range(8)]
        for recorder in recorders:
            wsfast.connect(
                endpoint.url, **recorder.callbacks, reconnect={"initial": "1us", "maximum": "1ms"}
            )
        for recorder in recorders:
            recorder.wait("reconnect", 3)
        wsfast.disconnect_all()
        for recorder in recorders:
            recorder.wait_closed()
            assert recorder.log[-1][0] == "close"
            assert len(recorder.of("close")) == 1
        assert wsfast.list() == []
