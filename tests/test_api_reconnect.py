"""The ID API: `reconnect=`. What is opened again and what not, what callbacks see, how it ends.

What processes do to it is in test_api_reconnect_process.py, the delays are in
protocol/test_reconnect.py.
"""

import inspect
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from raw_peers import BINARY, TEXT, close_frame, frame, header, response

import wsfast
from wsfast.server import Server, serve

WAIT = 10.0
SOON = {"initial": "1ms", "maximum": "5ms"}
"""Delays that nobody notices."""
NEVER = {"initial": "10h", "maximum": "20h"}
"""Delays that a test would not survive: what ends them is not the time."""


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


def accept(raw_listener: Any, early: bytes = b"") -> Any:
    """The next connection, upgraded; `early` leaves with the answer."""
    peer = raw_listener.accept()
    peer.send(response(peer.read_head()) + early)
    return peer


def check_works(number: int, peer: Any, text: bytes = b"still here") -> None:
    assert wsfast.send(number, text)
    assert peer.read_frame().payload == text


# ---------------------------------------------------------------- a server comes and goes


def test_a_restarted_server_is_found_again(
    start_server: Any, recorder: Any, collector: Any, scheme: str, certificates: Any
) -> None:
    first = start_server(collector, scheme)
    number = wsfast.connect(first.url, **recorder.callbacks, **first.options, reconnect=SOON)
    recorder.wait("open")
    assert wsfast.send(number, "before")
    assert collector.messages.get(timeout=WAIT) == "before"
    first.server.shutdown(timeout=5)
    refused = recorder.wait("error")
    assert "connection refused" in refused[0][0]
    assert wsfast.get_state(number) == "connecting"
    context = certificates.server if scheme == "wss" else None
    with serve(collector, "localhost", first.server.port, ssl_context=context):
        recorder.wait("open", 2)
        assert wsfast.get_state(number) == "connected"
        assert wsfast.send(number, "after")
        assert collector.messages.get(timeout=WAIT) == "after"
        wsfast.close(number)
        assert recorder.wait_closed() == (1000, "")
    lost, *others = recorder.of("reconnect")
    assert lost[2] == 1001
    assert {code for _, _, code, _ in others} == {1006}
    assert [attempt for attempt, *_ in recorder.of("reconnect")] == [*range(1, len(others) + 2)]
    assert all(0 < delay <= 0.005 for _, delay, *_ in recorder.of("reconnect"))
    kinds = [entry[0] for entry in recorder.log]
    assert kinds == ["open", "reconnect", *["error", "reconnect"] * len(others), "open", "close"]


