"""One message in fragments, sent by one thread while others send theirs."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    RawClientPeer,
    close_frame,
    frame,
)

from wsfast.protocol.errors import (
    ConnectionClosed,
    ConnectionLost,
    ForkedError,
    QueueFull,
    SendTimeout,
)
from wsfast.server import Connection

WAIT = 10.0
REASON = b"a message sent in fragments could not be completed"


class Gate:
    """Chunks that wait to be let through."""

    def __init__(self, *chunks: Any) -> None:
        self._chunks = chunks
        self.reached = threading.Event()  # all before the last two are on their way
        self.open = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        *some, last = self._chunks
        yield from some
        self.reached.set()
        assert self.open.wait(WAIT)
        yield last


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.fixture
def stuck(raw_listener: Any, dial_raw: Any) -> Any:
    """`connection, peer = stuck(**options)`: a peer that has room for little, and does not read."""
    raw_listener.shrink()

    def open_(**options: Any) -> Any:
        return dial_raw(ping_interval=None, **options)

    return open_


def waits_for_room(connection: Connection) -> None:
    """Returns once a thread waits for room, or for its turn."""
    while not connection._writer._room._waiters:
        threading.Event().wait(0.001)


# ---------------------------------------------------------------- what arrives


@pytest.mark.parametrize("compression", ["disabled", "context_takeover", "no_context"])
def test_the_chunks_are_one_message(open_pair: Any, scheme: str, compression: str) -> None:
    ends = open_pair(scheme, server={"compression": compression}, compression=compression)
    for sender, receiver in (ends, ends[::-1]):
        for chunks in (["é", "", "€uro" * 30_000], [b"\xff" * 70_000, bytearray(b"x")], ["one"]):
            sender.send_fragments(iter(chunks))
            assert receiver.receive(WAIT) == type(chunks[0])().join(chunks)
        sender.send_fragments([])
        assert receiver.receive(WAIT) == b""
        sender.send_fragments([], text=True)
        assert receiver.receive(WAIT) == ""


def test_a_frame_for_each_chunk(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    connection.send_fragments(str(i) for i in range(3))
    connection.send_fragments([b"alone"])
    found = [peer.read_frame() for _ in range(4)]
    assert [(f.opcode, f.fin, f.payload) for f in found] == [
        (TEXT, False, b"0"),
        (CONTINUATION, False, b"1"),
        (CONTINUATION, True, b"2"),
        (BINARY, True, b"alone"),
    ]


def test_a_server_sends_them_unmasked(start_server: Any) -> None:
    endpoint = start_server(lambda connection: connection.send_fragments(["a", "b"]))
    peer = RawClientPeer(socket.create_connection(("localhost", endpoint.server.port), WAIT))
    with peer.sock:
        peer.open()
        found = [peer.read_frame() for _ in range(2)]
        assert [(f.opcode, f.fin, f.payload, f.key) for f in found] == [
            (TEXT, False, b"a", None),
            (CONTINUATION, True, b"b", None),
        ]
        peer.send(frame(CLOSE, b"", key=KEY))


def test_a_chunk_leaves_once_the_next_has_come(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw()
    gate = Gate(b"a", b"b", b"c")
    sending = pool.submit(connection.send_fragments, gate)
    assert peer.read_frame().payload == b"a"
    assert gate.reached.wait(WAIT)
    gate.open.set()
    assert [peer.read_frame().payload for _ in range(2)] == [b"b", b"c"]
    sending.result(WAIT)


def test_control_frames_come_between(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw()
    gate = Gate("a", "b", "c")
    sending = pool.submit(connection.send_fragments, gate)
    assert gate.reached.wait(WAIT)
    peer.send(frame(PING, b"?"))
    receiving = pool.submit(connection.receive, WAIT)
    number = connection.ping(b"!")
    found = [peer.read_frame() for _ in range(3)]
    assert sorted((f.opcode, f.payload) for f in found) == [
        (TEXT, b"a"),
        (PING, b"!"),
        (PONG, b"?"),
    ]
    peer.send(frame(PONG, b"!"))
    assert connection.wait_pong(number, WAIT)
    gate.open.set()
    assert [peer.read_frame().payload for _ in range(2)] == [b"b", b"c"]
    sending.result(WAIT)
    peer.send(frame(TEXT, b"end"))
    assert receiving.result(WAIT) == "end"


def test_what_gives_the_chunks_may_use_the_connection(open_pair: Any) -> None:
    client, server = open_pair()

    def relay() -> Iterator[str]:
        for _ in range(5):
            yield client.receive(WAIT)
            client.ping()
            assert client.unsent >= 0

    for i in range(5):
        server.send(str(i))
    client.send_fragments(relay())
    assert server.receive(WAIT) == "01234"


# ---------------------------------------------------------------- who waits


@pytest.mark.parametrize("compression", ["disabled", "context_takeover"])
def test_other_messages_come_before_or_after(
    open_pair: Any, pool: ThreadPoolExecutor, compression: str
) -> None:
    client, server = open_pair(server={"compression": compression}, compression=compression)
    gate = Gate("a", "b", "c")
    fragmenting = pool.submit(client.send_fragments, gate)
    assert gate.reached.wait(WAIT)
    others = [
        pool.submit(client.send, "other"),
        pool.submit(client.send_fragments, ["ot", "her"]),
        pool.submit(client.send_fragments, ["other"]),
    ]
    waits_for_room(client)
    assert not any(other.done() for other in others)
    gate.open.set()
    for sending in (fragmenting, *others):
        sending.result(WAIT)
    assert [server.receive(WAIT) for _ in range(4)] == ["abc", "other", "other", "other"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"write_timeout": 20}, SendTimeout, "timeout"),
        ({"send_overflow": "fail", "write_timeout": None}, QueueFull, "fragments"),
    ],
)
def test_a_wait_for_the_turn_is_bounded(
    open_pair: Any,
    pool: ThreadPoolExecutor,
    options: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    client, server = open_pair(**options)
    gate = Gate("a", "b", "c")
    fragmenting = pool.submit(client.send_fragments, gate)
    assert gate.reached.wait(WAIT)
    for send, data in ((client.send, "x"), (client.send_fragments, ["x", "y"])):
        with pytest.raises(error, match=text):
            send(data)
    gate.open.set()
    fragmenting.result(WAIT)
    client.send("after")
    assert [server.receive(WAIT) for _ in range(2)] == ["abc", "after"]


def test_a_wait_for_the_turn_ends_with_the_connection(
    dial_raw: Any, pool: ThreadPoolExecutor
) -> None:
    connection, _ = dial_raw(write_timeout=None, close_timeout=50)
    gate = Gate("a", "b", "c")
    fragmenting = pool.submit(connection.send_fragments, gate)
    assert gate.reached.wait(WAIT)
    waiting = pool.submit(connection.send, "x")
    waits_for_room(connection)
    connection.close()
    gate.open.set()
    for sending in (waiting, fragmenting):
        with pytest.raises(ConnectionClosed):
            sending.result(WAIT)


def test_sending_within_the_chunks_is_refused(open_pair: Any) -> None:
    client, server = open_pair(write_timeout=None)

    def chunks() -> Iterator[str]:
        client.send("before")  # nothing has been sent of ours
        yield "a"
        client.send("before, too")
        yield "b"
        for send, data in ((client.send, "between"), (client.send_fragments, ["be", "tween"])):
            with pytest.raises(RuntimeError):
                send(data)
        yield "c"

    client.send_fragments(chunks())
    assert [server.receive(WAIT) for _ in range(3)] == ["before", "before, too", "abc"]


# ---------------------------------------------------------------- room


def test_memory_is_bounded(stuck: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = stuck(send_queue_bytes=100_000, write_timeout=None)
    chunk, count = b"x" * 10_000, 2000
    waiting: list[int] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(count):
            waiting.append(connection._writer.outbox.pending)
            yield chunk

    sending = pool.submit(connection.send_fragments, chunks())
    waits_for_room(connection)
    assert len(waiting) < count / 2
    received = sum(len(peer.read_frame().payload) for _ in range(count))
    sending.result(WAIT)
    assert received == count * len(chunk)
    assert max(waiting) <= 100_000 + len(chunk)


def test_within_the_message_there_is_time_to_wait(stuck: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = stuck(
        send_queue_bytes=100_000, send_overflow="fail", write_timeout=WAIT * 1000
    )
    sending = pool.submit(connection.send_fragments, [b"x" * 10_000] * 1000)
    waits_for_room(connection)
    assert sum(len(peer.read_frame().payload) for _ in range(1000)) == 10_000_000
    sending.result(WAIT)


def test_a_timeout_within_the_message_fails_the_connection(stuck: Any) -> None:
    connection, peer = stuck(send_queue_bytes=100_000, write_timeout=20)
    with pytest.raises(SendTimeout):
        connection.send_fragments([b"x" * 10_000] * 10_000)
    closed = peer.read_close()
    assert (closed.code, closed.payload[2:]) == (1011, REASON)
    with pytest.raises(ConnectionLost) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1011


# ---------------------------------------------------------------- what goes wrong


class Strange(BaseException):
    """What no one expects, such as Ctrl-C."""


def failing(*chunks: Any, error: BaseException) -> Iterator[Any]:
    yield from chunks
    raise error


@pytest.mark.parametrize("error", [OSError("disk"), Strange(), ConnectionLost(1006, "of another")])
@pytest.mark.parametrize("chunks", [[], ["a"]])
def test_an_error_before_anything_was_sent(
    open_pair: Any, chunks: list[str], error: BaseException
) -> None:
    client, server = open_pair()
    with pytest.raises(type(error)) as caught:
        client.send_fragments(failing(*chunks, error=error))
    assert caught.value is error
    client.send("after")
    assert server.receive(WAIT) == "after"


@pytest.mark.parametrize("error", [OSError("disk"), Strange(), ConnectionLost(1006, "of another")])
def test_an_error_in_the_midst(dial_raw: Any, error: BaseException) -> None:
    connection, peer = dial_raw()
    with pytest.raises(type(error)) as caught:
        connection.send_fragments(failing("a", "b", error=error))
    assert caught.value is error
    first, closed = peer.read_frame(), peer.read_frame()
    assert (first.payload, first.fin) == (b"a", False)
    assert (closed.code, closed.payload[2:]) == (1011, REASON)
    with pytest.raises(ConnectionLost):
        connection.send("after")
    peer.send(close_frame(1011))
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.close_code == 1011


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("text", TypeError),
        (b"bytes", TypeError),
        (5, TypeError),
        ([5], TypeError),
        ([None, "a"], TypeError),
        (["a", b"b"], TypeError),
        (["\ud800"], UnicodeEncodeError),
        (["a", "\ud800"], UnicodeEncodeError),
    ],
)
def test_what_is_no_chunk(open_pair: Any, bad: Any, error: type[Exception]) -> None:
    client, server = open_pair()
    with pytest.raises(error):
        client.send_fragments(bad)
    client.send("after")
    assert server.receive(WAIT) == "after"


def test_a_wrong_chunk_in_the_midst(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with pytest.raises(TypeError):
        connection.send_fragments(["a", "b", b"c"])
    assert peer.read_close().code == 1011


def test_a_failure_wakes_who_waits(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw(write_timeout=None)
    gate = Gate("a", "b", 5)
    fragmenting = pool.submit(connection.send_fragments, gate)
    assert gate.reached.wait(WAIT)
    waiting = [pool.submit(connection.send, "x"), pool.submit(connection.receive)]
    waits_for_room(connection)
    gate.open.set()
    with pytest.raises(TypeError):
        fragmenting.result(WAIT)
    peer.sock.close()
    for other in waiting:
        with pytest.raises(ConnectionLost):
            other.result(WAIT)


def test_the_peer_closes_in_the_midst(dial_raw: Any, pool: ThreadPoolExecutor) -> None:
    connection, peer = dial_raw()
    gate = Gate("a", "b", "c")
    sending = pool.submit(connection.send_fragments, gate)
    assert peer.read_frame().payload == b"a"
    assert gate.reached.wait(WAIT)
    peer.send(frame(TEXT, b"last words") + close_frame(4000, b"enough"))
    assert connection.receive(WAIT) == "last words"
    with pytest.raises(ConnectionClosed):
        connection.receive(WAIT)
    gate.open.set()
    with pytest.raises(ConnectionClosed) as caught:
        sending.result(WAIT)
    assert (caught.value.code, connection.error) == (4000, None)


def test_what_came_before_a_reset_is_still_received(stuck: Any) -> None:
    connection, peer = stuck(write_timeout=WAIT * 1000)
    peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))

    def chunks() -> Iterator[bytes]:
        for number in range(10_000):
            if number == 10:
                peer.reset()
            yield b"x" * 10_000

    with pytest.raises(ConnectionLost):
        connection.send_fragments(chunks())
    assert [connection.receive(WAIT), connection.receive(WAIT)] == ["a", "b"]
    with pytest.raises(ConnectionLost) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1006


def test_after_the_end(open_pair: Any) -> None:
    client, _ = open_pair()
    client.close()
    with pytest.raises(ConnectionClosed):
        client.send_fragments(["a", "b"])


def test_in_a_child(dial_raw: Any) -> None:
    connection, _ = dial_raw()
    connection._after_fork()
    with pytest.raises(ForkedError):
        connection.send_fragments(["a", "b"])


# ---------------------------------------------------------------- all at once


@pytest.mark.parametrize("compression", ["disabled", "context_takeover"])
def test_fifty_threads(
    open_pair: Any, scheme: str, pool: ThreadPoolExecutor, compression: str
) -> None:
    """Every fifth sends in fragments. All messages are whole, and those of a thread in order."""
    client, server = open_pair(
        scheme, server={"compression": compression}, compression=compression, write_timeout=None
    )
    threads, each = 50, 20

    def message(thread: int, number: int) -> str:
        return f"{thread} {number} " + "é" * (number * 37)

    def send(thread: int) -> None:
        for number in range(each):
            text = message(thread, number)
            if thread % 5:
                client.send(text)
            else:
                client.send_fragments(text[at : at + 100] for at in range(0, len(text), 100))

    sending = [pool.submit(send, thread) for thread in range(threads)]
    received = [server.receive(WAIT) for _ in range(threads * each)]
    for one in sending:
        one.result(WAIT)
    for thread in range(threads):
        mine = [text for text in received if text.startswith(f"{thread} ")]
        assert mine == [message(thread, number) for number in range(each)]
