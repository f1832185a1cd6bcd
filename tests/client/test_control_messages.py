"""Pings, pongs and the close among the messages (seed 002), and not unless that is asked for."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT, until_waiting
from raw_peers import PING, PONG, TEXT, close_frame, frame

from wsfast.channel import select
from wsfast.client import Message

ALL = (
    frame(PING, b"are you there?")
    + frame(TEXT, b"text")
    + frame(PONG, b"unasked")
    + close_frame(4000, b"enough")
)


def test_they_are_received_in_order_and_pings_are_answered(dial_client: Any) -> None:
    client, peer = dial_client(control_messages=True)
    peer.send(ALL)
    messages = list(client)
    assert messages == [
        Message("ping", b"are you there?"),
        Message("text", "text"),
        Message("pong", b"unasked"),
        Message("close", b"", 4000, "enough"),
    ]
    assert client.channel().receive() == (None, False)
    answer = peer.read_frame()
    assert (answer.opcode, answer.payload) == (PONG, b"are you there?")
    assert peer.read_frame().code == 4000


def test_they_are_off_by_default(dial_client: Any) -> None:
    client, peer = dial_client()
    peer.send(ALL)
    assert list(client) == [Message("text", "text")]


def test_a_select_gets_them(dial_client: Any) -> None:
    client, peer = dial_client(control_messages=True)
    channel = client.channel()
    peer.send(ALL)
    types = []
    while (chosen := select([channel.case_receive()], timeout="10s")).ok:
        types.append(chosen.value.type)
    assert types == ["ping", "text", "pong", "close"]


def test_the_pong_of_our_ping_is_one_of_them(echo_server: Any) -> None:
    from wsfast.client import connect

    with connect(echo_server.url, echo_server.options, control_messages=True) as client:
        client.ping(b"mine")
        assert client.channel().receive(WAIT * 1000) == (Message("pong", b"mine"), True)


def test_the_end_is_told_once(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    client, peer = dial_client(control_messages=True)
    channel = client.channel()
    waiting = [pool.submit(channel.receive), pool.submit(select, [channel.case_receive()])]
    until_waiting(channel, receivers=1)
    waiting += [pool.submit(channel.receive) for _ in range(4)]
    peer.reset()
    ends = [each.result(WAIT) for each in waiting]
    ends[1] = (ends[1].value, ends[1].ok)
    told = [end for end in ends if end[1]]
    assert len(told) == 1
    assert (told[0][0].type, told[0][0].data, told[0][0].code) == ("close", b"", 1006)
    assert told[0][0].reason == client.close_reason
    assert channel.receive() == (None, False)


def test_an_end_that_nobody_was_told_of_waits(dial_client: Any) -> None:
    client, _ = dial_client(control_messages=True, close_timeout="10ms")
    channel = client.channel()
    assert len(channel) == 0
    client.close()
    assert len(channel) == 1
    message, ok = channel.receive()
    assert ok
    assert (message.type, message.code) == ("close", 1006)
    assert len(channel) == 0


@pytest.mark.parametrize("value", [1, "yes", None])
def test_the_option_is_a_flag(value: Any) -> None:
    from wsfast.client import connect

    with pytest.raises(TypeError, match="control_messages"):
        connect("ws://localhost:1/", control_messages=value)
