"""The ID API (seed 004): the order of callbacks, and what they may do."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import TEXT, close_frame, frame, response

import wsfast

WAIT = 10.0
NAMES = ["on_open", "on_message", "on_error", "on_close"]


# ---------------------------------------------------------------- order


def test_current_tells_the_id_before_connect_has_returned(
    start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    opened, closed = threading.Event(), threading.Event()
    start = wsfast.api._start

    def start_and_wait(session: Any) -> None:
        start(session)
        assert opened.wait(WAIT)  # connect returns after this

    monkeypatch.setattr("wsfast.api._start", start_and_wait)
    number = wsfast.connect(
        start_server(lambda connection: connection.send("x")).url,
        on_open=lambda: (seen.append(wsfast.current()), opened.set()),
        on_message=lambda _: seen.append(wsfast.current()),
        on_close=lambda *_: (seen.append(wsfast.current()), closed.set()),
    )
    assert closed.wait(WAIT)
    assert seen == [number] * 3
    assert wsfast.current() == 0


def send_ten(connection: Any) -> None:
    for i in range(10):
        connection.send(str(i))


def send_ten_and_ten(connection: Any) -> None:
    send_ten(connection)
    connection.send("ten")


TEN = [str(i) for i in range(10)]


@pytest.mark.parametrize(("scheme", "runs"), [("ws", 300), ("wss", 60)])
def test_what_was_sent_before_a_close_is_delivered_before_it(
    start_server: Any, make_recorder: Any, scheme: str, runs: int
) -> None:
    endpoint = start_server(send_ten, scheme)
    for _ in range(runs):
        recorder = make_recorder()
        wsfast.connect(endpoint.url, **recorder.callbacks, **endpoint.options)
        assert recorder.wait_closed() == (1000, "")
        assert [entry[0] for entry in recorder.log] == ["open"] + ["message"] * 10 + ["close"]
        assert recorder.messages == TEN


def test_nothing_is_lost_while_on_open_runs(start_server: Any, make_recorder: Any) -> None:
    """All of it, the close frame too, has arrived before the first message is asked for."""
    sent = queue.Queue[None]()

    def handler(connection: Any) -> None:
        send_ten(connection)
        connection.close()
        sent.put(None)

    endpoint = start_server(handler)
    for _ in range(20):
        recorder = make_recorder()
        callbacks = recorder.callbacks | {"on_open": lambda: sent.get(timeout=WAIT)}
        wsfast.connect(endpoint.url, **callbacks)
        assert recorder.wait_closed() == (1000, "")
        assert recorder.messages == TEN


def test_what_was_sent_before_a_close_can_be_taken_after_it(start_server: Any) -> None:
    endpoint = start_server(send_ten)
    for _ in range(200):
        closed = threading.Event()
        number = wsfast.connect(endpoint.url, on_close=lambda *_, e=closed: e.set())
        assert closed.wait(WAIT)
        assert wsfast.get_messages(number) == TEN


def test_an_error_is_told_after_the_messages_and_before_the_close(
    start_server: Any, make_recorder: Any
) -> None:
    def handler(connection: Any) -> None:
        send_ten(connection)
        connection.send("more than read_limit")

    endpoint = start_server(handler)
    for _ in range(50):
        recorder = make_recorder()
        wsfast.connect(endpoint.url, **recorder.callbacks, read_limit=10)
        assert recorder.wait_closed()[0] == 1009
        kinds = [entry[0] for entry in recorder.log]
        assert kinds == ["open"] + ["message"] * 10 + ["error", "close"]


def test_callbacks_of_one_connection_never_overlap(start_server: Any) -> None:
    inside = threading.Lock()
    overlaps: list[str] = []
    closed = threading.Event()

    def callback(*args: Any) -> None:
        if not inside.acquire(blocking=False):
            overlaps.append("overlap")
            return
        # Whatever other thread could call back has the time to do so.
        wsfast.send(wsfast.current(), "x")
        wsfast.get_messages(wsfast.current())
        inside.release()
        if args == ("raise",):
            raise ValueError("for on_error")

    def handler(connection: Any) -> None:
        for _ in range(200):
            connection.send("raise")
            connection.send("x")

    wsfast.connect(
        start_server(handler).url,
        on_open=callback,
        on_message=callback,
        on_error=callback,
        on_close=lambda *_: (callback(), closed.set()),
    )
    assert closed.wait(WAIT)
    assert overlaps == []


def test_connections_do_not_wait_for_each_others_callbacks(
    echo_server: Any, make_recorder: Any
) -> None:
    release = threading.Event()
    entered = threading.Event()
    wsfast.connect(
        echo_server.url,
        on_open=lambda: (entered.set(), release.wait(WAIT)),
        **echo_server.options,
    )
    assert entered.wait(WAIT)
    other = make_recorder()
    number = wsfast.connect(echo_server.url, **other.callbacks, **echo_server.options)
    assert other.opened.wait(WAIT)
    wsfast.send(number, "x")
    assert other.wait_messages(1) == ["x"]
    release.set()


def test_get_messages_takes_nothing_away_from_on_message(raw_listener: Any, recorder: Any) -> None:
    """The message is there, in the segment of the handshake, before on_open is called."""
    taken: list[object] = []

    def on_open() -> None:
        taken.extend(wsfast.get_messages(wsfast.current()))

    wsfast.connect(raw_listener.url, **(recorder.callbacks | {"on_open": on_open}))
    peer = raw_listener.accept()
    peer.send(response(peer.read_head()) + frame(TEXT, b"first") + close_frame(1000))
    peer.read_close()
    peer.sock.close()
    assert recorder.wait_closed() == (1000, "")
    assert taken == []
    assert recorder.messages == ["first"]


# ---------------------------------------------------------------- exceptions


@pytest.mark.parametrize("exception", [ValueError, SystemExit])
@pytest.mark.parametrize("name", NAMES)
def test_an_exception_is_logged_told_and_kills_nothing(
    start_server: Any,
    recorder: Any,
    join_connection: Any,
    caplog: pytest.LogCaptureFixture,
    name: str,
    exception: type[BaseException],
) -> None:
    callbacks = recorder.callbacks
    called = callbacks[name]

    def failing(*args: Any) -> None:
        called(*args)
        raise exception("from the test")

    callbacks[name] = failing
    options = {}
    if name == "on_error":  # there must be an error for it to be called with
        options["read_limit"] = 1
    with caplog.at_level(logging.ERROR, "wsfast"):
        number = wsfast.connect(start_server(send_ten_and_ten).url, **callbacks, **options)
        assert recorder.closed.wait(WAIT)
        join_connection(number)
    told = f"{name} raised {exception.__name__}: from the test"
    error = ("error", told)
    messages = [("message", message) for message in TEN]
    log = [("open",), *messages, ("message", "ten"), ("close", 1000, "")]
    if name == "on_open":
        log.insert(1, error)
    elif name == "on_message":
        log = [entry for m in log for entry in ([m, error] if m[0] == "message" else [m])]
    elif name == "on_close":
        log.append(error)
    else:
        assert recorder.errors[0] != told
        log = [("open",), *messages, recorder.log[-2], recorder.log[-1]]
        assert [entry[0] for entry in log[-2:]] == ["error", "close"]
    assert recorder.log == log
    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == {"on_message": 11}.get(name, 1)
    assert all(f"{name} of connection {number}" in r.getMessage() for r in logged)


# ---------------------------------------------------------------- user_data


@pytest.mark.parametrize("given", [{"user_data": {"a": 1}}, {"user_data": None}, {}])
def test_user_data_is_the_last_argument_of_each_callback_if_it_was_given(
    start_server: Any, given: dict[str, Any]
) -> None:
    calls: list[tuple[Any, ...]] = []
    closed = threading.Event()

    def on_message(*args: Any) -> None:
        calls.append(args)
        raise ValueError("for on_error")

    wsfast.connect(
        start_server(lambda connection: connection.send("x")).url,
        on_open=lambda *args: calls.append(args),
        on_message=on_message,
        on_error=lambda *args: calls.append(args),
        on_close=lambda *args: (calls.append(args), closed.set()),
        **given,
    )
    assert closed.wait(WAIT)
    last = tuple(given.values())
    assert calls == [
        last,
        ("x", *last),
        ("on_message raised ValueError: for on_error", *last),
        (1000, "", *last),
    ]


# ---------------------------------------------------------------- calls from inside callbacks

INSIDE: dict[str, Callable[[int, str], object]] = {
    "connect": lambda number, url: wsfast.connect(url),
    "send": lambda number, url: wsfast.send(number, "from inside"),
    "close": lambda number, url: wsfast.close(number),
    "is_connected": lambda number, url: wsfast.is_connected(number),
    "get_messages": lambda number, url: wsfast.get_messages(number),
    "get_messages_json": lambda number, url: wsfast.get_messages_json(number),
    "get_state": lambda number, url: wsfast.get_state(number),
    "get_url": lambda number, url: wsfast.get_url(number),
    "disconnect_all": lambda number, url: wsfast.disconnect_all(),
    "list": lambda number, url: wsfast.list(),
}


@pytest.mark.parametrize("function", INSIDE)
@pytest.mark.parametrize("name", NAMES)
def test_every_function_may_be_called_from_every_callback(
    start_server: Any, name: str, function: str
) -> None:
    results: queue.Queue[object] = queue.Queue()
    closes: list[int] = []
    closed = threading.Event()

    def handler(connection: Any) -> None:
        connection.send("x")
        for _ in connection:
            pass

    url = start_server(handler).url

    def call(which: str) -> None:
        if which == name:
            results.put(INSIDE[function](wsfast.current(), url))

    def on_message(_: Any) -> None:
        call("on_message")
        wsfast.close(wsfast.current())
        raise ValueError("for on_error")

    def on_close(code: int, _: str) -> None:
        call("on_close")
        closes.append(code)
        closed.set()

    number = wsfast.connect(
        url,
        on_open=lambda: call("on_open"),
        on_message=on_message,
        on_error=lambda _: call("on_error"),
        on_close=on_close,
    )
    result = results.get(timeout=WAIT)
    assert closed.wait(WAIT)
    assert closes == [1000]
    open_now = name in ("on_open", "on_message")
    expected = {
        "send": open_now,
        "close": True,
        "is_connected": open_now,
        "get_messages": [],
        "get_messages_json": "[]",
        "get_url": url,
        "disconnect_all": None,
    }
    if function in expected:
        assert result == expected[function]
    elif function == "connect":
        assert isinstance(result, int)
        assert result > number
    elif function == "get_state":
        assert result in {"on_close": ["disconnected"], "on_error": ["closing"]}.get(
            name, ["connected"]
        )
    else:
        assert [entry["id"] for entry in result] == ([] if name == "on_close" else [number])


def test_disconnect_all_from_a_callback_closes_the_others_too(
    start_server: Any, make_recorder: Any, collector: Any
) -> None:
    endpoint = start_server(collector)
    recorders = [make_recorder() for _ in range(3)]
    for recorder in recorders:
        wsfast.connect(endpoint.url, **recorder.callbacks)
        assert recorder.opened.wait(WAIT)
    last = make_recorder()
    wsfast.connect(endpoint.url, **(last.callbacks | {"on_open": wsfast.disconnect_all}))
    assert [recorder.wait_closed()[0] for recorder in [*recorders, last]] == [1000] * 4
    assert all([entry[0] for entry in r.log] == ["open", "close"] for r in recorders)


def test_a_program_may_reconnect_from_on_close(start_server: Any) -> None:
    opened: queue.Queue[int] = queue.Queue()
    url = start_server(lambda connection: None).url
    left = iter(range(5))

    def connect(*_: Any) -> None:
        if next(left, None) is not None:
            opened.put(wsfast.connect(url, on_close=connect))

    connect()
    numbers = [opened.get(timeout=WAIT) for _ in range(5)]
    assert len(set(numbers)) == 5
