"""Messages taken piece by piece, over sockets."""

import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, CONTINUATION, PING, PONG, TEXT, close_frame, frame, header

from wsfast.codec import Ping, Pong
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, ProtocolError
from wsfast.server import Connection, MessageStream

WAIT = 10.0
TEXTS = "aé€🎈"
MESSAGES = ["", b"", "é", b"\xff" * 125, TEXTS * 7, TEXTS * 50_000, bytes(1_000_000), b"end"]
MIB = 1 << 20


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def eager_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)


def take(stream: MessageStream) -> str | bytes:
    pieces = list(stream)
    assert all(pieces)
    return "".join(pieces) if stream.text else b"".join(pieces)


def wait_until(condition: Callable[[], object]) -> None:
    while not condition():
        threading.Event().wait(0.001)


def check_refused(connection: Connection, peer: Any) -> None:
    """The connection has failed because of a message over the limit."""
    closed = peer.read_close()
    assert (closed.code, closed.payload[2:]) == (1009, b"message over the size limit")
    for receive in (connection.receive, connection.receive_stream):
        with pytest.raises(ProtocolError) as caught:
            receive(WAIT)
        assert caught.value.code == 1009


def fragments(*pieces: bytes, opcode: int = BINARY) -> bytes:
    """A message whose end does not come along."""
    first, *rest = pieces
    further = [frame(CONTINUATION, piece, fin=False) for piece in rest]
    return frame(opcode, first, fin=False) + b"".join(further)


# ---------------------------------------------------------------- what comes


@pytest.mark.parametrize("compression", ["disabled", "context_takeover", "no_context"])
@pytest.mark.parametrize("streaming", [False, True])
def test_messages_of_every_size(
    open_pair: Any, scheme: str, compression: str, streaming: bool, pool: ThreadPoolExecutor
) -> None:
    """What is written for streams works without the option, too."""
    options = {"compression": compression, "streaming": streaming}
    ends = open_pair(scheme, server=options, **options)
    for sender, receiver in (ends, ends[::-1]):
        sending = pool.submit(lambda sender=sender: [sender.send(m) for m in MESSAGES])
        for message in MESSAGES:
            stream = receiver.receive_stream(WAIT)
            assert stream.text == isinstance(message, str)
            assert take(stream) == message
            assert stream.receive() is None
            assert stream.read() == type(message)()
        sending.result(WAIT)


@pytest.mark.parametrize("compression", ["disabled", "context_takeover"])
def test_messages_can_be_taken_whole(
    open_pair: Any, scheme: str, compression: str, pool: ThreadPoolExecutor
) -> None:
    options = {"compression": compression, "streaming": True}
    ends = open_pair(scheme, server=options, **options)
    for sender, receiver in (ends, ends[::-1]):
        sending = pool.submit(lambda sender=sender: [sender.send(m) for m in MESSAGES])
        assert [receiver.receive(WAIT) for _ in MESSAGES] == MESSAGES
        sending.result(WAIT)


WIRE = (
    frame(TEXT, TEXTS.encode()[:4], fin=False)
    + frame(PING, b"p")
    + frame(CONTINUATION, TEXTS.encode()[4:])
    + frame(BINARY, b"b" * 300)
    + frame(TEXT, b"", fin=False)
    + frame(CONTINUATION, b"")
)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 7, len(WIRE)])
def test_however_the_bytes_are_cut(dial_raw: Any, step: int, whole: bool) -> None:
    connection, peer = dial_raw(streaming=True, early=WIRE)
    for at in range(0, len(WIRE), step):
        peer.send(WIRE[at : at + step])
    for _ in range(2):
        got = [
            connection.receive(WAIT) if whole else take(connection.receive_stream(WAIT))
            for _ in range(3)
        ]
        assert got == [TEXTS, b"b" * 300, ""]
        assert peer.read_frame().opcode == PONG


