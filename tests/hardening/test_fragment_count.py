"""Fragment count, tiny chunks: millions of empty and one-byte fragments cost bounded memory and
linear time; quadratic time would run into the limit of any test."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    CONTINUATION,
    KEY,
    PING,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    close_frame,
    frame,
)

import wsfast

DEFAULT_MAX = 131_072


@pytest.mark.parametrize(("count", "code"), [(DEFAULT_MAX, 1000), (DEFAULT_MAX + 1, 1009)])
def test_the_default_limit(
    count: int, code: int, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * (count - 2))
        peer.send(frame(CONTINUATION) + close_frame(1000))
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks)
    assert server.result() == code
    assert recorder.wait_closed()[0] == code
    assert recorder.messages == ([""] if code == 1000 else [])


COUNT = 2_000_000


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_millions_of_fragments(
    payload: bytes,
    opcode: int,
    raw_server: Callable[..., RawServer],
    recorder: Any,
    memory: Callable[[], Callable[[], int]],
) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(frame(opcode, payload, fin=False))
        many = frame(CONTINUATION, payload, fin=False) * 10_000
        for _ in range(COUNT // 10_000):
            peer.send(many)
        peer.send(frame(CONTINUATION, payload) + close_frame(1000))
        return peer.read_close().code

    grown = memory()
    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, max_fragments=2**31 - 1)
    assert server.result() == 1000
    recorder.wait_closed()
    (message,) = recorder.messages
    assert len(message) == (COUNT + 2) * len(payload)
    # The message, its text, and room to grow into.
    assert grown() < 16_000_000


def test_a_byte_at_a_time(start_server: Any) -> None:
    """Each byte may be a read of its own."""
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    data = frame(TEXT, b"a" * 1000, fin=False, key=KEY)
    data += frame(CONTINUATION, b"b" * 1000, key=KEY)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        for i in range(len(data)):
            peer.send(data[i : i + 1])
        assert peer.read_frame().payload == b"a" * 1000 + b"b" * 1000


def test_messages_begun_on_many_connections(
    start_server: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    """Who only begins messages does not make the server hold much."""
    endpoint = start_server(lambda connection: list(connection))
    grown = memory()
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            peer = stack.enter_context(client_peer(endpoint.server.port))
            peer.open()
            peer.send(frame(BINARY, b"x", fin=False, key=KEY))
            peer.send(frame(PING, b"in?", key=KEY))
            assert peer.read_frame().payload == b"in?"
        assert grown() < 50 * 400_000
