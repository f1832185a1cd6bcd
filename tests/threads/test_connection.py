"""The driver: receiving, the stand-in reader, pings and keepalive."""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, PING, PONG, TEXT, close_frame, frame

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, ProtocolError
from wsfast.server import Connection

WAIT = 10.0
NEVER = 3600.0


def end_of(connection: Connection) -> ConnectionClosed:
    """Receives to the end and returns what that raises."""
    try:
        while True:
            connection.receive(WAIT)
    except ConnectionClosed as exc:
        return exc


def stand_ins() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "wsfast-stand-in"]


# ---------------------------------------------------------------- receiving


def test_messages_come_as_str_and_bytes_in_order(dial_raw: Any) -> None:
    connection, peer = dial_raw(early=frame(TEXT, b"with the handshake"))
    peer.send(frame(TEXT, "\N{SNOWMAN}".encode()) + frame(BINARY, b"\xff") + frame(TEXT))
    received = [connection.receive(WAIT) for _ in range(4)]
    assert received == ["with the handshake", "\N{SNOWMAN}", b"\xff", ""]


def test_a_timeout_of_receive_loses_nothing(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with pytest.raises(TimeoutError):
        connection.receive(0)
    for piece in frame(BINARY, bytes(range(200))):
        peer.send(bytes([piece]))
        with pytest.raises(TimeoutError):
            connection.receive(0.001)
        if piece == 198:
            break
    peer.send(b"\xc7" + frame(TEXT, b"next"))
    assert connection.receive(WAIT) == bytes(range(200))
    assert connection.receive(WAIT) == "next"
    with pytest.raises(TimeoutError, match="timeout"):
        connection.receive(0.001)
    assert connection.state is State.CONNECTED


def test_several_threads_in_receive_share_the_messages(open_pair: Any, scheme: str) -> None:
    client, server = open_pair(scheme)
    received: list[list[Any]] = [[], [], [], []]

    def take(mine: list[Any]) -> None:
        mine.extend(client)

    with ThreadPoolExecutor(4) as pool:
        takers = [pool.submit(take, mine) for mine in received]
        for i in range(2000):
            server.send(f"{i:04d}")
        server.finish()
        for taker in takers:
            taker.result(WAIT)
    assert sorted(itertools.chain(*received)) == [f"{i:04d}" for i in range(2000)]
    assert all(mine == sorted(mine) for mine in received)


def test_one_thread_may_give_up_while_another_reads(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(connection.receive, WAIT)
        for _ in range(20):
            with pytest.raises(TimeoutError):
                connection.receive(0.001)
        peer.send(frame(TEXT, b"x"))
        assert reader.result(WAIT) == "x"


def test_what_has_arrived_is_received_before_the_end(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    wire = b"".join(frame(TEXT, str(i).encode()) for i in range(10))
    peer.send(wire + close_frame(4000, b"done"))
    assert [connection.receive(WAIT) for _ in range(10)] == [str(i) for i in range(10)]
    assert peer.sock.fileno() >= 0
    for _ in range(2):
        error = end_of(connection)
        assert (error.code, error.reason, error.clean) == (4000, "done", True)
    assert peer.read_close().code == 4000


def test_take_all_takes_what_has_been_read(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c"))
    assert connection.receive(WAIT) == "a"
    assert connection.take_all() == ["b", "c"]
    assert connection.take_all() == []


def test_iteration_ends_quietly_after_a_closing_handshake(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.send(frame(TEXT, b"a") + close_frame(1000))
    assert list(connection) == ["a"]
    assert list(connection) == []


@pytest.mark.parametrize(
    ("wire", "error", "code"),
    [
        (b"", ConnectionLost, 1006),
        (frame(TEXT, b"cut off")[:-1], ConnectionLost, 1006),
        (frame(TEXT, b"\xff"), ProtocolError, 1007),
        (frame(3), ProtocolError, 1002),
    ],
    ids=["no close frame", "truncated", "bad UTF-8", "bad opcode"],
)
def test_iteration_raises_what_ended_it(
    dial_raw: Any, wire: bytes, error: type[ConnectionClosed], code: int
) -> None:
    connection, peer = dial_raw()
    peer.send(frame(TEXT, b"a") + wire)
    peer.sock.shutdown(1)
    messages = iter(connection)
    assert next(messages) == "a"
    with pytest.raises(error) as caught:
        next(messages)
    assert caught.value.code == code
    assert not caught.value.clean
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.state is State.ERROR


# ---------------------------------------------------------------- the stand-in


@pytest.fixture
def eager_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)


@pytest.mark.usefixtures("eager_stand_in")
def test_pings_are_answered_while_nobody_receives(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    for i in range(5):
        peer.send(frame(TEXT, b"%d" % i) + frame(PING, b"ping %d" % i))
        pong = peer.read_frame()
        assert (pong.opcode, pong.payload) == (PONG, b"ping %d" % i)
    assert [connection.receive(WAIT) for _ in range(5)] == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("eager_stand_in")
def test_the_stand_in_steps_back_for_who_receives(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    for i in range(5):
        peer.send(frame(PING))
        assert peer.read_frame().opcode == PONG  # nobody receives, so the stand-in reads
        (stand_in,) = stand_ins()
        with ThreadPoolExecutor(1) as pool:
            receiving = pool.submit(connection.receive, WAIT)
            while stand_in.is_alive() and not connection._reader.waiting:
                threading.Event().wait(0.001)
            peer.send(frame(TEXT, b"%d" % i))
            assert receiving.result(WAIT) == str(i)
        stand_in.join(WAIT)
        assert not stand_in.is_alive()


@pytest.mark.usefixtures("eager_stand_in")
def test_the_end_is_noticed_while_nobody_receives(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.state is State.ERROR
    assert connection.close_code == 1006


@pytest.mark.usefixtures("eager_stand_in")
def test_a_close_frame_is_answered_while_nobody_receives(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.reader.ANSWER", 0.01)
    connection, peer = dial_raw(close_timeout=NEVER * 1000)
    peer.send(frame(TEXT, b"not taken yet") + close_frame(4000))
    assert peer.read_close().code == 4000
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.state is State.DISCONNECTED
    assert connection.receive() == "not taken yet"
    assert end_of(connection).code == 4000


@pytest.fixture
def close_unanswered(dial_raw: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection whose stand-in has read a message and a close frame, and its raw peer."""
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)
    monkeypatch.setattr("wsfast.threads.reader.ANSWER", NEVER)
    connection, peer = dial_raw(close_timeout=NEVER * 1000)
    peer.send(frame(TEXT, b"question") + close_frame(4000))
    while not connection._protocol.unsettled:
        threading.Event().wait(0.001)
    return connection, peer


def test_who_is_late_may_still_answer_before_the_close_frame(close_unanswered: Any) -> None:
    connection, peer = close_unanswered
    assert connection.receive(WAIT) == "question"
    connection.send("answer")
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(end_of, connection)
        assert peer.read_frame().payload == b"answer"
        assert peer.read_close().code == 4000
        assert ending.result(WAIT).code == 4000


def test_closing_after_the_peers_close_frame_needs_no_second_one(close_unanswered: Any) -> None:
    connection, peer = close_unanswered
    connection.close(1000)
    peer.read_close()
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert (connection.state, connection.close_code) == (State.DISCONNECTED, 4000)


def test_callbacks_that_come_late_may_still_answer(close_unanswered: Any) -> None:
    connection, peer = close_unanswered
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            connection.run, lambda messages: [connection.send(f"{m}!") for m in messages]
        )
        assert peer.read_frame().payload == b"question!"
        assert peer.read_close().code == 4000
        peer.sock.close()
        running.result(WAIT)
    assert connection.state is State.DISCONNECTED


@pytest.mark.usefixtures("eager_stand_in")
def test_callbacks_take_over_from_a_stand_in_whose_queue_is_full(dial_raw: Any) -> None:
    connection, peer = dial_raw(receive_queue_messages=1)
    peer.send(frame(TEXT, b"0") + frame(PING))
    assert peer.read_frame().opcode == PONG  # the stand-in has read that, and waits for room
    delivered: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(connection.run, delivered.extend)
        peer.send(frame(TEXT, b"1") + close_frame(1000))
        peer.read_close()
        peer.sock.close()
        running.result(WAIT)
    assert delivered == ["0", "1"]


@pytest.mark.usefixtures("eager_stand_in")
def test_the_stand_in_stops_at_a_full_queue_and_goes_on(dial_raw: Any) -> None:
    connection, peer = dial_raw(receive_queue_messages=2)
    peer.send(frame(PING))
    assert peer.read_frame().opcode == PONG
    for i in range(6):  # each in a segment of its own
        peer.send(frame(TEXT, b"%d" % i) + frame(PING))
    assert [connection.receive(WAIT) for _ in range(6)] == ["0", "1", "2", "3", "4", "5"]


# ---------------------------------------------------------------- pings


def test_a_ping_is_answered(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    assert connection.latency is None
    number = connection.ping(b"are you there?")
    ping = peer.read_frame()
    assert (ping.opcode, ping.payload) == (PING, b"are you there?")
    assert not connection.wait_pong(number, 0.001)
    peer.send(frame(PONG, b"something else"))
    assert not connection.wait_pong(number, 0.001)
    peer.send(frame(PONG, ping.payload))
    assert connection.wait_pong(number, WAIT)
    assert connection.latency is not None
    assert connection.latency >= 0


def test_a_pong_answers_the_pings_before_it(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    numbers = [connection.ping(b"%d" % i) for i in range(3)]
    peer.send(frame(PONG, b"1"))
    assert connection.wait_pong(numbers[0], WAIT)
    assert connection.wait_pong(numbers[1], WAIT)
    assert not connection.wait_pong(numbers[2], 0.001)


def test_who_waits_for_a_pong_sees_to_it_that_somebody_reads(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if somebody did when it looked."""
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", NEVER)
    connection, peer = dial_raw()
    reader, looked = connection._reader, threading.Event()
    start_stand_in = reader.start_stand_in

    def look() -> None:
        start_stand_in()
        looked.set()

    with ThreadPoolExecutor(2) as pool:
        receiving = pool.submit(connection.receive, WAIT)
        while not reader.hears_silence:
            pass
        monkeypatch.setattr(reader, "start_stand_in", look)
        waiting = pool.submit(connection.wait_pong, connection.ping(), WAIT)
        assert looked.wait(WAIT)
        peer.send(frame(TEXT, b"the only message"))
        assert receiving.result(WAIT) == "the only message"
        peer.send(frame(PONG, peer.read_frame().payload))
        assert waiting.result(WAIT)


def test_wait_pong_ends_with_the_connection(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    number = connection.ping()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connection.wait_pong, number)
        peer.sock.close()
        assert waiting.result(WAIT) is False


def test_a_ping_that_cannot_be_sent_raises(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    with pytest.raises(ValueError, match="125"):
        connection.ping(b"x" * 126)
    peer.send(close_frame(1000))
    end_of(connection)
    with pytest.raises(ConnectionClosed):
        connection.ping()


def test_a_peer_that_answers_keepalive_pings_stays_connected(dial_raw: Any) -> None:
    connection, peer = dial_raw(ping_interval=10, pong_timeout=WAIT * 1000)
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(end_of, connection)
        for _ in range(5):
            ping = peer.read_frame()
            assert ping.opcode == PING
            peer.send(frame(PONG, ping.payload))
        assert connection.state is State.CONNECTED
        peer.send(close_frame(1000))
        assert receiving.result(WAIT).clean
    assert connection.latency is not None


def test_a_silent_peer_ends_with_1011(dial_raw: Any) -> None:
    connection, peer = dial_raw(ping_interval=20, pong_timeout=20)
    error = end_of(connection)
    assert (error.code, error.reason) == (1011, "keepalive ping timeout")
    assert peer.read_frame().opcode == PING
    assert peer.read_close().code == 1011
    assert connection.state is State.ERROR


@pytest.mark.usefixtures("eager_stand_in")
def test_a_peer_is_not_called_dead_while_nobody_reads(dial_raw: Any) -> None:
    """The queue is full, so a pong would wait unread; when there is room, silence counts again."""
    full = frame(TEXT, b"full")
    connection, peer = dial_raw(
        early=full, receive_queue_messages=1, ping_interval=5, pong_timeout=5
    )
    assert peer.read_frame().opcode == PING
    assert not connection.wait_ended(0.1)  # many times pong_timeout
    assert connection.state is State.CONNECTED
    assert connection.receive(WAIT) == "full"
    assert end_of(connection).code == 1011


def test_no_message_within_read_timeout(dial_raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", 0.05)
    connection, peer = dial_raw(read_timeout=50)
    peer.send(frame(TEXT, b"x"))
    assert connection.receive(WAIT) == "x"
    error = end_of(connection)
    assert error.code == 1008
    assert "timeout" in error.reason
    assert peer.read_close().code == 1008


def test_pings_do_not_extend_read_timeout(dial_raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", 0.05)
    connection, peer = dial_raw(read_timeout=200)
    with ThreadPoolExecutor(1) as pool, contextlib.suppress(OSError):
        ending = pool.submit(end_of, connection)
        while not ending.done():
            peer.send(frame(PING))
            threading.Event().wait(0.01)
    assert ending.result(WAIT).code == 1008
