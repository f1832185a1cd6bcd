"""Pings and pongs among the messages, where that was asked for."""

import pytest
from protocol_wire import BINARY, CONTINUATION, PING, PONG, TEXT, Driven, Frame

from wsfast.codec import Ping, Pong
from wsfast.protocol.messages import total_size


def stream(one: Driven) -> bytes:
    return b"".join(
        [
            one.frame(PING, b"1"),
            one.frame(TEXT, b"a", fin=False),
            one.frame(PONG),
            one.frame(CONTINUATION, b"b"),
            one.frame(PING, b"1"),
            one.frame(BINARY, b"c"),
            one.close_frame(1000),
            one.frame(PING, b"after the end"),
        ]
    )


EXPECTED = [Ping(b"1"), Pong(), "ab", Ping(b"1"), b"c"]


def test_every_split(role: str) -> None:
    data = stream(Driven(role))
    for cut in range(len(data) + 1):
        one = Driven(role, control_messages=True)
        assert one.hears(data[:cut]) + one.hears(data[cut:]) == EXPECTED
        assert one.says() == [Frame(PONG, b"1"), Frame(PONG, b"1")]


def test_not_unless_asked_for(role: str) -> None:
    one = Driven(role)
    assert one.hears(stream(one)) == ["ab", b"c"]


def test_an_awaited_pong_is_both_counted_and_received(role: str) -> None:
    one = Driven(role, control_messages=True)
    number = one.connection.ping(b"?", 0.0)
    assert one.hears(one.frame(PONG, b"?")) == [Pong(b"?")]
    assert one.connection.pongs == number


def test_they_do_not_extend_read_timeout(role: str) -> None:
    one = Driven(role, control_messages=True, read_timeout=10_000)
    one.hears(one.frame(PING), now=9.0)
    assert one.connection.deadline == 10.0


def test_the_protocol_answers_nothing_after_our_close(role: str) -> None:
    one = Driven(role, control_messages=True)
    one.connection.close(1000, "", 0.0)
    one.says()
    assert one.hears(one.frame(PING, b"?")) == [Ping(b"?")]
    assert one.says() == []


@pytest.mark.parametrize("received", [[], ["é"], [b"12"], [Ping(b"123"), "45", Pong()]])
def test_their_size(received: list) -> None:
    sizes = [len(getattr(one, "data", one)) for one in received]
    assert total_size(received) == sum(sizes)