def test_the_first_connection_is_awaited_too(
    refused_port: int, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[Server] = []

    def on_reconnect(attempt: int, *_: Any) -> None:
        if attempt == 3:
            servers.append(serve(echo, "127.0.0.1", 0))
            monkeypatch.setattr("socket.getaddrinfo", lookup(servers[0].port))

    callbacks = recorder.callbacks | {"on_reconnect": on_reconnect}
    number = wsfast.connect(f"ws://127.0.0.1:{refused_port}/", **callbacks, reconnect=SOON)
    recorder.wait("open")
    assert [entry[0] for entry in recorder.log] == ["error"] * 3 + ["open"]
    wsfast.close(number)
    recorder.wait_closed()
    servers[0].shutdown(timeout=5)


def lookup(port: int) -> Callable[..., Any]:
    """A resolver that finds everything at a port of the loopback interface."""
    import socket

    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    return lambda *_, **__: [address]


# ---------------------------------------------------------------- which ends are retried


def reset_in_a_message(peer: Any) -> None:
    peer.upgrade()
    peer.send(header(BINARY, 100_000) + b"half of it")
    peer.reset()


def end_in_a_message(peer: Any) -> None:
    peer.upgrade()
    peer.send(header(TEXT, 10) + b"half")


def reset_in_the_handshake(peer: Any) -> None:
    peer.read_head()
    peer.reset()


def close_with(code: int) -> Callable[[Any], None]:
    def close(peer: Any) -> None:
        peer.upgrade()
        peer.send(close_frame(code, b"so it is"))
        assert peer.read_close().code == code

    return close


def close_without_code(peer: Any) -> None:
    peer.upgrade()
    peer.send(frame(0x8))
    peer.read_close()


def answer(head: bytes) -> Callable[[Any], None]:
    def refuse(peer: Any) -> None:
        peer.read_head()
        peer.send(head + b"\r\n\r\n")

    return refuse


def send_nothing_but(wire: bytes) -> Callable[[Any], None]:
    def send(peer: Any) -> None:
        peer.upgrade()
        peer.send(wire)
        peer.read_to_end()

    return send


RETRIED: dict[str, tuple[Callable[[Any], object], int, dict[str, Any]]] = {
    "reset": (lambda peer: (peer.upgrade(), peer.reset()), 1006, {}),
    "reset in a message": (reset_in_a_message, 1006, {}),
    "end of stream": (lambda peer: peer.upgrade(), 1006, {}),
    "end in a message": (end_in_a_message, 1006, {}),
    "reset in the handshake": (reset_in_the_handshake, 1006, {}),
    "500": (answer(b"HTTP/1.1 500 Oops"), 1006, {}),
    "503": (answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 0"), 1006, {}),
    "no close code": (close_without_code, 1005, {}),
    **{
        str(code): (close_with(code), code, {})
        for code in (1000, 1001, 1011, 1012, 1013, 1014, 3000, 4999)
    },
    "half-open": (
        lambda peer: (peer.upgrade(), peer.read_close()),
        1011,
        {"ping_interval": 20, "pong_timeout": 20},
    ),
    "stalled handshake": (
        lambda peer: peer.read_to_end(),
        1006,
        {"dial_timeout": 100},
    ),
    "silence": (lambda peer: (peer.upgrade(), peer.read_close()), 1008, {"read_timeout": 20}),
}


@pytest.mark.parametrize("how", RETRIED)
def test_what_may_pass_is_tried_again(raw_listener: Any, recorder: Any, how: str) -> None:
    end, code, options = RETRIED[how]
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, **options, reconnect={"initial": "1ms"}
    )
    peer = raw_listener.accept()
    end(peer)
    peer.sock.close()
    check_works(number, accept_next(raw_listener, recorder))
    ((attempt, _, told, reason),) = recorder.of("reconnect")
    assert (attempt, told) == (1, code)
    assert reason or code == 1005
    clean = code in (1000, 1001, 1005, 1012, 1013, 1014) or how in ("1011", "3000", "4999")
    assert len(recorder.errors) == (0 if clean else 1)
    wsfast.close(number)


def accept_next(raw_listener: Any, recorder: Any) -> Any:
    """The next connection after the first loss, once its on_open has been called."""
    recorder.wait("reconnect")
    opened = len(recorder.of("open"))
    peer = accept(raw_listener)
    recorder.wait("open", opened + 1)
    return peer


FINAL: dict[str, tuple[Callable[[Any], object], int, dict[str, Any]]] = {
    "400": (answer(b"HTTP/1.1 400 No"), 1006, {}),
    "401": (answer(b"HTTP/1.1 401 Who?"), 1006, {}),
    "404": (answer(b"HTTP/1.1 404 Where?"), 1006, {}),
    "429": (answer(b"HTTP/1.1 429 Slowly\r\nRetry-After: 0"), 1006, {}),
    "301": (answer(b"HTTP/1.1 301 There\r\nLocation: /x"), 1006, {}),
    "not HTTP": (answer(b"SSH-2.0-OpenSSH_9.6"), 1006, {}),
    **{str(code): (close_with(code), code, {}) for code in (1002, 1003, 1007, 1008, 1009, 1010)},
    "masked frame": (send_nothing_but(frame(TEXT, b"x", key=b"abcd")), 1002, {}),
    "bad text": (send_nothing_but(frame(TEXT, b"\xff")), 1007, {}),
    "too big": (send_nothing_but(frame(BINARY, b"xx")), 1009, {"read_limit": 1}),
}


@pytest.mark.parametrize("how", FINAL)
def test_what_would_fail_again_is_not(
    raw_listener: Any, recorder: Any, join_connection: Any, how: str
) -> None:
    end, code, options = FINAL[how]
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, **options, reconnect=SOON)
    peer = raw_listener.accept()
    end(peer)
    peer.sock.close()
    assert recorder.wait_closed()[0] == code
    join_connection(number)
    assert recorder.of("reconnect") == []
    assert len(recorder.of("close")) == 1


def test_a_refused_certificate_is_final(start_server: Any, recorder: Any) -> None:
    number = wsfast.connect(start_server(echo, "wss").url, **recorder.callbacks, reconnect=SOON)
    recorder.wait_closed()
    assert [entry[0] for entry in recorder.log] == ["error", "close"]
    assert wsfast.get_state(number) == "error"


def test_without_it_nothing_is_tried_again(raw_listener: Any, recorder: Any) -> None:
    wsfast.connect(raw_listener.url, **recorder.callbacks)
    accept(raw_listener).reset()
    assert recorder.wait_closed()[0] == 1006
    assert [entry[0] for entry in recorder.log] == ["open", "error", "close"]


# ---------------------------------------------------------------- how often


