"""The ID API (seed 004): connecting, states, sending, taking messages, errors.

Closing is in test_api_close.py, what callbacks see in test_api_callbacks.py, queues and threads in
test_api_threads.py, processes in test_api_process.py.
"""

import base64
import datetime
import json
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

import wsfast

UNKNOWN = 2**40
"""An id that no test ever gets."""

WAIT = 10.0


@pytest.fixture
def plain_server(start_server: Any, collector: Any) -> Any:
    """For what has nothing to do with TLS."""
    return start_server(collector)


# ---------------------------------------------------------------- connecting


def test_an_id_is_above_zero_and_returned_while_the_server_says_nothing(
    stalled_url: str, recorder: Any
) -> None:
    number = wsfast.connect(stalled_url, **recorder.callbacks)
    assert number > 0
    assert wsfast.get_state(number) == "connecting"
    assert not wsfast.is_connected(number)
    wsfast.close(number)
    recorder.wait_closed()


def test_ids_are_never_reused(echo_server: Any, make_recorder: Any) -> None:
    numbers = []
    for _ in range(5):
        recorder = make_recorder()
        numbers.append(wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options))
        assert recorder.opened.wait(WAIT)
        wsfast.close(numbers[-1])
        recorder.wait_closed()
    assert wsfast.connect("nonsense") == 0
    assert numbers == sorted(set(numbers))


def test_messages_of_both_kinds_come_back(echo_server: Any, recorder: Any) -> None:
    number = wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options)
    assert recorder.opened.wait(WAIT)
    sent = ["text", b"binary", "", b"", "\N{SNOWMAN}" * 1000, bytes(range(256)) * 1000]
    for message in sent:
        assert wsfast.send(number, message) is True
    assert recorder.wait_messages(len(sent)) == sent
    wsfast.close(number)
    assert recorder.wait_closed() == (1000, "")
    assert recorder.errors == []


@pytest.mark.parametrize(
    "view",
    [bytearray(b"data"), memoryview(b"data"), memoryview(b"d.a.t.a.")[::2]],
    ids=["bytearray", "memoryview", "strided"],
)
def test_bytes_like_data_is_sent_as_binary(start_server: Any, view: Any, collector: Any) -> None:
    opened = threading.Event()
    number = wsfast.connect(start_server(collector).url, on_open=opened.set)
    assert opened.wait(WAIT)
    assert wsfast.send(number, view)
    assert collector.messages.get(timeout=WAIT) == b"data"


@pytest.mark.parametrize("data", [1, None, 1.5, ["x"], object()])
def test_other_data_raises_and_sends_nothing(
    start_server: Any, recorder: Any, data: Any, collector: Any
) -> None:
    number = wsfast.connect(start_server(collector).url, **recorder.callbacks)
    assert recorder.opened.wait(WAIT)
    with pytest.raises(TypeError):
        wsfast.send(number, data)
    with pytest.raises(ValueError, match="surrogate"):
        wsfast.send(number, "\ud800")
    assert wsfast.send(number, "still fine")
    assert collector.messages.get(timeout=WAIT) == "still fine"


# ---------------------------------------------------------------- states


def test_the_states_of_a_connection_that_is_closed(start_server: Any, recorder: Any) -> None:
    release = threading.Event()

    def handler(connection: Any) -> None:
        connection.receive()
        release.wait(WAIT)  # until then the close frame is not answered

    number = wsfast.connect(start_server(handler).url, **recorder.callbacks)
    assert recorder.opened.wait(WAIT)
    assert wsfast.get_state(number) == "connected"
    assert wsfast.is_connected(number) is True
    assert wsfast.send(number, "x")
    wsfast.close(number)
    assert wsfast.get_state(number) == "closing"
    assert wsfast.is_connected(number) is False
    release.set()
    assert recorder.wait_closed() == (1000, "")
    assert wsfast.get_state(number) == "disconnected"
    assert wsfast.is_connected(number) is False


def test_the_state_is_error_after_an_error(refused_port: int, recorder: Any) -> None:
    number = wsfast.connect(f"ws://127.0.0.1:{refused_port}/", **recorder.callbacks)
    assert number > 0
    code, reason = recorder.wait_closed()
    assert code == 1006
    assert [entry[0] for entry in recorder.log] == ["error", "close"]
    assert "connection refused" in recorder.errors[0]
    assert "connection refused" in reason
    assert wsfast.get_state(number) == "error"


def test_a_silent_server_is_a_timeout(stalled_url: str, recorder: Any) -> None:
    number = wsfast.connect(stalled_url, **recorder.callbacks, dial_timeout=50)
    assert recorder.wait_closed()[0] == 1006
    assert "timeout" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"


def test_an_unreachable_server_is_a_timeout(black_hole_url: str, recorder: Any) -> None:
    number = wsfast.connect(
        black_hole_url, **recorder.callbacks, dial_timeout=datetime.timedelta(milliseconds=50)
    )
    assert recorder.wait_closed()[0] == 1006
    assert "timeout" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"


