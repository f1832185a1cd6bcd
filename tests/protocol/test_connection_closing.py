"""How connections end: who closes when, with which code, and what still goes out before."""

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
    close_payload,
    frame,
    new,
)

from wsfast.protocol.connection import LINGER
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, ProtocolError

# ------------------------------------------------------------------ we close


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (4999, "é" * 61)])
def test_we_close_and_the_peer_answers(role: str, code: int, reason: str) -> None:
    driven = Driven(role)
    driven.connection.send("queued")
    driven.connection.close(code, reason, 1.0)
    assert driven.connection.state is State.CLOSING
    assert driven.connection.close_code is None
    assert driven.says() == [Frame(TEXT, b"queued"), Frame(CLOSE, close_payload(code, reason))]
    # What the peer sent before it saw our close frame still counts; its ping needs no answer.
    assert driven.hears(driven.frame(TEXT, b"a"), driven.frame(PING), now=2.0) == ["a"]
    late = driven.frame(TEXT, b"after")
    assert driven.hears(driven.frame(BINARY, b"b"), driven.close_frame(code), late) == [b"b"]
    assert driven.connection.input_ended
    assert not driven.connection.unsettled
    assert driven.says() == []
    driven.connection.eof(3.0)
    assert driven.connection.states[1:] == [State.CONNECTED, State.CLOSING, State.DISCONNECTED]
    assert driven.connection.error is None
    assert (driven.connection.close_code, driven.connection.close_reason) == (code, "")