def test_attempts_are_bounded(refused_port: int, recorder: Any, join_connection: Any) -> None:
    number = wsfast.connect(
        f"ws://127.0.0.1:{refused_port}/", **recorder.callbacks, reconnect=SOON | {"attempts": 3}
    )
    code, reason = recorder.wait_closed()
    join_connection(number)
    assert [entry[0] for entry in recorder.log] == ["error", "reconnect"] * 3 + ["error", "close"]
    assert [attempt for attempt, *_ in recorder.of("reconnect")] == [1, 2, 3]
    assert recorder.errors[-1].startswith("given up after attempt 3: connection refused")
    assert (code, "connection refused" in reason) == (1006, True)
    assert wsfast.get_state(number) == "error"
    assert wsfast.list() == []


def test_attempts_that_succeed_count_unless_the_connection_lasts(
    start_server: Any, recorder: Any
) -> None:
    """A server that accepts and closes at once is not asked for ever."""
    endpoint = start_server(lambda connection: connection.close(1012, "restarting"))
    policy = wsfast.Reconnect(initial="1ms", attempts=2, reset_after="10h")
    number = wsfast.connect(endpoint.url, **recorder.callbacks, reconnect=policy)
    assert recorder.wait_closed() == (1012, "restarting")
    assert recorder.errors == ["given up after attempt 2: connection closed: 1012 restarting"]
    assert len(recorder.of("open")) == 3
    assert wsfast.get_state(number) == "error"


def test_after_a_connection_that_lasted_it_starts_over(start_server: Any, recorder: Any) -> None:
    endpoint = start_server(lambda connection: connection.close(1012, "restarting"))
    policy = wsfast.Reconnect(initial="1ms", attempts=1, reset_after=timedelta(microseconds=1))
    number = wsfast.connect(endpoint.url, **recorder.callbacks, reconnect=policy)
    recorder.wait("open", 5)
    wsfast.close(number)
    recorder.wait_closed()
    assert {attempt for attempt, *_ in recorder.of("reconnect")} == {1}


def test_a_server_may_ask_for_more_time(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, reconnect={"initial": "1s", "maximum": "2h"}
    )
    peer = raw_listener.accept()
    answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 3600")(peer)
    peer.sock.close()
    ((attempt, delay, code, reason),) = recorder.wait("reconnect")
    assert (attempt, delay, code) == (1, 3600, 1006)
    assert "503 Busy" in reason
    wsfast.close(number)
    recorder.wait_closed()


# ---------------------------------------------------------------- while it waits


@pytest.fixture
def waiting(raw_listener: Any, recorder: Any) -> int:
    """An id that has lost its connection and waits for the next attempt, for hours."""
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=NEVER)
    peer = accept(raw_listener)
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
    accept(raw_listener).reset()
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
    peer = accept(raw_listener)
    recorder.wait("open")
    wsfast.close(number)
    peer.reset()
    recorder.wait_closed()
    assert recorder.of("reconnect") == []


