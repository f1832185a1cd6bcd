"""An open connection: messages in and out, its states, and what can be sent when."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from protocol_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Driven,
    Frame,
    Watched,
    answer,
    close_payload,
    new,
    new_client,
    new_server,
    request,
)

from wsfast.protocol.constants import State
from wsfast.protocol.errors import (
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    ForkedError,
    HandshakeError,
    ProtocolError,
    WebSocketError,
)

CONNECTING, CONNECTED, CLOSING = State.CONNECTING, State.CONNECTED, State.CLOSING
DISCONNECTED, ERROR = State.DISCONNECTED, State.ERROR

# ------------------------------------------------------------------ messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_messages_of_every_length(role: str, size: int) -> None:
    driven = Driven(role)
    text, binary = "x" * size, b"\xff" * size
    driven.connection.send(text)
    driven.connection.send(binary)
    assert driven.connection.pending_frames == 2
    assert driven.connection.pending > 2 * size
    assert driven.says() == [Frame(TEXT, text.encode()), Frame(BINARY, binary)]
    assert (driven.connection.pending, driven.connection.pending_frames) == (0, 0)
    assert driven.says() == []
    frames = driven.frame(TEXT, text.encode()), driven.frame(BINARY, binary)
    assert driven.hears(*frames) == [text, binary]


def test_fragments_with_a_ping_between(role: str) -> None:
    driven = Driven(role)
    assert driven.hears(driven.frame(TEXT, b"a\xc3", fin=False), driven.frame(PING, b"p")) == []
    assert driven.says() == [Frame(PONG, b"p")]
    assert driven.hears(driven.frame(CONTINUATION, b"\xa9")) == ["aé"]


def test_received_does_what_feed_does(role: str) -> None:
    driven = Driven(role)
    stream = (
        driven.frame(TEXT, b"a" * 100_000)
        + driven.frame(PING, b"p")
        + driven.frame(BINARY, b"b")
        + driven.close_frame(1000)
    )
    messages: list[str | bytes] = []
    while stream:
        view = memoryview(driven.connection.get_buffer())
        size = min(len(view), len(stream))
        view[:size] = stream[:size]
        view.release()
        messages += driven.connection.received(size, 0.0)
        stream = stream[size:]
    assert messages == ["a" * 100_000, b"b"]
    driven.connection.settle(0.0)
    assert driven.says() == [Frame(PONG, b"p"), Frame(CLOSE, close_payload(1000))]


@pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"ab"), memoryview(b"a_b_")[::2]])
def test_anything_bytes_like_is_binary(role: str, data: bytes) -> None:
    driven = Driven(role)
    driven.connection.send(data)
    assert driven.says() == [Frame(BINARY, b"ab")]


# ------------------------------------------------------------------ what cannot be sent


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (None, TypeError),
        (1, TypeError),
        (1.5, TypeError),
        (["a"], TypeError),
        ("\ud800", ValueError),
        ("ok \udfff", ValueError),
    ],
)
def test_what_cannot_be_sent_queues_nothing(
    role: str, data: object, error: type[Exception]
) -> None:
    driven = Driven(role)
    with pytest.raises(error):
        driven.connection.send(data)
    assert driven.connection.pending == 0
    driven.connection.send("next")
    assert driven.says() == [Frame(TEXT, b"next")]


@pytest.mark.parametrize(
    ("data", "error"), [(b"x" * 126, ValueError), ("text", TypeError), (5, TypeError)]
)
def test_a_ping_that_cannot_be_sent_has_no_number(
    role: str, data: object, error: type[Exception]
) -> None:
    driven = Driven(role)
    with pytest.raises(error):
        driven.connection.ping(data, 0.0)
    assert driven.connection.pending == 0
    assert driven.connection.ping(b"x" * 125, 0.0) == 1


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (999, "", ValueError),
        (1005, "", ValueError),
        (1006, "", ValueError),
        (2000, "", ValueError),
        (5000, "", ValueError),
        (1000, "x" * 124, ValueError),
        (1000, "\ud800", ValueError),
        (True, "", TypeError),
        ("1000", "", TypeError),
        (1000, b"", TypeError),
    ],
)
def test_a_close_that_cannot_be_sent_closes_nothing(
    role: str, code: int, reason: str, error: type[Exception]
) -> None:
    for connection in (new(role), Driven(role).connection):
        state, pending = connection.state, connection.pending
        with pytest.raises(error):
            connection.close(code, reason, 0.0)
        assert (connection.state, connection.pending) == (state, pending)


def cannot_send(connection: Watched) -> WebSocketError:
    """The error of every operation that needs an open connection."""
    errors = []
    pending = connection.pending
    for operation in (
        connection.check_open,
        lambda: connection.send("x"),
        lambda: connection.send(None),
        lambda: connection.ping(b"", 0.0),
    ):
        with pytest.raises(WebSocketError) as caught:
            operation()
        errors.append(caught.value)
    assert connection.pending == pending
    assert len({id(error) for error in errors}) == 4, "an exception that is raised twice"
    assert len({(type(error), str(error)) for error in errors}) == 1
    return errors[0]


def test_nothing_can_be_sent_while_connecting(role: str) -> None:
    error = cannot_send(new(role))
    assert type(error) is WebSocketError
    assert str(error) == "not connected yet"


def closed_error(connection: Watched) -> tuple[type[ConnectionClosed], int, str]:
    error = cannot_send(connection)
    assert isinstance(error, ConnectionClosed)
    return type(error), error.code, error.reason


def test_nothing_can_be_sent_after_our_close(role: str) -> None:
    driven = Driven(role)
    driven.connection.close(1000, "bye", 0.0)
    assert closed_error(driven.connection) == (ConnectionClosed, 1006, "closing")
    driven.hears(driven.close_frame(4000, "mine"))
    assert closed_error(driven.connection) == (ConnectionClosed, 4000, "mine")
    driven.connection.eof(0.0)
    assert closed_error(driven.connection) == (ConnectionClosed, 4000, "mine")


def test_nothing_can_be_sent_after_the_peers_close(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.close_frame(4000, "mine"))
    driven.connection.send("reply")
    driven.connection.settle(0.0)
    assert closed_error(driven.connection) == (ConnectionClosed, 4000, "mine")


def test_nothing_can_be_sent_after_a_violation(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(3))
    driven.connection.settle(0.0)
    assert closed_error(driven.connection) == (ProtocolError, 1002, "reserved opcode")


def test_nothing_can_be_sent_after_a_loss(role: str) -> None:
    driven = Driven(role)
    driven.connection.lost("connection reset", 0.0)
    assert closed_error(driven.connection) == (ConnectionLost, 1006, "connection reset")


def test_nothing_can_be_sent_after_it_was_given_up(role: str) -> None:
    connection = new(role)
    connection.close(1000, "", 0.0)
    text = "closed before the connection was open"
    assert closed_error(connection) == (ConnectionClosed, 1006, text)


def test_nothing_can_be_sent_after_a_failed_opening() -> None:
    client = new_client()
    client.feed(b"HTTP/1.1 404 Not Found\r\n\r\n", 0.0)
    kind, code, reason = closed_error(client)
    assert (kind, code) == (ConnectionLost, 1006)
    assert "404 Not Found" in reason


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ForkedError(), (ForkedError, 1006, "the connection was opened before fork()")),
        (ConnectionClosed(1001, "shut down"), (ConnectionClosed, 1001, "shut down")),
        (WebSocketError("why"), (ConnectionLost, 1006, "why")),
    ],
)
def test_nothing_can_be_sent_after_it_was_abandoned(
    role: str, error: WebSocketError, raised: tuple[type, int, str]
) -> None:
    connection = Driven(role).connection
    connection.abandon(error)
    assert connection.error is error
    assert (connection.close_code, connection.close_reason) == raised[1:]
    assert closed_error(connection) == raised


# ------------------------------------------------------------------ states

# Every step that there is; RFC 6455 and seed 004 know no other.
STEPS = {
    (CONNECTING, CONNECTED),
    (CONNECTING, CLOSING),
    (CONNECTING, DISCONNECTED),
    (CONNECTING, ERROR),
    (CONNECTED, CLOSING),
    (CONNECTED, ERROR),
    (CLOSING, DISCONNECTED),
    (CLOSING, ERROR),
}
LATE = 1000.0


def peer_closes(driven: Driven) -> None:
    driven.hears(driven.close_frame(1000))


def connecting(role: str) -> Watched:
    return new(role)


def connected(role: str) -> Watched:
    return Driven(role).connection


def unsettled(role: str) -> Watched:
    driven = Driven(role)
    peer_closes(driven)
    return driven.connection


def closing(role: str) -> Watched:
    driven = Driven(role)
    driven.connection.close(1000, "", 0.0)
    return driven.connection


def answered(role: str) -> Watched:
    driven = Driven(role)
    peer_closes(driven)
    driven.connection.settle(0.0)
    return driven.connection


def failed(role: str) -> Watched:
    driven = Driven(role)
    driven.hears(driven.frame(3))
    driven.connection.settle(0.0)
    return driven.connection


def ended(role: str) -> Watched:
    connection = answered(role)
    connection.eof(0.0)
    return connection


def given_up(role: str) -> Watched:
    connection = new(role)
    connection.close(1000, "", 0.0)
    return connection


def lost(role: str) -> Watched:
    connection = connected(role)
    connection.lost("reset", 0.0)
    return connection


def told(role: str, opcode: int, payload: bytes = b"") -> bytes:
    return Driven(role).frame(opcode, payload)


# What happens, and the state after it in each situation above. None: before the connection is
# open, bytes are HTTP, and the tests of the handshakes are about that.
ORDER = (connecting, connected, unsettled, closing, answered, failed, ended, given_up, lost)
OVER = (DISCONNECTED, DISCONNECTED, ERROR)
HAPPENINGS: dict[str, tuple[Callable[[Watched, str], object], tuple[State | None, ...]]] = {
    "no deadline": (
        lambda connection, role: connection.tick(0.5),
        (CONNECTING, CONNECTED, CONNECTED, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "a message": (
        lambda connection, role: connection.feed(told(role, TEXT, b"x"), 0.5),
        (None, CONNECTED, CONNECTED, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "a close frame": (
        lambda connection, role: connection.feed(told(role, CLOSE), 0.5),
        (None, CONNECTED, CONNECTED, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "a violation": (
        lambda connection, role: connection.feed(told(role, 3), 0.5),
        (None, CONNECTED, CONNECTED, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "settle()": (
        lambda connection, role: connection.settle(0.5),
        (CONNECTING, CONNECTED, CLOSING, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "close()": (
        lambda connection, role: connection.close(1000, "", 0.5),
        (DISCONNECTED, CLOSING, CLOSING, CLOSING, CLOSING, CLOSING, *OVER),
    ),
    "a deadline": (
        lambda connection, role: connection.tick(LATE),
        (ERROR, CONNECTED, CLOSING, ERROR, DISCONNECTED, ERROR, *OVER),
    ),
    "the end of the stream": (
        lambda connection, role: connection.eof(0.5),
        (ERROR, ERROR, DISCONNECTED, ERROR, DISCONNECTED, ERROR, *OVER),
    ),
    "a loss": (
        lambda connection, role: connection.lost("reset", 0.5),
        (ERROR, ERROR, DISCONNECTED, ERROR, DISCONNECTED, ERROR, *OVER),
    ),
    "abandon()": (
        lambda connection, role: connection.abandon(ForkedError()),
        (ERROR, ERROR, ERROR, ERROR, DISCONNECTED, ERROR, *OVER),
    ),
}


CASES = [
    pytest.param(situation, happen, expected, id=f"{situation.__name__}-{happening}")
    for happening, (happen, after) in HAPPENINGS.items()
    for situation, expected in zip(ORDER, after, strict=True)
    if expected is not None
]


@pytest.mark.parametrize(("situation", "happen", "expected"), CASES)
def test_what_happens_in_each_state(
    role: str,
    situation: Callable[[str], Watched],
    happen: Callable[[Watched, str], object],
    expected: State,
) -> None:
    connection = situation(role)
    over = connection.finished
    last = connection.error, connection.close_code, connection.close_reason, connection.states[:]
    happen(connection, role)
    assert connection.state is expected
    assert set(pairwise(connection.states)) <= STEPS
    if over:
        happen(connection, role)
        assert last == (
            connection.error,
            connection.close_code,
            connection.close_reason,
            connection.states,
        )
    assert (connection.deadline is None) == (
        connection.finished or (connection.state is CONNECTED and not connection.unsettled)
    )
    assert connection.finished == (connection.state in (DISCONNECTED, ERROR))
    if connection.finished:
        assert connection.close_code is not None
        assert (connection.error is None) == (connection.state is DISCONNECTED)


def test_every_step_is_taken() -> None:
    seen = set()
    for role in ("client", "server"):
        for case in CASES:
            situation, happen, _ = case.values
            connection = situation(role)
            happen(connection, role)
            seen |= set(pairwise(connection.states))
    server = new_server()
    server.feed(b"?\r\n\r\n", 0.0)
    seen |= set(pairwise(server.states))
    assert seen == STEPS


# ------------------------------------------------------------------ the opening's deadline


def test_the_opening_is_bounded(role: str) -> None:
    connection = new(role, now=10.0, dial_timeout="3s")
    assert connection.deadline == 13.0
    connection.tick(12.9)
    assert connection.state is CONNECTING
    connection.tick(13.0)
    assert connection.state is ERROR
    assert type(connection.error) is ConnectTimeout
    assert str(connection.error) == "timeout: not open within dial_timeout"
    assert (connection.close_code, connection.close_reason) == (1006, str(connection.error))
    assert connection.deadline is None


def test_bytes_do_not_extend_the_opening(role: str) -> None:
    connection = new(role, dial_timeout="3s")
    started = b"GET / HTTP/1.1\r\nX: " if role == "server" else b"HTTP/1.1 101 S\r\nX: "
    connection.feed(started, 2.9)
    assert connection.deadline == 3.0
    connection.tick(3.0)
    assert connection.state is ERROR
    assert not connection.half_close


def test_a_request_that_nobody_accepts_is_bounded() -> None:
    server = new_server(dial_timeout="3s")
    server.feed(request(), 1.0)
    server.tick(3.0)
    assert isinstance(server.error, ConnectTimeout)


def test_no_limit_for_the_opening(role: str) -> None:
    connection = new(role, dial_timeout=None)
    assert connection.deadline is None
    connection.tick(1e9)
    assert connection.state is CONNECTING


def test_the_deadline_ends_with_the_opening(role: str) -> None:
    driven = Driven(role, dial_timeout="3s")
    assert driven.connection.deadline is None
    driven.connection.tick(1e9)
    assert driven.connection.state is CONNECTED


def test_an_opening_can_be_abandoned(role: str) -> None:
    connection = new(role)
    first = HandshakeError("first")
    connection.abandon(first)
    connection.abandon(HandshakeError("second"))
    assert connection.error is first
    assert connection.states == [CONNECTING, ERROR]


def test_the_receive_buffer_is_there_in_every_state(role: str) -> None:
    for situation in ORDER:
        view = memoryview(situation(role).get_buffer())
        assert len(view) > 0
        assert not view.readonly


def test_an_answer_after_the_opening_was_given_up_is_ignored() -> None:
    client = new_client()
    good = answer(client.data_to_send())
    client.get_buffer()[: len(good)] = good
    client.close(1000, "", 0.0)
    assert client.received(len(good), 0.0) == ()
    assert client.states == [CONNECTING, DISCONNECTED]
