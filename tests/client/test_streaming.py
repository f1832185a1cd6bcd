"""A client's channel where messages may also be streamed: it gives whole ones."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from client_waiting import pushes_back, until
from raw_peers import BINARY, CONTINUATION, PING, PONG, TEXT, frame

from wsfast.channel import after, select
from wsfast.client import Client, Message
from wsfast.protocol.errors import ProtocolError

WAIT = 10.0
PIECES = [b"%d" % (number % 10) * 2000 for number in range(100)]


def begin(*pieces: bytes) -> bytes:
    first, *rest = pieces
    further = [frame(CONTINUATION, piece, fin=False) for piece in rest]
    return frame(BINARY, first, fin=False) + b"".join(further)


def selected(client: Client) -> Any:
    """The next message, or None at the end, by `select`."""
    chosen = select([client.channel().case_receive(), after("10s").case_receive()])
    assert chosen.channel is client.channel()
    return chosen.value


@pytest.fixture
def eager_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)


@pytest.mark.parametrize("room", [1000, 1 << 20])
def test_selecting_gives_whole_messages(
    dial_client: Any, pool: ThreadPoolExecutor, room: int
) -> None:
    """Also if one has more pieces than have room."""
    client, peer = dial_client(streaming=True, receive_queue_bytes=room)
    waiting = pool.submit(selected, client)
    peer.send(begin(*PIECES))
    peer.send(frame(CONTINUATION) + frame(TEXT, b"next"))
    assert waiting.result(WAIT) == Message("binary", b"".join(PIECES))
    assert client.channel().receive(WAIT * 1000) == (Message("text", "next"), True)


def test_what_has_come_before_is_joined(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    client, peer = dial_client(streaming=True, receive_queue_bytes=1000)
    peer.send(begin(*PIECES[:50]))
    with pytest.raises(TimeoutError):
        client.channel().receive("20ms")
    waiting = pool.submit(selected, client)
    peer.send(begin(*PIECES[49:])[len(begin(PIECES[49])) :] + frame(CONTINUATION))
    assert waiting.result(WAIT) == Message("binary", b"".join(PIECES))


@pytest.mark.usefixtures("eager_stand_in")
def test_what_waits_for_room_is_read_on(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    client, peer = dial_client(streaming=True, receive_queue_bytes=1000)
    peer.send(begin(*PIECES))
    reader = client._connection.reader
    while not reader._space._waiters:  # until the stand-in has no room
        threading.Event().wait(0.001)
    waiting = pool.submit(selected, client)
    peer.send(frame(CONTINUATION))
    assert waiting.result(WAIT) == Message("binary", b"".join(PIECES))


def test_a_message_over_the_limit_ends_the_channel(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client(streaming=True, read_limit=10)
    waiting = pool.submit(selected, client)
    peer.send(begin(bytes(6), bytes(5)))
    assert waiting.result(WAIT) is None
    assert peer.read_close().code == 1009
    assert isinstance(client.error, ProtocolError)


@pytest.mark.usefixtures("eager_stand_in")
def test_also_if_it_was_there_before(dial_client: Any) -> None:
    client, peer = dial_client(streaming=True, read_limit=10)
    peer.send(begin(bytes(6), bytes(5)) + frame(CONTINUATION) + frame(PING))
    assert peer.read_frame().opcode == PONG
    assert selected(client) is None
    assert peer.read_close().code == 1009


def test_receiving_and_selecting_at_once(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    client, peer = dial_client(streaming=True)
    ways = (lambda: selected(client), lambda: client.channel().receive(WAIT * 1000)[0])
    waiting = [pool.submit(ways[number % 2]) for number in range(4)]
    peer.send(
        begin(b"a") + frame(CONTINUATION) + b"".join(frame(TEXT, b"%d" % i) for i in range(3))
    )
    assert {each.result(WAIT).data for each in waiting} == {b"a", "0", "1", "2"}


def polled(client: Client) -> Any:
    """The next message, or None at the end, by asking again and again."""
    case = client.channel().case_receive()
    tick = threading.Event()
    deadline = time.monotonic() + WAIT
    while (chosen := select([case], default=True)).default:
        assert time.monotonic() < deadline
        tick.wait(0.001)
    return chosen.value


ASKING = pytest.mark.parametrize("ask", [selected, polled])


@ASKING
@pytest.mark.usefixtures("eager_stand_in")
def test_who_asks_has_what_is_full_read_on(
    dial_client: Any, pool: ThreadPoolExecutor, ask: Any
) -> None:
    client, peer = dial_client(streaming=True, receive_queue_bytes=1000)
    peer.send(begin(*PIECES))
    until(lambda: pushes_back(client))
    waiting = pool.submit(ask, client)
    peer.send(frame(CONTINUATION))
    assert waiting.result(WAIT) == Message("binary", b"".join(PIECES))


@ASKING
def test_who_asks_leaves_the_message_before(dial_client: Any, ask: Any) -> None:
    client, peer = dial_client(streaming=True, receive_queue_bytes=1000)
    peer.send(begin(*PIECES))
    stream = client.receive_stream(WAIT * 1000)
    assert stream.receive()
    peer.send(frame(CONTINUATION) + frame(TEXT, b"next"))
    assert ask(client) == Message("text", "next")
    with pytest.raises(RuntimeError, match="skipped"):
        stream.receive()


@ASKING
def test_who_asks_refuses_what_is_too_big(dial_client: Any, ask: Any) -> None:
    client, peer = dial_client(streaming=True, read_limit=10)
    peer.send(begin(bytes(6), bytes(5)) + frame(CONTINUATION))
    assert ask(client) is None
    assert peer.read_close().code == 1009
    assert client.close_code == 1009


@pytest.mark.usefixtures("eager_stand_in")
def test_who_polls_refuses_what_becomes_too_big(dial_client: Any) -> None:
    client, peer = dial_client(streaming=True, read_limit=10)
    assert select([client.channel().case_receive()], default=True).default
    peer.send(begin(bytes(6), bytes(5)))
    assert peer.read_close().code == 1009
    assert polled(client) is None


def test_nobody_reads_for_those_who_do_not_wait(dial_client: Any) -> None:
    client, _ = dial_client(streaming=True)
    reader = client._connection.reader
    reader.listen()
    assert not reader.watching
    assert not reader.busy