def test_an_untrusted_certificate_is_a_tls_error(start_server: Any, recorder: Any) -> None:
    endpoint = start_server(lambda _: None, "wss")
    number = wsfast.connect(endpoint.url, **recorder.callbacks)
    assert recorder.wait_closed()[0] == 1006
    assert "TLS" in recorder.errors[0]
    assert wsfast.get_state(number) == "error"


def test_verification_can_be_switched_off(start_server: Any, recorder: Any) -> None:
    endpoint = start_server(lambda connection: connection.send("hello"), "wss")
    assert wsfast.connect(endpoint.url, **recorder.callbacks, verify=False)
    assert recorder.wait_closed() == (1000, "")
    assert recorder.messages == ["hello"]


# ---------------------------------------------------------------- unknown ids


def test_an_unknown_id_is_no_error() -> None:
    assert wsfast.send(UNKNOWN, "x") is False
    assert wsfast.close(UNKNOWN) is False
    assert wsfast.is_connected(UNKNOWN) is False
    assert wsfast.get_messages(UNKNOWN) == []
    assert wsfast.get_messages_json(UNKNOWN) == "[]"
    assert wsfast.get_state(UNKNOWN) == "disconnected"
    assert wsfast.get_url(UNKNOWN) == ""
    assert wsfast.get_state(0) == "disconnected"
    assert wsfast.close(-1) is False


@pytest.mark.parametrize("function", ["send", "close", "get_messages", "get_state", "get_url"])
def test_an_id_that_is_no_number_is_a_type_error(function: str) -> None:
    arguments = ["x"] if function == "send" else []
    with pytest.raises(TypeError, match="id"):
        getattr(wsfast, function)("1", *arguments)


def test_the_ended_are_forgotten_one_by_one(
    start_server: Any, make_recorder: Any, monkeypatch: pytest.MonkeyPatch, join_connection: Any
) -> None:
    monkeypatch.setattr("wsfast.api.ENDED_KEPT", 3)
    endpoint = start_server(lambda connection: connection.send("taken later"))
    numbers = []
    for _ in range(5):
        closed = threading.Event()
        numbers.append(wsfast.connect(endpoint.url, on_close=lambda *_, e=closed: e.set()))
        assert closed.wait(WAIT)
        join_connection(numbers[-1])
    assert [wsfast.get_url(n) for n in numbers] == ["", ""] + [endpoint.url] * 3
    assert [wsfast.get_messages(n) for n in numbers] == [[], []] + [["taken later"]] * 3


def test_the_ended_are_forgotten_when_what_they_left_is_too_much(
    start_server: Any, monkeypatch: pytest.MonkeyPatch, join_connection: Any
) -> None:
    monkeypatch.setattr("wsfast.api.ENDED_BYTES", 25)
    endpoint = start_server(lambda connection: connection.send(b"ten bytes!"))
    numbers = []
    for _ in range(4):
        closed = threading.Event()
        numbers.append(wsfast.connect(endpoint.url, on_close=lambda *_, e=closed: e.set()))
        assert closed.wait(WAIT)
        join_connection(numbers[-1])
    left = [wsfast.get_messages(n) for n in numbers]
    assert left == [[], [], [b"ten bytes!"], [b"ten bytes!"]]


def test_the_ended_hold_no_connection(
    start_server: Any, recorder: Any, join_connection: Any
) -> None:
    endpoint = start_server(lambda connection: connection.send("x"))
    number = wsfast.connect(endpoint.url, **recorder.callbacks)
    recorder.wait_closed()
    join_connection(number)
    session = wsfast.api._registry.get(number)
    assert session is not None
    assert session.connection is None
    assert session.callbacks is None
    assert wsfast.get_state(number) == "disconnected"
    assert not wsfast.send(number, "x")
    assert wsfast.close(number)
    with pytest.raises(ValueError, match="1005"):
        wsfast.close(number, 1005)


# ---------------------------------------------------------------- messages


@pytest.fixture
def sent_and_closed(start_server: Any) -> int:
    """An id whose server has sent text and binary and has closed; nobody has taken anything."""

    def handler(connection: Any) -> None:
        for message in ("one", b"\x00\xfftwo", "drei \N{SNOWMAN}"):
            connection.send(message)
        connection.close(1000, "that was all")

    closed = threading.Event()
    number = wsfast.connect(start_server(handler).url, on_close=lambda *_: closed.set())
    assert closed.wait(WAIT)
    return number


def test_get_messages_takes_all_in_order_also_after_the_close(sent_and_closed: int) -> None:
    assert wsfast.get_state(sent_and_closed) == "disconnected"
    assert wsfast.get_messages(sent_and_closed) == ["one", b"\x00\xfftwo", "drei \N{SNOWMAN}"]
    assert wsfast.get_messages(sent_and_closed) == []


