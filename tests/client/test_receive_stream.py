"""`Client.receive_stream`: a message piece by piece, with and without `streaming`."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import BINARY, CONTINUATION, PING, TEXT, close_frame, frame

from wsfast.client import Message, connect
from wsfast.errors import ConnectionClosed, ProtocolError

WAIT = "10s"
MIB = 1024 * 1024


def test_a_large_message_in_bounded_memory(raw_server: Any) -> None:
    """Larger than `read_limit`, and than what may wait."""
    piece = bytes(range(256)) * 256

    def send(peer: Any) -> None:
        peer.upgrade()
        peer.send(frame(BINARY, piece, fin=False))
        for _ in range(510):
            peer.send(frame(CONTINUATION, piece, fin=False))
        peer.send(frame(CONTINUATION, piece) + frame(TEXT, b"next") + close_frame(1000))
        peer.read_to_end()

    client = connect(raw_server(send).url, streaming=True, read_limit=MIB, receive_queue_bytes=MIB)
    tracemalloc.start()
    stream = client.receive_stream(WAIT)
    assert stream.type == "binary"
    size = 0
    for part in stream:
        start = size % len(piece)
        expected = piece * (len(part) // len(piece) + 2)
        assert part == expected[start : start + len(part)]
        size += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 512 * len(piece)
    assert peak < 8 * MIB
    assert client.channel().receive(WAIT) == (Message("text", "next"), True)
    with pytest.raises(ConnectionClosed):
        client.receive_stream(WAIT)
    client.close()


def test_pieces_come_as_soon_as_they_are_there(dial_client: Any) -> None:
    client, peer = dial_client(streaming=True)
    peer.send(frame(TEXT, "zwei Stücke, ".encode()[:7], fin=False))
    stream = client.receive_stream(WAIT)
    assert stream.type == "text"
    assert stream.receive(WAIT) == "zwei St"
    with pytest.raises(TimeoutError):
        stream.receive(1)
    peer.send(frame(CONTINUATION, "ücke".encode()[:1], fin=False))  # half a character
    with pytest.raises(TimeoutError):
        stream.receive(1)
    peer.send(frame(CONTINUATION, "ücke".encode()[1:]))
    assert stream.read(WAIT) == "ücke"
    assert stream.receive() is None
    assert stream.read() == ""


def test_without_streaming_a_message_is_one_piece(dial_client: Any) -> None:
    client, peer = dial_client()
    peer.send(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(BINARY, b"c"))
    assert list(client.receive_stream(WAIT)) == ["ab"]
    stream = client.receive_stream(WAIT)
    assert (stream.type, stream.read()) == ("binary", b"c")
    peer.send(close_frame(4000))
    with pytest.raises(ConnectionClosed, match="4000"):
        client.receive_stream(WAIT)


@pytest.mark.parametrize("streaming", [False, True])
def test_control_messages_are_streams_too(dial_client: Any, streaming: bool) -> None:
    client, peer = dial_client(control_messages=True, streaming=streaming)
    peer.send(frame(PING, b"ping") + frame(TEXT, b"text") + frame(PING))
    streams = [client.receive_stream(WAIT) for _ in range(2)]
    assert [(stream.type, stream.read()) for stream in streams] == [
        ("ping", b"ping"),
        ("text", "text"),
    ]
    stream = client.receive_stream(WAIT)
    assert (stream.type, list(stream)) == ("ping", [])


def test_what_is_left_of_a_message_is_skipped(dial_client: Any) -> None:
    client, peer = dial_client(streaming=True)
    peer.send(frame(BINARY, b"begun", fin=False))
    stream = client.receive_stream(WAIT)
    assert stream.receive(WAIT) == b"begun"
    peer.send(frame(CONTINUATION, b"left", fin=False) + frame(CONTINUATION) + frame(TEXT, b"next"))
    assert client.receive_stream(WAIT).read() == "next"
    with pytest.raises(RuntimeError, match="skipped"):
        stream.receive(WAIT)


def test_joining_more_than_read_limit(dial_client: Any) -> None:
    client, peer = dial_client(streaming=True, read_limit=10)
    peer.send(frame(BINARY, bytes(6), fin=False) + frame(CONTINUATION, bytes(6)))
    with pytest.raises(ProtocolError):
        client.receive_stream(WAIT).read(WAIT)
    assert client.close_code == 1009
    assert peer.read_close().code == 1009


def test_waiting_for_a_stream(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    client, peer = dial_client(streaming=True)
    with pytest.raises(TimeoutError):
        client.receive_stream("1ms")
    with pytest.raises(TypeError, match="timeout"):
        client.receive_stream(b"1s")
    with pytest.raises(ValueError, match="timeout"):
        client.receive_stream(0)
    waiting = pool.submit(client.receive_stream)
    peer.send(frame(TEXT, b"at last"))
    stream = waiting.result(10)
    with pytest.raises(ValueError, match="timeout"):
        stream.receive(-1)
    with pytest.raises(TypeError, match="timeout"):
        stream.read(True)
    assert stream.read() == "at last"
