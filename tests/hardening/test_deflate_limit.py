"""Limit off by one, quadratic inflate: the limit is met to the byte, and time is linear.

Quadratic time would run into the limit of any test.
"""

import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import BINARY, CONTINUATION, KEY, RawServer, RawServerPeer, client_peer, frame

import wsfast

EXTENSION = b"Sec-WebSocket-Extensions: permessage-deflate"
RSV1 = 4
LIMIT = 100_000


def deflated(message: bytes, level: int = 6) -> bytes:
    state = zlib.compressobj(level, wbits=-15)
    return (state.compress(message) + state.flush(zlib.Z_SYNC_FLUSH))[:-4]


def messages(size: int) -> list[bytes]:
    noise = random.Random(size).randbytes(size)
    return [deflated(b"a" * size), deflated(noise), deflated(noise, level=0)]


def in_fragments(payload: bytes, key: bytes | None) -> bytes:
    half = len(payload) // 2
    return frame(BINARY, payload[:half], fin=False, rsv=RSV1, key=key) + frame(
        CONTINUATION, payload[half:], key=key
    )


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
@pytest.mark.parametrize("kind", range(3))
def test_by_a_server(
    more: int, kind: int, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    payload = messages(LIMIT + more)[kind]

    def serve(peer: RawServerPeer) -> int:
        peer.upgrade(EXTENSION)
        peer.send(frame(BINARY, payload, rsv=RSV1) * (2 if more <= 0 else 1))
        peer.send(b"\x88\x02\x03\xe8")
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, compression=1, read_limit=LIMIT)
    assert server.result() == (1000 if more <= 0 else 1009)
    recorder.wait_closed()
    assert [len(m) for m in recorder.messages] == ([LIMIT + more] * 2 if more <= 0 else [])


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
@pytest.mark.parametrize("kind", range(3))
def test_by_a_client(more: int, kind: int, start_server: Any) -> None:
    endpoint = start_server(
        lambda connection: [connection.send(str(len(m))) for m in connection],
        compression=1,
        read_limit=LIMIT,
    )
    with client_peer(endpoint.server.port) as peer:
        peer.open(EXTENSION)
        peer.send(in_fragments(messages(LIMIT + more)[kind], KEY))
        answer = peer.read_frame()
        if more <= 0:
            assert answer.payload == str(LIMIT + more).encode()
        else:
            assert answer.code == 1009


BLOCKS = {
    "empty": b"\x00\x00\x00\xff\xff" * 100_000 + b"\x00",
    "of one byte": b"\x00\x01\x00\xfe\xffa" * 100_000 + b"\x00",
    "that end the stream": b"\x01\x00\x00\xff\xff" * 100_000 + b"\x00",
    "that end it in two bytes": b"\x03\x00" * 500_000 + b"\x00",
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("cut", [0, 10])
def test_many_blocks(
    kind: str, cut: int, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    payload = BLOCKS[kind]
    pieces = [payload[at : at + cut] for at in range(0, len(payload), cut)] if cut else [payload]
    stream = frame(BINARY, fin=False, rsv=RSV1)
    stream += b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces)
    stream += frame(CONTINUATION)

    def serve(peer: RawServerPeer) -> int:
        peer.upgrade(EXTENSION)
        peer.send(stream)
        peer.send(b"\x88\x02\x03\xe8")
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, compression=1, max_fragments=10**6)
    assert server.result() == 1000
    recorder.wait_closed()
    assert recorder.messages == [b"a" * 100_000 if kind == "of one byte" else b""]