def test_get_messages_json_is_an_array_with_binary_in_base64(sent_and_closed: int) -> None:
    text = wsfast.get_messages_json(sent_and_closed)
    assert json.loads(text) == [
        "one",
        {"binary": base64.b64encode(b"\x00\xfftwo").decode()},
        "drei \N{SNOWMAN}",
    ]
    assert wsfast.get_messages_json(sent_and_closed) == "[]"


def test_get_messages_is_empty_where_on_message_gets_them(start_server: Any, recorder: Any) -> None:
    number = wsfast.connect(start_server(lambda c: c.send("x")).url, **recorder.callbacks)
    recorder.wait_closed()
    assert recorder.messages == ["x"]
    assert wsfast.get_messages(number) == []


# ---------------------------------------------------------------- sending when it cannot be


def test_send_is_false_while_connecting(stalled_url: str, recorder: Any) -> None:
    number = wsfast.connect(stalled_url, **recorder.callbacks)
    assert wsfast.send(number, "x") is False
    wsfast.close(number)
    recorder.wait_closed()


def test_send_is_false_after_close(echo_server: Any, recorder: Any) -> None:
    number = wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options)
    assert recorder.opened.wait(WAIT)
    wsfast.close(number)
    assert wsfast.send(number, "x") is False
    recorder.wait_closed()
    assert wsfast.send(number, "x") is False
    assert recorder.messages == []


# ---------------------------------------------------------------- list, get_url


def test_list_tells_id_url_and_state_of_the_active(
    start_server: Any, stalled_url: str, make_recorder: Any, collector: Any
) -> None:
    assert wsfast.list() == []
    opened, connecting = make_recorder(), make_recorder()
    url = start_server(collector).url + "path?query=1"
    first = wsfast.connect(url, **opened.callbacks)
    second = wsfast.connect(stalled_url, **connecting.callbacks)
    assert opened.opened.wait(WAIT)
    assert wsfast.list() == [
        {"id": first, "url": url, "state": "connected"},
        {"id": second, "url": stalled_url, "state": "connecting"},
    ]
    wsfast.close(first)
    opened.wait_closed()
    assert [entry["id"] for entry in wsfast.list()] == [second]
    assert wsfast.get_url(first) == url
    assert wsfast.get_url(second) == stalled_url
    wsfast.close(second)
    connecting.wait_closed()


# ---------------------------------------------------------------- what connect refuses


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://localhost/", "ws://", "ws://localhost:99999/", "ws://a b/"]
)
def test_a_bad_url_is_told_to_on_error_and_the_id_is_zero(url: str, recorder: Any) -> None:
    assert wsfast.connect(url, **recorder.callbacks) == 0
    assert [entry[0] for entry in recorder.log] == ["error"]
    assert recorder.errors[0]
    assert wsfast.connect(url) == 0


def test_on_error_for_a_bad_url_gets_user_data_and_may_raise() -> None:
    seen: list[Any] = []

    def on_error(text: str, data: object) -> None:
        seen.append((text, data, wsfast.current()))
        raise RuntimeError("from on_error")

    assert wsfast.connect("nonsense", on_error=on_error, user_data="data") == 0
    ((text, data, current),) = seen
    assert text
    assert (data, current) == ("data", 0)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"no_such_option": 1}, TypeError),
        ({"dial_timeout": []}, TypeError),
        ({"read_limit": "1"}, TypeError),
        ({"on_open": 5}, TypeError),
        ({"dial_timeout": -1}, ValueError),
        ({"dial_timeout": "5 parsecs"}, ValueError),
        ({"read_limit": -1}, ValueError),
        ({"receive_queue_messages": 0}, ValueError),
        ({"send_overflow": "explode"}, ValueError),
        ({"headers": {"A": "b\r\nC: d"}}, ValueError),
        ({"headers": {"A\0": "b"}}, ValueError),
        ({"protocols": ["a b"]}, ValueError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
def test_a_bad_option_raises_at_the_call_and_names_it(
    plain_server: Any, option: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(option))):
        wsfast.connect(plain_server.url, **option)
    assert wsfast.list() == []
    assert plain_server.server.connections == []


def test_a_url_that_is_no_string_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        wsfast.connect(5)  # type: ignore[arg-type]


def test_headers_and_subprotocols_reach_the_server(
    start_server: Callable[..., Any], recorder: Any
) -> None:
    seen: queue.Queue[Any] = queue.Queue()

    def handler(connection: Any) -> None:
        request = connection.request
        seen.put((request.path, request.query, request.headers.get_all("X-A"), request.origin))
        seen.put(connection.subprotocol)

    url = start_server(handler, protocols=["b", "a"], origins=["*"]).url + "p?q"
    wsfast.connect(
        url,
        **recorder.callbacks,
        headers=[("X-A", "1"), ("X-A", "2")],
        protocols=["a", "b"],
        origin="http://example.com",
    )
    assert seen.get(timeout=WAIT) == ("/p", "q", ["1", "2"], "http://example.com")
    assert seen.get(timeout=WAIT) == "b"
    recorder.wait_closed()