def test_close_twice_sends_one_frame_and_does_not_extend_the_deadline(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    driven.connection.close(1000, "first", 1.0)
    driven.connection.close(4000, "second", 2.0)
    assert driven.says() == [Frame(CLOSE, close_payload(1000, "first"))]
    assert driven.connection.deadline == 6.0


def test_close_while_connecting_gives_up(role: str) -> None:
    connection = new(role)
    connection.close(4000, "never sent", 1.0)
    connection.close(1000, "", 2.0)
    assert connection.states == [State.CONNECTING, State.DISCONNECTED]
    assert connection.error is None
    text = "closed before the connection was open"
    for ending in (
        lambda: None,
        lambda: connection.eof(2.0),
        lambda: connection.lost("reset", 3.0),
    ):
        ending()
        assert (connection.close_code, connection.close_reason) == (1006, text)
        assert connection.error is None


def test_a_silent_peer_is_left_after_close_timeout(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    driven.connection.close(1000, "", 1.0)
    assert driven.connection.deadline == 6.0
    # Neither bytes nor messages buy more time, and a ping gets no answer any more.
    assert driven.hears(driven.frame(TEXT, b"x"), driven.frame(PING, b"p"), now=5.9) == ["x"]
    assert driven.connection.deadline == 6.0
    driven.connection.tick(5.9)
    assert driven.connection.state is State.CLOSING
    driven.connection.tick(6.0)
    assert driven.connection.state is State.ERROR
    assert type(driven.connection.error) is ConnectionLost
    assert driven.connection.close_code == 1006
    text = "timeout: no close frame from the peer within close_timeout"
    assert driven.connection.close_reason == text
    assert driven.says() == [Frame(CLOSE, close_payload(1000))]


def test_both_close_at_once(role: str) -> None:
    driven = Driven(role)
    driven.connection.close(4001, "ours", 1.0)
    driven.hears(driven.close_frame(4002, "theirs"), now=1.0)
    assert driven.says() == [Frame(CLOSE, close_payload(4001, "ours"))]
    assert (driven.connection.close_code, driven.connection.close_reason) == (4002, "theirs")
    driven.connection.eof(1.0)
    assert driven.connection.state is State.DISCONNECTED


# ------------------------------------------------------------------ the peer closes

CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]


@pytest.mark.parametrize("code", CODES)
def test_the_code_is_echoed_without_the_reason(role: str, code: int) -> None:
    driven = Driven(role)
    assert driven.hears(driven.close_frame(code, "why é")) == []
    driven.connection.settle(0.0)
    assert driven.says() == [Frame(CLOSE, close_payload(code))]
    assert (driven.connection.close_code, driven.connection.close_reason) == (code, "why é")
    assert driven.connection.error is None


def test_an_empty_close_frame_is_echoed_empty(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(CLOSE))
    driven.connection.settle(0.0)
    assert driven.says() == [Frame(CLOSE, b"")]
    assert (driven.connection.close_code, driven.connection.close_reason) == (1005, "")
    driven.connection.eof(0.0)
    assert driven.connection.state is State.DISCONNECTED


def test_replies_go_out_before_the_answer(role: str) -> None:
    driven = Driven(role)
    frames = driven.frame(TEXT, b"q1"), driven.frame(TEXT, b"q2"), driven.close_frame(1000)
    assert driven.hears(*frames, driven.frame(TEXT, b"after the close")) == ["q1", "q2"]
    assert driven.connection.unsettled
    assert not driven.connection.input_ended
    assert driven.connection.state is State.CONNECTED
    driven.connection.send("a1")
    assert driven.hears(driven.frame(TEXT, b"later still")) == []
    driven.connection.send("a2")
    driven.connection.settle(0.0)
    assert not driven.connection.unsettled
    assert driven.says() == [
        Frame(TEXT, b"a1"),
        Frame(TEXT, b"a2"),
        Frame(CLOSE, close_payload(1000)),
    ]
    driven.connection.settle(0.0)
    assert driven.says() == []


def test_close_after_the_peers_close_does_nothing(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    driven.hears(driven.close_frame(4000, "theirs"), now=1.0)
    driven.connection.settle(1.0)
    driven.connection.close(1000, "ours", 1.5)
    assert driven.says() == [Frame(CLOSE, close_payload(4000))]
    assert (driven.connection.close_code, driven.connection.close_reason) == (4000, "theirs")
    assert driven.connection.deadline == 1.0 + LINGER


def test_close_while_the_peers_close_waits_is_clean(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    assert driven.hears(driven.frame(TEXT, b"x"), driven.close_frame(4000, "theirs")) == ["x"]
    driven.connection.close(1000, "ours", 1.0)
    assert not driven.connection.unsettled
    assert driven.says() == [Frame(CLOSE, close_payload(1000, "ours"))]
    assert driven.connection.close_code == 4000
    driven.connection.tick(1000.0)
    assert driven.connection.state is State.DISCONNECTED


@pytest.mark.parametrize("violation", [False, True])
def test_who_does_not_settle_is_not_waited_for(role: str, violation: bool) -> None:
    driven = Driven(role, close_timeout="5s", read_timeout="2s", ping_interval="1s")
    driven.hears(driven.frame(3) if violation else driven.close_frame(1000), now=1.0)
    assert driven.connection.deadline == 6.0
    driven.connection.tick(5.9)
    assert driven.connection.state is State.CONNECTED
    assert driven.says() == []
    driven.connection.tick(6.0)
    assert driven.connection.state is State.CLOSING
    (closing,) = driven.says()
    assert closing.payload[:2] == close_payload(1002 if violation else 1000)
    assert driven.connection.deadline == 6.0 + LINGER
    driven.connection.tick(6.0 + LINGER)
    assert driven.connection.state is (State.ERROR if violation else State.DISCONNECTED)


def test_what_comes_after_a_violation_does_not_put_off_the_end(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    driven.hears(driven.frame(3), now=1.0)
    driven.hears(driven.frame(TEXT, b"x"), now=4.0)
    assert driven.connection.deadline == 6.0


def test_the_first_reason_counts(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(3))
    driven.connection.settle(0.0)
    first = driven.connection.error
    driven.connection.abandon(ConnectionLost(1006, "given up"))
    assert driven.connection.error is first
    assert driven.connection.close_code == 1002
    assert driven.connection.state is State.ERROR


def test_nothing_spoils_an_end_that_both_have_agreed_on(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.close_frame(4000, "theirs"))
    driven.connection.settle(0.0)
    driven.connection.abandon(ConnectionLost(1006, "given up"))
    assert (driven.connection.close_code, driven.connection.close_reason) == (4000, "theirs")
    assert driven.connection.error is None
    assert driven.connection.state is State.DISCONNECTED


def test_close_while_a_violation_waits_tells_the_peer_of_it(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(3))
    driven.connection.close(1000, "all is well", 1.0)
    assert driven.says() == [Frame(CLOSE, close_payload(1002, "reserved opcode"))]
    assert driven.connection.close_code == 1002


def test_what_is_not_closed_by_both_is_not_clean(role: str) -> None:
    driven = Driven(role)
    driven.connection.close(1000, "", 1.0)
    error = driven.connection.closed_error()
    assert isinstance(error, ConnectionClosed)
    assert not error.clean
    connection = new(role)
    connection.close(1000, "", 1.0)
    error = connection.closed_error()
    assert isinstance(error, ConnectionClosed)
    assert (error.code, error.clean) == (1006, False)


def test_settle_after_the_connection_was_abandoned(role: str) -> None:
    for ending in (b"\x03\xe8", b"?"):
        driven = Driven(role)
        driven.hears(driven.frame(CLOSE, ending))
        error = ConnectionLost(1006, "given up")
        driven.connection.abandon(error)
        driven.connection.settle(1.0)
        assert driven.connection.error is error
        assert driven.connection.close_reason == "given up"
        assert not driven.connection.unsettled
        assert driven.says() == []


# ------------------------------------------------------------------ the peer breaks rules


def violations(driven: Driven) -> dict[str, tuple[bytes, int]]:
    def framed(opcode: int, payload: bytes = b"", **options) -> bytes:
        return driven.frame(opcode, payload, **options)

    other_role = frame(TEXT, b"x", masked=not driven.server)
    return {
        "reserved opcode": (framed(3), 1002),
        "reserved bits set": (bytes([0xC1]) + framed(TEXT)[1:], 1002),
        "masked" if not driven.server else "not masked": (other_role, 1002),
        "close payload of one byte": (framed(CLOSE, b"x"), 1002),
        "invalid close code": (framed(CLOSE, close_payload(1005)), 1002),
        "close reason is not UTF-8": (framed(CLOSE, b"\x03\xe8\xff"), 1007),
        "text is not UTF-8": (framed(TEXT, b"\xff"), 1007),
        "size limit": (framed(BINARY, b"x" * 101), 1009),
        "fragments": (framed(TEXT, fin=False) + framed(CONTINUATION, fin=False) * 3, 1009),
        "over 125 bytes": (framed(PING, b"x" * 126), 1002),
        "fragmented control": (framed(PING, fin=False), 1002),
        "without a message": (framed(CONTINUATION), 1002),
        "inside a fragmented one": (framed(TEXT, fin=False) + framed(TEXT), 1002),
    }


def broken(role: str) -> Driven:
    return Driven(role, read_limit=100, max_fragments=3, close_timeout="5s")


NAMES = [name for name in violations(broken("client")) if name != "masked"] + ["masked"]


@pytest.mark.parametrize("name", NAMES)
def test_a_violation(role: str, name: str) -> None:
    driven = broken(role)
    data, code = next(found for text, found in violations(driven).items() if name in text)
    before = driven.frame(TEXT, b"before"), driven.frame(PING, b"p")
    assert driven.hears(*before, data, driven.frame(TEXT, b"after"), now=1.0) == ["before"]
    driven.connection.send("reply")
    assert driven.hears(driven.frame(TEXT, b"later"), now=1.0) == []
    driven.connection.settle(1.0)
    pong, reply, closing = driven.says()
    assert (pong, reply) == (Frame(PONG, b"p"), Frame(TEXT, b"reply"))
    assert closing.opcode == CLOSE
    assert closing.payload[:2] == close_payload(code)
    assert name in closing.payload[2:].decode()
    assert type(driven.connection.error) is ProtocolError
    assert driven.connection.error.code == driven.connection.close_code == code
    assert driven.connection.error.reason == driven.connection.close_reason
    assert driven.connection.state is State.CLOSING
    # Nothing that comes now is looked at, not even a close frame.
    assert driven.hears(driven.frame(TEXT, b"x"), driven.close_frame(1000), now=1.5) == []
    assert driven.connection.deadline == 1.0 + LINGER
    driven.connection.eof(1.6)
    assert driven.connection.state is State.ERROR
    assert driven.connection.close_code == code


def test_a_violation_after_our_close_frame(role: str) -> None:
    driven = Driven(role, close_timeout="5s")
    driven.connection.close(1000, "", 1.0)
    driven.says()
    assert driven.hears(driven.frame(TEXT, b"x"), driven.frame(3), now=2.0) == ["x"]
    assert type(driven.connection.error) is ProtocolError
    assert driven.says() == []
    assert driven.connection.half_close
    assert driven.connection.deadline == 2.0 + LINGER
    driven.connection.tick(2.0 + LINGER)
    assert driven.connection.state is State.ERROR
    assert driven.connection.close_code == 1002


class NoMemory:
    """A decoder whose allocations fail, which cannot be provoked without starving the machine."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def feed(self, data: bytes) -> list[object]:
        raise MemoryError

    def received(self, size: int) -> list[object]:
        raise MemoryError


@pytest.mark.parametrize("way", ["feed", "received"])
def test_no_memory_for_a_message(role: str, way: str) -> None:
    driven = Driven(role)
    driven.connection.decoder = NoMemory()
    if way == "feed":
        assert driven.connection.feed(b"x", 1.0) == ()
    else:
        assert driven.connection.received(1, 1.0) == ()
    driven.connection.settle(1.0)
    assert driven.says() == [Frame(CLOSE, close_payload(1011, "out of memory"))]
    assert driven.connection.close_code == 1011


# ------------------------------------------------------------------ the transport ends


@pytest.mark.parametrize("text", [None, "connection reset by peer"])
def test_the_peer_goes_without_a_close_frame(role: str, text: str | None) -> None:
    driven = Driven(role)
    part = driven.frame(TEXT, b"cut off")[:-1]
    assert driven.hears(driven.frame(TEXT, b"whole"), part) == ["whole"]
    if text is None:
        driven.connection.eof(1.0)
    else:
        driven.connection.lost(text, 1.0)
    assert driven.connection.states[1:] == [State.CONNECTED, State.ERROR]
    assert type(driven.connection.error) is ConnectionLost
    assert driven.connection.close_code == 1006
    assert driven.connection.close_reason == (text or "no close frame received")
    assert driven.says() == []


def test_the_peer_goes_instead_of_answering_our_close(role: str) -> None:
    driven = Driven(role)
    driven.connection.close(1000, "", 1.0)
    driven.connection.eof(1.0)
    assert driven.connection.state is State.ERROR
    assert type(driven.connection.error) is ConnectionLost
    assert driven.connection.close_code == 1006


@pytest.mark.parametrize("violation", [False, True])
def test_the_stream_ends_before_the_application_has_settled(role: str, violation: bool) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(3) if violation else driven.close_frame(4000, "bye"))
    driven.connection.eof(1.0)
    assert driven.connection.states[2:] == [
        State.CLOSING,
        State.ERROR if violation else State.DISCONNECTED,
    ]
    assert driven.connection.close_code == (1002 if violation else 4000)


def test_a_peer_that_has_closed_may_wait_for_what_is_on_its_way(role: str) -> None:
    driven = Driven(role)
    driven.connection.send("on its way")
    driven.hears(driven.close_frame(4000, "bye"))
    driven.connection.eof(1.0, sending=True)
    assert driven.connection.state is State.CLOSING
    assert driven.connection.deadline == 1.0 + LINGER
    assert driven.says() == [Frame(TEXT, b"on its way"), Frame(CLOSE, close_payload(4000))]
    driven.connection.eof(1.5)
    assert driven.connection.state is State.DISCONNECTED
    assert driven.connection.error is None


def test_a_peer_that_goes_without_a_close_frame_waits_for_nothing(role: str) -> None:
    driven = Driven(role)
    driven.connection.send("on its way")
    driven.connection.eof(1.0, sending=True)
    assert driven.connection.state is State.ERROR
    assert driven.connection.close_code == 1006


# ------------------------------------------------------------------ who ends TCP


def test_the_server_ends_tcp_first() -> None:
    """RFC 6455, section 7.1.1."""
    server, client = Driven("server"), Driven("client")
    for driven in (server, client):
        driven.connection.close(1000, "", 1.0)
        assert not driven.connection.half_close
        driven.hears(driven.close_frame(1000), now=1.0)
    assert server.connection.half_close
    assert not client.connection.half_close
    for driven in (server, client):
        assert not driven.connection.finished
        driven.connection.eof(1.0)
        assert driven.connection.finished


def test_the_server_ends_tcp_first_when_the_client_closes() -> None:
    server = Driven("server")
    server.hears(server.close_frame(1000), now=1.0)
    assert not server.connection.half_close
    server.connection.settle(1.0)
    assert server.connection.half_close


def test_who_fails_the_connection_ends_tcp(role: str) -> None:
    driven = Driven(role)
    driven.hears(driven.frame(3))
    assert not driven.connection.half_close
    driven.connection.settle(0.0)
    assert driven.connection.half_close
    assert not driven.connection.finished


@pytest.mark.parametrize(("close_timeout", "lingers"), [("5s", LINGER), ("300ms", 0.3)])
@pytest.mark.parametrize("violation", [False, True])
def test_a_peer_that_leaves_tcp_open_is_left(
    role: str, close_timeout: str, lingers: float, violation: bool
) -> None:
    driven = Driven(role, close_timeout=close_timeout)
    driven.hears(driven.frame(3) if violation else driven.close_frame(1000), now=1.0)
    driven.connection.settle(1.0)
    assert driven.connection.deadline == 1.0 + lingers
    driven.connection.tick(1.0 + lingers - 0.01)
    assert not driven.connection.finished
    driven.connection.tick(1.0 + lingers)
    assert driven.connection.state is (State.ERROR if violation else State.DISCONNECTED)
    assert driven.connection.deadline is None
