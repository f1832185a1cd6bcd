"""The ID API: `reconnect=`. What is opened again, what not, and how often.

The wait and its callbacks are in test_api_reconnect_wait.py, messages in
test_api_reconnect_messages.py, processes in test_api_reconnect_process.py, the delays in
protocol/test_reconnect.py.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from raw_peers import BINARY, TEXT, close_frame, frame, header
from reconnecting import SOON, accept_next

import wsfast
from wsfast.server import Server, serve

WAIT = 10.0


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


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
        {"dial_timeout": 500},
    ),
    "silence": (lambda peer: (peer.upgrade(), peer.read_close()), 1008, {"read_timeout": 500}),
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
    peer = raw_listener.upgrade()
    recorder.wait("open")
    peer.reset()
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