def test_a_close_while_connecting_again_ends_it(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    accept(raw_listener).reset()
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
    accept(raw_listener).reset()
    assert recorder.wait_closed()[0] == 1006
    assert len(recorder.of("open")) <= 1
    assert next(calls) > call


# ---------------------------------------------------------------- messages


def test_messages_before_the_loss_are_delivered_before_it_is_told(
    raw_listener: Any, recorder: Any
) -> None:
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    for i in range(5):
        peer = accept(raw_listener, b"".join(frame(TEXT, b"%d" % (10 * i + j)) for j in range(10)))
        peer.sock.close()
    recorder.wait("reconnect", 5)
    wsfast.close(number)
    recorder.wait_closed()
    assert recorder.messages == [str(i) for i in range(50)]
    kinds = [entry[0] for entry in recorder.log if entry[0] != "error"]
    assert kinds[: 5 * 12] == ["open", *["message"] * 10, "reconnect"] * 5


def without_on_message(recorder: Any) -> dict[str, Any]:
    return {**recorder.callbacks, "on_message": None}


def test_messages_that_nobody_has_taken_survive_in_order(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **without_on_message(recorder), reconnect=SOON)
    for i in range(4):
        accept(
            raw_listener, frame(TEXT, b"%d" % (2 * i)) + frame(TEXT, b"%d" % (2 * i + 1))
        ).reset()
        recorder.wait("reconnect", i + 1)
        if i == 1:
            assert wsfast.get_messages(number) == ["0", "1", "2", "3"]
    wsfast.close(number)
    recorder.wait_closed()
    assert wsfast.get_messages(number) == ["4", "5", "6", "7"]


def test_who_takes_messages_all_the_time_gets_all_of_them_in_order(
    start_server: Any, recorder: Any
) -> None:
    numbers = itertools.count()

    def handler(connection: Any) -> None:
        for _ in range(20):
            connection.send(str(next(numbers)))

    number = wsfast.connect(
        start_server(handler, max_connections=1).url,
        **without_on_message(recorder),
        reconnect={"initial": "1us", "maximum": "1ms"},
    )
    taken: list[str | bytes] = []
    while len(taken) < 1000:
        taken += wsfast.get_messages(number)
        assert not recorder.closed.wait(0.0001)
    wsfast.close(number)
    recorder.wait_closed()
    taken += wsfast.get_messages(number)
    assert [int(message) for message in taken] == [*range(len(taken))]


def test_a_redirect_on_the_way_back_loses_none(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(
        raw_listener.url, **without_on_message(recorder), reconnect=SOON, max_redirects=1
    )
    accept(raw_listener, frame(TEXT, b"before")).sock.close()
    peer = raw_listener.accept()
    assert peer.read_head().startswith(b"GET / ")
    peer.send(b"HTTP/1.1 307 There\r\nLocation: /there\r\n\r\n")
    peer = raw_listener.accept()
    head = peer.read_head()
    assert head.startswith(b"GET /there ")
    peer.send(response(head) + frame(TEXT, b"after"))
    recorder.wait("open", 2)
    taken = wsfast.get_messages(number)
    while len(taken) < 2:
        taken += wsfast.get_messages(number)
        assert not recorder.closed.wait(0.0001)
    assert taken == ["before", "after"]
    peer.send(close_frame(1012))
    recorder.wait("reconnect", 2)
    assert raw_listener.accept().read_head().startswith(b"GET / ")  # where it was told to connect
    wsfast.close(number)
    recorder.wait_closed()


def test_messages_can_be_taken_while_it_waits(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **without_on_message(recorder), reconnect=NEVER)
    accept(raw_listener, frame(TEXT, b"left")).sock.close()
    recorder.wait("reconnect")
    assert wsfast.get_messages(number) == ["left"]
    assert wsfast.get_messages(number) == []


def test_what_earlier_connections_left_counts_for_the_bound(
    raw_listener: Any, recorder: Any
) -> None:
    """A peer that sends and hangs up, again and again, does not fill the memory."""
    number = wsfast.connect(
        raw_listener.url,
        **without_on_message(recorder),
        reconnect=SOON,
        receive_queue_messages=3,
        receive_overflow="drop_oldest",
    )
    for i in range(3):
        accept(raw_listener, frame(TEXT, b"%d" % i) + frame(TEXT, b"and")).sock.close()
        recorder.wait("reconnect", i + 1)
    assert wsfast.get_messages(number) == ["and", "2", "and"]


def test_what_was_not_sent_is_counted_and_never_sent_again(
    raw_listener: Any, recorder: Any
) -> None:
    raw_listener.shrink()
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, reconnect=SOON, send_overflow="fail"
    )
    peer = accept(raw_listener)
    recorder.wait("open")
    assert wsfast.send(number, b"read")
    assert peer.read_frame().payload == b"read"
    accepted = 0
    while wsfast.send(number, b"x" * 1_000_000):
        accepted += 1
    peer.reset()
    ((text,),) = recorder.wait("error")
    assert text.startswith("connection lost: 1006 ")
    _, _, rest = text.partition("; up to ")
    assert rest.endswith(" messages that were queued have not been sent")
    assert 1 <= int(rest.split()[0]) <= accepted
    peer = accept_next(raw_listener, recorder)
    check_works(number, peer, b"new")


def test_a_peer_that_closes_before_it_has_read_all_is_told_to_on_error(
    raw_listener: Any, recorder: Any
) -> None:
    raw_listener.shrink()
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, reconnect=SOON, send_overflow="fail"
    )
    peer = accept(raw_listener)
    recorder.wait("open")
    while wsfast.send(number, b"x" * 1_000_000):
        pass
    peer.send(close_frame(1012, b"restarting"))
    recorder.wait("reconnect")
    ((text,),) = recorder.of("error")
    assert text.startswith("connection closed: 1012 restarting; up to ")


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
    peer = accept(raw_listener)
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
        peer = accept(raw_listener)
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
    accept(raw_listener).reset()
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


# ---------------------------------------------------------------- what connect refuses


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"reconnect": 5}, TypeError, "reconnect"),
        ({"reconnect": "yes"}, TypeError, "reconnect"),
        ({"reconnect": {"factr": 2}}, TypeError, "factr"),
        ({"reconnect": {"factor": "2"}}, TypeError, "factor"),
        ({"reconnect": {"initial": -1}}, ValueError, "initial"),
        ({"reconnect": {"attempts": 0}}, wsfast.InvalidOption, "attempts"),
        ({"on_reconnect": 5}, TypeError, "on_reconnect"),
    ],
)
def test_a_bad_policy_raises_at_the_call_and_names_the_field(
    raw_listener: Any, arguments: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=name):
        wsfast.connect(raw_listener.url, **arguments)
    assert wsfast.list() == []


def test_a_bad_url_is_not_tried_again(recorder: Any) -> None:
    assert wsfast.connect("nonsense", **recorder.callbacks, reconnect=True) == 0
    assert [entry[0] for entry in recorder.log] == ["error"]
