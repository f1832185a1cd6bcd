"""Length overflow: lengths around every power that some integer type ends at, through the whole
stack; in one piece and cut at every byte of the header."""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    CONTINUATION,
    KEY,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    frame,
    header,
)

import wsfast

LENGTHS = {
    "2^16": (2**16, 1009),
    "2^31-1": (2**31 - 1, 1009),
    "2^31": (2**31, 1009),
    "2^31+1": (2**31 + 1, 1009),
    "2^32-1": (2**32 - 1, 1009),
    "2^32": (2**32, 1009),
    "2^32+5": (2**32 + 5, 1009),  # 5, if only 32 bits are looked at
    "2^63-1": (2**63 - 1, 1009),
    "2^63": (2**63, 1002),
    "2^63+1": (2**63 + 1, 1002),
    "2^64-1": (2**64 - 1, 1002),
}


@pytest.mark.parametrize(("length", "code"), LENGTHS.values(), ids=LENGTHS)
def test_claimed_by_a_server(
    length: int, code: int, raw_server: Callable[..., RawServer], make_recorder: Any
) -> None:
    head = header(BINARY, length, form=8)
    for cut in range(len(head)):

        def serve(peer: RawServerPeer, cut: int = cut) -> int:
            peer.upgrade()
            peer.send(head[:cut])
            peer.send(head[cut:] + b"12345")
            return peer.read_close().code

        recorder = make_recorder()
        server = raw_server(serve)
        wsfast.connect(server.url, **recorder.callbacks, read_limit=2**16 - 1)
        assert server.result() == code
        assert recorder.wait_closed()[0] == code
        assert recorder.messages == []


@pytest.mark.parametrize(("length", "code"), LENGTHS.values(), ids=LENGTHS)
def test_claimed_by_a_client(length: int, code: int, start_server: Any) -> None:
    received: list[Any] = []
    endpoint = start_server(received.extend, read_limit=2**16 - 1)
    head = header(TEXT, length, form=8, key=KEY)
    for cut in range(len(head)):
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(head[:cut])
            peer.send(head[cut:] + b"12345")
            assert peer.read_close().code == code
    assert received == []


@pytest.mark.parametrize("first", [1, 1000])
def test_fragments_whose_sum_overflows(first: int, start_server: Any) -> None:
    """The limit is compared without a sum that may wrap around."""
    endpoint = start_server(lambda connection: list(connection), read_limit=134_217_728)
    for length in 2**63 - 1, 2**63 - first, 2**32 - first, 134_217_729 - first:
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(frame(BINARY, b"x" * first, fin=False, key=KEY))
            peer.send(header(CONTINUATION, length, key=KEY, form=8))
            assert peer.read_close().code == 1009


@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_one_less_and_one_more_than_the_limit(
    extra: int, pieces: int, opcode: int, start_server: Any
) -> None:
    limit = 70_000
    payload = b"x" * (limit + extra)
    endpoint = start_server(lambda c: [c.send(str(len(m))) for m in c], read_limit=limit)
    step = -(-len(payload) // pieces)
    parts = [payload[at : at + step] for at in range(0, len(payload), step)]
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        for i, part in enumerate(parts):
            fin = i == len(parts) - 1
            peer.send(frame(CONTINUATION if i else opcode, part, fin=fin, key=KEY))
        if extra > 0:
            assert peer.read_close().code == 1009
        else:
            assert peer.read_frame().payload == str(len(payload)).encode()
