"""The ID API (seed 004): bounds of the queues, and calls from many threads at once."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, CLOSE, PING, PONG, TEXT, frame, response

import wsfast

WAIT = 10.0
BLOCKED = 0.3
"""Seconds after which a transfer that does not move counts as stopped."""


def open_raw(raw_listener: Any, **arguments: Any) -> tuple[int, Any]:
    """An id that is connected, and the raw peer it is connected to."""
    opened = threading.Event()
    quiet = {"ping_interval": None}
    number = wsfast.connect(raw_listener.url, on_open=opened.set, **(quiet | arguments))
    peer = raw_listener.accept()
    peer.send(response(peer.read_head()))
    assert opened.wait(WAIT)
    return number, peer


# ---------------------------------------------------------------- the receive queue


def send_until_blocked(peer: Any, wire: bytes) -> int:
    """How many bytes went out before nothing moved any more."""
    sent = 0
    peer.sock.settimeout(BLOCKED)
    try:
        while sent < len(wire):
            sent += peer.sock.send(wire[sent : sent + 100_000])
    except TimeoutError:
        return sent
    raise AssertionError("nothing stopped the peer")


@pytest.mark.parametrize("bound", [{"receive_queue_messages": 4}, {"receive_queue_bytes": 4000}])
def test_a_full_receive_queue_stops_the_peer_and_loses_nothing(
    raw_listener: Any, bound: dict[str, int]
) -> None:
    closed = threading.Event()
    number, peer = open_raw(raw_listener, on_close=lambda *_: closed.set(), **bound)
    messages = [i.to_bytes(4, "big") * 250 for i in range(10_000)]
    wire = b"".join(frame(BINARY, message) for message in messages)
    sent = send_until_blocked(peer, wire)
    taken = wsfast.get_messages(number)
    chunk = 64 * 1024 // 1000 + 1  # messages that may come with the one that fills the queue
    assert 4 <= len(taken) < 4 + chunk

    def send_the_rest() -> None:
        peer.sock.settimeout(WAIT)
        peer.send(wire[sent:] + frame(CLOSE))
        peer.read_close()
        peer.sock.close()

    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(send_the_rest)
        while not closed.wait(0.001):
            taken += wsfast.get_messages(number)
        rest.result()
    assert taken + wsfast.get_messages(number) == messages


def test_the_oldest_make_room_where_they_may_be_dropped(start_server: Any) -> None:
    def handler(connection: Any) -> None:
        for i in range(1000):
            connection.send(str(i))

    closed = threading.Event()
    number = wsfast.connect(
        start_server(handler).url,
        on_close=lambda *_: closed.set(),
        receive_queue_messages=3,
        receive_overflow="drop_oldest",
    )
    assert closed.wait(WAIT)
    assert wsfast.get_messages(number) == ["997", "998", "999"]


def test_messages_are_whole_here(start_server: Any, recorder: Any) -> None:
    endpoint = start_server(lambda connection: connection.send_fragments(["é" * 50_000] * 3))
    wsfast.connect(endpoint.url, **recorder.callbacks, streaming=True)
    assert recorder.wait_messages(1) == ["é" * 150_000]
    recorder.wait_closed()


def test_no_control_messages_here(raw_listener: Any, recorder: Any) -> None:
    for callbacks in (recorder.callbacks, {}):
        number = wsfast.connect(raw_listener.url, control_messages=True, **callbacks)
        peer = raw_listener.upgrade(early=frame(PING, b"?") + frame(TEXT, b"a") + frame(PONG))
        assert peer.read_frame().opcode == PONG
        peer.send(frame(TEXT, b"b"))
        messages: list[str | bytes] = []
        while len(messages) < 2:
            messages = recorder.messages if callbacks else messages + wsfast.get_messages(number)
            threading.Event().wait(0.001)
        assert messages == ["a", "b"]
        wsfast.close(number)
        peer.read_close()
        peer.sock.close()


# ---------------------------------------------------------------- the send queue


def send_until_false(number: int) -> list[bytes]:
    """What was taken before a send returned False."""
    accepted = []
    for i in itertools.count():
        message = i.to_bytes(4, "big") * 2500
        if not wsfast.send(number, message):
            return accepted
        accepted.append(message)
        assert i < 10_000, "nothing ever stops the sender"
    raise AssertionError


@pytest.mark.parametrize(
    "options",
    [{"write_timeout": 20}, {"send_overflow": "fail", "write_timeout": None}],
    ids=["block", "fail"],
)
def test_send_is_false_while_the_queue_is_full_and_what_was_taken_arrives(
    raw_listener: Any, options: dict[str, Any]
) -> None:
    raw_listener.shrink()
    number, peer = open_raw(raw_listener, send_queue_bytes=100_000, **options)
    accepted = send_until_false(number)
    assert wsfast.get_state(number) == "connected"
    for message in accepted:
        assert peer.read_frame().payload == message
    # The peer may have read the last byte before the write thread has noted that it is sent.
    while not wsfast.send(number, b"there is room again"):
        assert wsfast.is_connected(number)
    assert peer.read_frame().payload == b"there is room again"


@pytest.mark.parametrize("bound", [{"send_queue_messages": 3}, {"send_queue_bytes": 30_000}])
def test_the_send_queue_is_bounded_in_messages_and_in_bytes(
    raw_listener: Any, bound: dict[str, int]
) -> None:
    raw_listener.shrink()
    number, _ = open_raw(raw_listener, send_overflow="fail", **bound)
    accepted = len(send_until_false(number))
    again, _ = open_raw(raw_listener, send_overflow="fail")
    assert wsfast.send(again, b"x" * 10_000 * (accepted + 100))  # the default holds far more
    assert wsfast.send(again, b"x")


def test_a_send_that_waits_for_room_ends_with_the_connection(raw_listener: Any) -> None:
    raw_listener.shrink()
    number, peer = open_raw(raw_listener, send_queue_bytes=100_000, write_timeout=None)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_until_false, number)
        session = wsfast.api._registry.get(number)
        assert session is not None
        while not session.connection._writer._room._waiters:  # until the send waits
            threading.Event().wait(0.001)
        peer.reset()
        assert sending.result(WAIT)
    assert wsfast.send(number, b"x") is False


# ---------------------------------------------------------------- many threads


def test_messages_of_many_threads_arrive_whole_and_in_order(
    start_server: Any, collector: Any, scheme: str
) -> None:
    endpoint = start_server(collector, scheme)
    opened = threading.Event()
    number = wsfast.connect(endpoint.url, on_open=opened.set, **endpoint.options)
    assert opened.wait(WAIT)

    def send(thread: int) -> None:
        for i in range(300):
            assert wsfast.send(number, f"{thread} {i} ".ljust(i * 13, "x"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    wsfast.close(number)
    collector.ended.get(timeout=WAIT)
    seen: dict[str, list[int]] = {}
    while not collector.messages.empty():
        text = collector.messages.get()
        thread, i, _ = text.split(" ")
        assert len(text) == max(int(i) * 13, len(f"{thread} {i} "))
        seen.setdefault(thread, []).append(int(i))
    assert seen == {str(thread): [*range(300)] for thread in range(8)}


def test_every_function_from_eight_threads_at_once(echo_server: Any, make_recorder: Any) -> None:
    recorders: dict[int, Any] = {}
    lock = threading.Lock()

    def connect() -> int:
        recorder = make_recorder()
        with lock:
            number = wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options)
            recorders[number] = recorder
        return number

    def hammer(seed: int) -> None:
        chance = random.Random(seed)
        number = connect()
        for _ in range(150):
            with lock:
                number = chance.choice([number, *recorders])
            match chance.randrange(24):
                case 0:
                    number = connect()
                case 1:
                    assert wsfast.close(number) is True
                case 2 if chance.random() < 0.1:
                    wsfast.disconnect_all()
                case 3 | 4:
                    assert wsfast.get_messages(number) == []
                case 5 | 6:
                    assert wsfast.get_url(number) == echo_server.url
                case 7 | 8:
                    assert all(entry["url"] == echo_server.url for entry in wsfast.list())
                case 9 | 10:
                    assert wsfast.get_state(number) != "error"
                case _:
                    assert wsfast.send(number, "x" * chance.randrange(3000)) in (True, False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, range(8)))
    wsfast.disconnect_all()
    for recorder in recorders.values():
        code, _ = recorder.wait_closed()
        assert recorder.errors == []
        kinds = [entry[0] for entry in recorder.log]
        assert kinds.count("close") == 1
        assert kinds[-1] == "close"
        assert (kinds[0], code) in [("open", 1000), ("close", 1006)]
    assert wsfast.list() == []
