"""The sending half: who writes, in which order, and what happens when there is no room."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, PING, TEXT, close_frame, frame

from wsfast.protocol.errors import (
    ConnectionClosed,
    ConnectionLost,
    QueueFull,
    SendTimeout,
    WebSocketError,
)
from wsfast.server import Connection

WAIT = 10.0
NEVER = 3600.0


def write_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "wsfast-write"]


@pytest.fixture(params=[0, 20e-6, NEVER], ids=["never", "fast", "always"])
def burst_gap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """When a send counts as part of a burst, which the write thread sends."""
    gap: float = request.param
    monkeypatch.setattr("wsfast.threads.writer.BURST_GAP", gap)
    return gap


@pytest.fixture
def always_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.writer.BURST_GAP", NEVER)


@pytest.fixture
def stuck(raw_listener: Any, dial_raw: Any) -> Any:
    """`connection, peer = stuck(**options)`: a peer that has room for little, and does not read."""
    raw_listener.shrink()

    def open_(**options: Any) -> Any:
        return dial_raw(ping_interval=None, **options)

    return open_


def send_until(connection: Connection, error: type[Exception]) -> list[bytes]:
    """What was taken before a send raised."""
    taken: list[bytes] = []
    while len(taken) < 10_000:
        message = len(taken).to_bytes(4, "big") * 2500
        try:
            connection.send(message)
        except error:
            return taken
        taken.append(message)
    raise AssertionError("nothing ever stops the sender")


# ---------------------------------------------------------------- who writes


def test_a_lone_message_leaves_from_the_thread_that_sends_it(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.writer.BURST_GAP", 0)
    connection, peer = dial_raw()
    for i in range(20):
        connection.send(str(i))
    assert write_threads() == []
    assert [peer.read_frame().payload for _ in range(20)] == [b"%d" % i for i in range(20)]


def test_ctrl_c_while_sending_ends_the_connection(
    open_pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how much of the message has been encrypted, so nothing may follow it."""
    connection, _ = open_pair("wss")

    def interrupted(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection._stream, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connection.send("x")
    with pytest.raises(ConnectionClosed):
        connection.send("y")
    with pytest.raises(ConnectionClosed):
        connection.receive(WAIT)
    assert connection.wait_ended(WAIT)


@pytest.mark.usefixtures("always_burst")
def test_an_answer_is_no_part_of_a_burst(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    for _ in range(20):
        peer.send(frame(TEXT, b"question"))
        connection.send("answer to " + connection.receive(WAIT))
        assert peer.read_frame().payload == b"answer to question"
    assert write_threads() == []


@pytest.mark.usefixtures("always_burst")
def test_the_write_thread_comes_with_a_burst_and_goes_when_idle(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.writer.IDLE", 0.02)
    connection, peer = dial_raw()
    for _ in range(3):
        for i in range(10):
            connection.send(str(i))
        assert [peer.read_frame().payload for _ in range(10)] == [b"%d" % i for i in range(10)]
        for thread in write_threads():
            thread.join(WAIT)
            assert not thread.is_alive()


@pytest.mark.usefixtures("always_burst")
def test_the_write_thread_ends_with_the_connection(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    for i in range(10):
        connection.send(str(i))
    (thread,) = write_threads()
    peer.send(close_frame(1000))
    peer.sock.close()
    connection.finish()
    thread.join(WAIT)
    assert not thread.is_alive()


@pytest.mark.usefixtures("always_burst")
def test_a_system_without_threads_ends_the_connection_rather_than_hanging(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, _ = dial_raw()
    connection.send("inline")
    with monkeypatch.context() as patch:
        patch.setattr("wsfast.threads.writer.start_thread", lambda *_: None)
        connection.send("part of a burst")
    with pytest.raises(ConnectionClosed):
        connection.receive(WAIT)
    with pytest.raises(ConnectionClosed):
        connection.send("x")


def test_nothing_is_written_once_the_descriptor_may_be_somebody_elses(dial_raw: Any) -> None:
    connection, _ = dial_raw()
    connection.abandon(WebSocketError("over"))
    assert connection.wait_ended(WAIT)
    writer = connection._writer
    writer.outbox.binary(b"added by a thread that had looked before")
    writer.kick()
    assert writer.outbox.pending
    assert not writer.busy


# ---------------------------------------------------------------- order


@pytest.mark.usefixtures("burst_gap")
def test_messages_leave_in_the_order_in_which_they_were_sent(open_pair: Any, scheme: str) -> None:
    client, server = open_pair(scheme)
    sizes = [(i * 7919) % 5000 for i in range(1000)]
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(list, server)
        for size in sizes:
            client.send(bytes([size % 256]) * size)
        client.finish()
        assert receiving.result(WAIT) == [bytes([size % 256]) * size for size in sizes]


@pytest.mark.usefixtures("burst_gap")
def test_threads_that_send_at_once_do_not_mix_their_messages(open_pair: Any, scheme: str) -> None:
    client, server = open_pair(scheme)

    def send(thread: int) -> None:
        for i in range(200):
            client.send(f"{thread} {i} " + "x" * (i * 17))

    with ThreadPoolExecutor(9) as pool:
        receiving = pool.submit(list, server)
        list(pool.map(send, range(8)))
        client.finish()
        received = receiving.result(WAIT)
    for thread in range(8):
        mine = [text for text in received if text.startswith(f"{thread} ")]
        assert mine == [f"{thread} {i} " + "x" * (i * 17) for i in range(200)]
    assert len(received) == 8 * 200


@pytest.mark.usefixtures("burst_gap")
def test_pings_and_large_messages_do_not_mix(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: [connection.send(b"x" * 300_000) for _ in range(10)])
        pool.submit(lambda: [connection.ping(b"%d" % i) for i in range(10)])
        frames = [peer.read_frame() for _ in range(20)]
    assert [f.payload for f in frames if f.opcode == BINARY] == [b"x" * 300_000] * 10
    assert [f.payload for f in frames if f.opcode == PING] == [b"%d" % i for i in range(10)]


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("bound", [{"send_queue_bytes": 100_000}, {"send_queue_messages": 10}])
@pytest.mark.parametrize(
    ("overflow", "error"),
    [
        ({"write_timeout": 20}, SendTimeout),
        ({"send_overflow": "fail", "write_timeout": None}, QueueFull),
    ],
)
def test_a_full_queue_raises_and_nothing_of_it_is_sent(
    stuck: Any, bound: dict[str, int], overflow: dict[str, Any], error: type[Exception]
) -> None:
    connection, peer = stuck(**bound, **overflow)
    taken = send_until(connection, error)
    assert issubclass(error, WebSocketError)
    assert error.retryable
    for message in taken:
        assert peer.read_frame().payload == message
    # The peer may have read the last byte before the write thread has noted that it is sent.
    while True:
        try:
            connection.send(b"there is room again")
            break
        except error:
            pass
    assert peer.read_frame().payload == b"there is room again"


def test_send_goes_on_as_soon_as_there_is_room(stuck: Any) -> None:
    connection, peer = stuck(send_queue_bytes=100_000, write_timeout=None)
    messages = [i.to_bytes(4, "big") * 2500 for i in range(1000)]
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: [connection.send(message) for message in messages])
        for message in messages:
            assert peer.read_frame().payload == message
        sending.result(WAIT)


def test_a_message_larger_than_the_queue_is_taken_when_nothing_waits(stuck: Any) -> None:
    connection, peer = stuck(send_queue_bytes=1000, send_overflow="fail")
    connection.send(b"x" * 5_000_000)
    with pytest.raises(QueueFull):
        connection.send(b"x")
    assert peer.read_frame().payload == b"x" * 5_000_000


@pytest.mark.parametrize("data", ["x" * 1000, bytearray(1000), memoryview(bytes(1000))])
def test_the_bound_counts_any_kind_of_data(stuck: Any, data: Any) -> None:
    connection, _ = stuck(send_queue_bytes=100_000, send_overflow="fail")
    with pytest.raises(QueueFull):
        send_forever(connection, data)


def send_forever(connection: Connection, data: Any) -> None:
    for _ in range(50_000):
        connection.send(data)


def test_a_wait_for_room_ends_when_the_connection_is_closed(stuck: Any) -> None:
    connection, _ = stuck(send_queue_bytes=100_000, write_timeout=None, close_timeout=50)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_until, connection, ConnectionClosed)
        while not connection._writer._room._waiters:  # until it waits
            threading.Event().wait(0.001)
        connection.close()
        assert sending.result(WAIT)
    assert connection.wait_ended(WAIT)
    assert connection.close_code == 1006


# ---------------------------------------------------------------- the peer goes away


def test_what_the_peer_sent_before_it_went_away_is_still_received(stuck: Any) -> None:
    connection, peer = stuck(write_timeout=WAIT * 1000)
    peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
    peer.reset()
    send_until(connection, ConnectionLost)
    with pytest.raises(ConnectionLost):
        connection.send("x")
    assert [connection.receive(WAIT), connection.receive(WAIT)] == ["a", "b"]
    with pytest.raises(ConnectionLost) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1006


def test_a_peer_that_half_closes_may_still_be_sent_to(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.sock.shutdown(socket.SHUT_WR)
    connection.send("x")
    assert peer.read_frame().payload == b"x"
