"""The ID API (seed 004): `close`, `disconnect_all`, and what they do while connecting."""

import socket
import threading
from typing import Any

import pytest

import wsfast

WAIT = 10.0


def test_close_twice_and_after_the_end_is_true(echo_server: Any, recorder: Any) -> None:
    number = wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options)
    assert recorder.opened.wait(WAIT)
    assert wsfast.close(number) is True
    assert wsfast.close(number) is True
    recorder.wait_closed()
    assert wsfast.close(number) is True
    assert [entry[0] for entry in recorder.log] == ["open", "close"]


def test_code_and_reason_reach_the_peer(start_server: Any, recorder: Any, collector: Any) -> None:
    number = wsfast.connect(start_server(collector).url, **recorder.callbacks)
    assert recorder.opened.wait(WAIT)
    wsfast.close(number, 4001, "tired \N{SNOWMAN}")
    assert collector.ended.get(timeout=WAIT) == (4001, "tired \N{SNOWMAN}")
    assert recorder.wait_closed()[0] == 4001


def test_code_and_reason_of_the_peer_reach_on_close(start_server: Any, recorder: Any) -> None:
    endpoint = start_server(lambda connection: connection.close(4002, "go away"))
    wsfast.connect(endpoint.url, **recorder.callbacks)
    assert recorder.wait_closed() == (4002, "go away")
    assert recorder.errors == []


@pytest.mark.parametrize("size", [10, 100_000])
def test_the_close_frame_comes_after_everything_queued(
    start_server: Any, recorder: Any, size: int, collector: Any
) -> None:
    number = wsfast.connect(start_server(collector).url, **recorder.callbacks)
    assert recorder.opened.wait(WAIT)
    for i in range(100):
        assert wsfast.send(number, f"{i}".ljust(size))
    wsfast.close(number)
    assert collector.ended.get(timeout=WAIT)[0] == 1000
    assert [int(collector.messages.get_nowait()) for _ in range(100)] == [*range(100)]
    assert recorder.wait_closed()[0] == 1000


@pytest.mark.parametrize("url", ["stalled_url", "black_hole_url"])
def test_close_while_connecting_ends_with_one_on_close(
    url: str, recorder: Any, request: pytest.FixtureRequest, join_connection: Any
) -> None:
    number = wsfast.connect(request.getfixturevalue(url), **recorder.callbacks, dial_timeout=None)
    assert wsfast.close(number) is True
    assert recorder.wait_closed()[0] == 1006
    join_connection(number)
    assert [entry[0] for entry in recorder.log] == ["close"]
    assert wsfast.get_state(number) == "disconnected"


def test_on_open_is_not_called_for_who_closed_while_connecting(
    start_server: Any, recorder: Any, monkeypatch: pytest.MonkeyPatch, join_connection: Any
) -> None:
    """The opening is given up, and goes on before the thread that dials has heard of it."""
    resolving, given_up = threading.Event(), threading.Event()
    getaddrinfo = socket.getaddrinfo

    def slow_getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        resolving.set()
        assert given_up.wait(WAIT)
        return getaddrinfo(*args, **kwargs)

    endpoint = start_server(lambda connection: connection.receive())
    monkeypatch.setattr(
        "wsfast.threads.dial.Cancel.cancel", lambda self: (given_up.set(), join_connection(number))
    )
    monkeypatch.setattr("socket.getaddrinfo", slow_getaddrinfo)
    number = wsfast.connect(endpoint.url, **recorder.callbacks)
    assert resolving.wait(WAIT)
    wsfast.close(number)
    recorder.wait_closed()
    assert [entry[0] for entry in recorder.log] == ["close"]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_a_value_error_and_nothing_is_closed(
    start_server: Any, collector: Any, stalled_url: str, make_recorder: Any, code: int
) -> None:
    for url, state in ((start_server(collector).url, "connected"), (stalled_url, "connecting")):
        recorder = make_recorder()
        number = wsfast.connect(url, **recorder.callbacks)
        if state == "connected":
            assert recorder.opened.wait(WAIT)
        with pytest.raises(ValueError, match="close code"):
            wsfast.close(number, code)
        with pytest.raises(ValueError, match="123"):
            wsfast.close(number, 1000, "x" * 124)
        with pytest.raises(TypeError):
            wsfast.close(number, "1000")  # type: ignore[arg-type]
        assert wsfast.get_state(number) == state
        wsfast.close(number)
        recorder.wait_closed()


def test_disconnect_all_closes_every_connection(
    start_server: Any, stalled_url: str, make_recorder: Any, collector: Any
) -> None:
    endpoint = start_server(collector)
    recorders = [make_recorder() for _ in range(3)]
    for recorder in recorders:
        wsfast.connect(endpoint.url, **recorder.callbacks)
        assert recorder.opened.wait(WAIT)
    connecting = make_recorder()
    wsfast.connect(stalled_url, **connecting.callbacks)
    wsfast.disconnect_all()
    assert [recorder.wait_closed()[0] for recorder in recorders] == [1000] * 3
    assert connecting.wait_closed()[0] == 1006
    assert [collector.ended.get(timeout=WAIT)[0] for _ in recorders] == [1000] * 3
    assert wsfast.list() == []
    wsfast.disconnect_all()