def test_pieces_come_before_the_message_is_complete(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    with pytest.raises(TimeoutError):
        connection.receive_stream(0.001)
    peer.send(header(TEXT, 6) + "é€".encode()[:3])
    stream = connection.receive_stream(WAIT)
    assert stream.text
    assert stream.receive(WAIT) == "é"
    with pytest.raises(TimeoutError):
        stream.receive(0.001)
    peer.send("é€b".encode()[3:])
    pieces = iter(stream)
    assert next(pieces) + next(pieces, "") == "€b"
    assert next(pieces, None) is None
    peer.send(frame(BINARY, b"next"))
    assert take(connection.receive_stream(WAIT)) == b"next"


def test_the_rest_can_be_read_at_once(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a", b"b"))
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"a"
    with pytest.raises(TimeoutError):
        stream.read(0.01)
    peer.send(frame(CONTINUATION, b"c", fin=False))
    with pytest.raises(TimeoutError):
        stream.read(0.01)
    peer.send(frame(CONTINUATION, b"d"))
    assert stream.read(WAIT) == b"bcd"
    assert stream.read() == b""


def test_a_timeout_of_receive_loses_nothing(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a", b"b"))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            connection.receive(0.01)
    peer.send(frame(CONTINUATION, b"c") + fragments(b"d"))
    assert connection.receive(WAIT) == b"abc"
    with pytest.raises(TimeoutError):
        connection.receive(0.01)
    stream = connection.receive_stream(WAIT)  # goes on where the other way has stopped
    peer.send(frame(CONTINUATION, b"e"))
    assert take(stream) == b"de"


def test_without_the_option_a_message_is_one_piece(dial_raw: Any) -> None:
    connection, peer = dial_raw(control_messages=True)
    peer.send(fragments(b"a", b"b") + frame(CONTINUATION, b"c") + frame(PING) + frame(TEXT))
    stream = connection.receive_stream(WAIT)
    assert (stream.text, list(stream), list(stream)) == (False, [b"abc"], [])
    assert connection.receive_stream(WAIT) == Ping()
    stream = connection.receive_stream(WAIT)
    assert (stream.text, list(stream), stream.read()) == (True, [], "")
    with pytest.raises(TimeoutError):
        connection.receive_stream(0.001)


def test_control_frames_within_a_message_come_after_it(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, control_messages=True)
    peer.send(frame(PING, b"1") + fragments(b"a"))
    assert connection.receive_stream(WAIT) == Ping(b"1")
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"a"
    peer.send(frame(PING, b"2") + frame(PONG, b"3") + frame(CONTINUATION, b"b"))
    assert stream.read(WAIT) == b"b"
    assert connection.receive_stream(WAIT) == Ping(b"2")
    assert connection.receive(WAIT) == Pong(b"3")


def test_taken_whole_they_come_before_it(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, control_messages=True)
    peer.send(fragments(b"a") + frame(PING, b"1") + frame(CONTINUATION, b"b"))
    assert [connection.receive(WAIT) for _ in range(2)] == [Ping(b"1"), b"ab"]


# ---------------------------------------------------------------- skipping


ASKING: dict[str, Callable[[Connection], object]] = {
    "receive_stream": lambda connection: take(connection.receive_stream(WAIT)),
    "receive": lambda connection: connection.receive(WAIT),
    "iteration": lambda connection: next(iter(connection)),
}


@pytest.mark.parametrize("how", ASKING)
@pytest.mark.parametrize("complete", [False, True])
def test_what_is_left_is_skipped(
    dial_raw: Any, how: str, complete: bool, pool: ThreadPoolExecutor
) -> None:
    connection, peer = dial_raw(streaming=True)
    rest = frame(CONTINUATION, b"c", fin=False) + frame(CONTINUATION, b"d") + frame(TEXT, b"next")
    peer.send(fragments(b"a", b"b") + (rest if complete else b""))
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"a"
    asking = pool.submit(ASKING[how], connection)
    if not complete:
        wait_until(lambda: connection._reader.receiver.in_recv or asking.done())
        peer.send(rest)
    assert asking.result(WAIT) == "next"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="skipped"):
            stream.receive(WAIT)
    with pytest.raises(RuntimeError, match="skipped"):
        stream.read()


def test_what_is_left_is_skipped_by_who_takes_all(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a", b"b") + frame(CONTINUATION, b"c") + frame(TEXT, b"1"))
    stream = connection.receive_stream(WAIT)
    assert connection.take_all() == ["1"]
    with pytest.raises(RuntimeError):
        list(stream)
    assert connection.take_all() == []


def test_a_stream_that_was_not_looked_at(open_pair: Any, pool: ThreadPoolExecutor) -> None:
    client, server = open_pair(server={"streaming": True, "receive_queue_bytes": 1000})
    sending = pool.submit(lambda: [client.send(bytes(MIB)), client.send("next")])
    server.receive_stream(WAIT)
    assert server.receive(WAIT) == "next"
    sending.result(WAIT)


# ---------------------------------------------------------------- over read_limit


def test_a_message_over_the_limit_taken_whole(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(frame(BINARY, bytes(10)) + fragments(bytes(6), bytes(5)))
    assert connection.receive(WAIT) == bytes(10)
    with pytest.raises(ProtocolError) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1009
    check_refused(connection, peer)


def test_or_read_at_once(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(fragments(b"first", bytes(10)))
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"first"
    with pytest.raises(TimeoutError):
        stream.read(0.01)
    peer.send(frame(CONTINUATION, b"x"))
    with pytest.raises(ProtocolError):
        stream.read(WAIT)
    check_refused(connection, peer)


@pytest.mark.usefixtures("eager_stand_in")
def test_or_complete_before_anybody_asked(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(fragments(bytes(6), bytes(5)) + frame(CONTINUATION) + frame(PING))
    assert peer.read_frame().opcode == PONG
    with pytest.raises(ProtocolError):
        connection.receive(WAIT)
    check_refused(connection, peer)


@pytest.mark.usefixtures("eager_stand_in")
def test_as_a_stream_it_is_fine(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(fragments(bytes(6), bytes(5)) + frame(CONTINUATION, bytes(100)) + frame(PING))
    assert peer.read_frame().opcode == PONG
    assert take(connection.receive_stream(WAIT)) == bytes(111)


def test_after_the_peer_has_closed_it_is_told_as_well(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(fragments(bytes(11)) + frame(CONTINUATION) + frame(TEXT, b"x") + close_frame(1000))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(connection.run, None)
        peer.read_close()
        peer.sock.close()
        running.result(WAIT)
    with pytest.raises(ProtocolError) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1009
    with pytest.raises(ConnectionClosed) as ended:
        connection.receive(WAIT)
    assert (ended.value.code, connection.error) == (1000, None)


@pytest.mark.usefixtures("eager_stand_in")
def test_take_all_stops_before_it(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    peer.send(frame(TEXT, b"a") + fragments(bytes(11)) + frame(CONTINUATION) + frame(PING))
    assert peer.read_frame().opcode == PONG
    assert connection.take_all() == ["a"]
    check_refused(connection, peer)


# ---------------------------------------------------------------- callbacks


def test_callbacks_get_whole_messages(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw(streaming=True, control_messages=True, early=WIRE)
    received: list[Any] = []
    running = pool.submit(connection.run, received.extend)
    for at in range(len(WIRE)):
        peer.send(WIRE[at : at + 1])
    peer.send(close_frame(1000))
    peer.read_close()
    peer.sock.close()
    running.result(WAIT)
    assert received == [Ping(b"p"), TEXTS, b"b" * 300, ""] * 2


def test_callbacks_get_none_over_the_limit(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    received: list[Any] = []
    running = pool.submit(connection.run, received.extend)
    peer.send(frame(TEXT, b"a") + fragments(bytes(6)) + frame(PING))
    assert peer.read_frame().opcode == PONG
    peer.send(frame(CONTINUATION, bytes(4), fin=False) + frame(PING))
    assert peer.read_frame().opcode == PONG
    peer.send(frame(CONTINUATION, bytes(1), fin=False))
    check_refused(connection, peer)
    peer.sock.close()
    running.result(WAIT)
    assert received == ["a"]


def test_nothing_comes_after_what_was_refused(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw(streaming=True, read_limit=10)
    received: list[Any] = []
    running = pool.submit(connection.run, received.extend)
    peer.send(fragments(bytes(11)))
    assert peer.read_close().code == 1009
    for wire in (frame(CONTINUATION), frame(TEXT, b"1"), frame(TEXT, b"2"), close_frame(1009)):
        wait_until(lambda: connection.reader.hears_silence)
        peer.send(wire)
    peer.sock.close()
    running.result(WAIT)
    assert received == connection.take_all() == []


def test_finishing_drops_what_comes(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a"))
    stream = connection.receive_stream(WAIT)
    finishing = pool.submit(connection.finish)
    peer.read_close()
    peer.send(frame(CONTINUATION, bytes(100_000)) + close_frame(1000))
    peer.sock.close()
    finishing.result(WAIT)
    assert stream.receive(WAIT) == b"a"
    with pytest.raises(ConnectionClosed):
        stream.receive(WAIT)


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("ending", "error", "code"),
    [
        (lambda peer: peer.sock.shutdown(socket.SHUT_WR), ConnectionLost, 1006),
        (lambda peer: peer.reset(), ConnectionLost, 1006),
        (lambda peer: peer.send(close_frame(4000)), ConnectionClosed, 4000),
        (lambda peer: peer.send(frame(3)), ProtocolError, 1002),
        (lambda peer: peer.send(frame(BINARY)), ProtocolError, 1002),
    ],
    ids=["eof", "reset", "close", "bad opcode", "another message"],
)
def test_the_end_in_the_midst(
    dial_raw: Any, ending: Any, error: type[ConnectionClosed], code: int, text: bool
) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a", b"b", opcode=TEXT if text else BINARY))
    stream = connection.receive_stream(WAIT)
    pieces = iter(stream)
    got = [next(pieces), next(pieces)]
    assert got == (["a", "b"] if text else [b"a", b"b"])
    ending(peer)
    with pytest.raises(error) as caught:
        next(pieces)
    assert caught.value.code == code
    with pytest.raises(error):
        stream.read(WAIT)
    with pytest.raises(error):
        connection.receive_stream(WAIT)


def test_pieces_that_came_before_the_end_can_be_taken(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a", b"b") + close_frame(1000))
    stream = connection.receive_stream(WAIT)
    peer.read_close()
    assert [stream.receive(WAIT), stream.receive(WAIT)] == [b"a", b"b"]
    with pytest.raises(ConnectionClosed):
        stream.receive(WAIT)


def test_bad_text_fails_the_connection_when_it_comes(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(header(TEXT, 100) + b"good")
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == "good"
    peer.send(b"\xed\xa0")
    with pytest.raises(ProtocolError):
        stream.receive(WAIT)
    assert peer.read_close().code == 1007


# ---------------------------------------------------------------- room


BOUNDS = [
    ({"receive_queue_bytes": 100_000}, 100_000 + 2 * 65536),
    ({"receive_queue_messages": 10}, 12 * 65536),
]


@pytest.mark.usefixtures("eager_stand_in")
@pytest.mark.parametrize(("bound", "most"), BOUNDS)
def test_while_nobody_takes_little_is_read(
    dial_raw: Any, bound: dict[str, int], most: int, pool: ThreadPoolExecutor
) -> None:
    connection, peer = dial_raw(streaming=True, ping_interval=None, **bound)
    chunks = [frame(CONTINUATION, b"%d" % (i % 10) * 50_000, fin=False) for i in range(400)]
    sending = pool.submit(lambda: [peer.send(chunk) for chunk in (fragments(b"begun"), *chunks)])
    inbox = connection._reader.inbox
    wait_until(lambda: connection._reader._space._waiters)
    assert inbox.full
    assert inbox._bytes <= most
    assert not sending.done()
    stream = connection.receive_stream(WAIT)
    got = 0
    for piece in stream:
        got += len(piece)
        assert inbox._bytes <= most
        if got == 5 + 400 * 50_000:
            peer.send(frame(CONTINUATION))
    sending.result(WAIT)


def bomb(size: int) -> bytes:
    state = zlib.compressobj(9, wbits=-15)
    return (state.compress(bytes(size)) + state.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
        b"\x00\x00\xff\xff"
    )


@pytest.fixture
def deflating(dial_raw: Any) -> Callable[..., Any]:
    """As `dial_raw`, on a connection that is compressed."""

    def dial(**options: Any) -> Any:
        fields = (b"Sec-WebSocket-Extensions: permessage-deflate",)
        settings = {"compression": 1, "compression_window_bits": 15, "ping_interval": None}
        return dial_raw(fields=fields, **settings | options)

    return dial


@pytest.mark.usefixtures("eager_stand_in")
@pytest.mark.parametrize("early", [False, True])
def test_a_bomb_is_inflated_as_far_as_there_is_room(deflating: Any, early: bool) -> None:
    size = (4 if early else 50) * MIB
    wire = frame(BINARY, bomb(size), rsv=4) + frame(TEXT, b"after")
    connection, peer = deflating(
        streaming=True, receive_queue_bytes=100_000, early=wire if early else b""
    )
    if not early:
        peer.send(wire)
    wait_until(lambda: connection._reader._space._waiters)
    inbox = connection._reader.inbox
    total = 0
    for piece in connection.receive_stream(WAIT):
        total += len(piece)
        assert inbox._bytes <= 100_000 + 2 * 65536
    assert total == size
    assert connection.receive(WAIT) == "after"


def test_a_bomb_that_nobody_wants_costs_time_only(deflating: Any) -> None:
    connection, peer = deflating(streaming=True, receive_queue_bytes=100_000)
    peer.send(frame(BINARY, bomb(50 * MIB), rsv=4) + frame(TEXT, b"after"))
    connection.receive_stream(WAIT)
    assert connection.receive(WAIT) == "after"


def test_a_bomb_that_is_wanted_whole_is_refused(deflating: Any) -> None:
    connection, peer = deflating(streaming=True, read_limit=1000)
    peer.send(frame(BINARY, bomb(50 * MIB), rsv=4) + frame(TEXT, b"after"))
    with pytest.raises(ProtocolError):
        connection.receive(WAIT)
    check_refused(connection, peer)


def test_closing_amid_a_bomb(deflating: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = deflating(streaming=True)
    peer.send(frame(BINARY, bomb(50 * MIB), rsv=4))
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT)
    finishing = pool.submit(connection.finish)
    assert peer.read_close().code == 1000
    peer.send(close_frame(1000))
    peer.sock.close()
    finishing.result(WAIT)
    assert connection.close_code == 1000


def test_bad_compressed_text_amid_a_stream(deflating: Any) -> None:
    connection, peer = deflating(streaming=True)
    state = zlib.compressobj(wbits=-15)
    wire = state.compress(b"a" * 200_000 + b"\xff" + b"a" * 200_000)
    wire += state.flush(zlib.Z_SYNC_FLUSH)
    peer.send(frame(TEXT, wire[:-4], rsv=4))
    stream = connection.receive_stream(WAIT)
    got: list[str | bytes] = []
    with pytest.raises(ProtocolError) as caught:
        got.extend(stream)
    assert caught.value.code == 1007
    assert sum(map(len, got)) <= 200_000
    assert peer.read_close().code == 1007


@pytest.mark.parametrize("reading", ["stand-in", "run"])
@pytest.mark.usefixtures("eager_stand_in")
def test_a_whole_message_that_has_no_room_is_read_when_it_is_wanted(
    dial_raw: Any, reading: str, pool: ThreadPoolExecutor
) -> None:
    connection, peer = dial_raw(streaming=True, receive_queue_bytes=1000, ping_interval=None)
    running = pool.submit(connection.run, None) if reading == "run" else None
    pieces = [b"%d" % (i % 10) * 2000 for i in range(100)]
    peer.send(fragments(*pieces[:2]))
    wait_until(lambda: connection._reader._space._waiters)
    receiving = pool.submit(connection.receive, WAIT)
    for piece in pieces[2:]:
        peer.send(frame(CONTINUATION, piece, fin=False))
    peer.send(frame(CONTINUATION))
    assert receiving.result(WAIT) == b"".join(pieces)
    if running is not None:
        peer.sock.close()
        running.result(WAIT)


def test_a_flood_of_pings_within_a_stream(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    """Who reads the stream cannot take them: so many are kept as have room, no more."""
    connection, peer = dial_raw(
        streaming=True, control_messages=True, receive_queue_messages=100, ping_interval=None
    )
    peer.send(fragments(b"a"))
    stream = connection.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"a"
    pings = b"".join(frame(PING, b"%d" % i) for i in range(10_000))
    sending = pool.submit(peer.send, pings + frame(CONTINUATION, b"b") + frame(TEXT, b"end"))
    assert stream.read(WAIT) == b"b"
    sending.result(WAIT)
    received: list[Any] = []
    while not received or received[-1] != "end":
        received.append(connection.receive(WAIT))
    assert received[:50] == [Ping(b"%d" % i) for i in range(50)]
    assert len(received) < 10_000


# ---------------------------------------------------------------- several threads


def test_several_threads_share_whole_messages(
    open_pair: Any, scheme: str, pool: ThreadPoolExecutor
) -> None:
    client, server = open_pair(scheme, streaming=True)
    takers = [pool.submit(list, client) for _ in range(4)]
    messages = [f"{i:04d} " * (1 + i * 997 % 20_000) for i in range(300)]
    for message in messages:
        server.send(message)
    server.finish()
    received = [taker.result(WAIT) for taker in takers]
    assert sorted(text for texts in received for text in texts) == messages
    assert all(texts == sorted(texts) for texts in received)


def test_several_threads_share_streams(open_pair: Any, pool: ThreadPoolExecutor) -> None:
    """Who asks for the next one ends what others read; nothing is mixed."""
    client, server = open_pair(streaming=True)

    def work() -> list[str]:
        got: list[str] = []
        while True:
            try:
                got.append(take(client.receive_stream(WAIT)))
            except RuntimeError:
                got.append("skipped")
            except ConnectionClosed:
                return got

    workers = [pool.submit(work) for _ in range(4)]
    messages = [f"{i:04d} " * (1 + i * 997 % 20_000) for i in range(300)]
    for message in messages:
        server.send(message)
    server.finish()
    got = [text for worker in workers for text in worker.result(WAIT)]
    whole = [text for text in got if text != "skipped"]
    assert set(whole) <= set(messages)
    assert len(whole) == len(set(whole))
    assert len(got) <= len(messages) + 4


def test_state_does_not_change_by_reading(dial_raw: Any) -> None:
    connection, peer = dial_raw(streaming=True)
    peer.send(fragments(b"a") + frame(CONTINUATION))
    assert take(connection.receive_stream(WAIT)) == b"a"
    assert connection.state is State.CONNECTED
