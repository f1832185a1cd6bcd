"""Allocation by claimed length: memory follows what has arrived, not what is announced."""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    frame,
    header,
    mask,
)

import wsfast
from wsfast.protocol.options import MAX_READ_LIMIT

CONNECTIONS = 8
"""Together they could claim a GiB."""


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_by_servers(
    opcode: int,
    raw_server: Callable[..., RawServer],
    make_recorder: Any,
    memory: Callable[[], Callable[[], int]],
) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        # The ping between the fragments is answered once all before it has been taken in.
        peer.send(frame(opcode, b"0123456789", fin=False) + frame(PING, b"in?"))
        assert peer.read_frame().opcode == PONG
        peer.send(header(CONTINUATION, MAX_READ_LIMIT - 10) + b"0123456789")
        peer.read_close()

    server = raw_server(serve)
    recorders = [make_recorder() for _ in range(CONNECTIONS)]
    grown = memory()
    numbers = [
        wsfast.connect(
            server.url, **recorder.callbacks, read_limit=MAX_READ_LIMIT, read_timeout=500
        )
        for recorder in recorders
    ]
    for recorder in recorders:  # it ends by read_timeout: what was sent has been there for long
        assert recorder.wait_closed()[0] == 1008
        assert recorder.messages == []
    assert grown() < 8_000_000
    for number in numbers:
        assert wsfast.get_state(number) == "error"


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_by_clients(
    opcode: int, start_server: Any, memory: Callable[[], Callable[[], int]]
) -> None:
    endpoint = start_server(
        lambda connection: list(connection), read_limit=MAX_READ_LIMIT, read_timeout=100
    )
    grown = memory()
    for _ in range(CONNECTIONS):
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(header(opcode, MAX_READ_LIMIT, key=KEY) + mask(b"0123456789", KEY))
            assert peer.read_close().code == 1008
    assert grown() < 8_000_000


def test_more_than_the_limit_fails_at_the_header(start_server: Any) -> None:
    """Without a byte of the payload."""
    endpoint = start_server(lambda connection: list(connection), read_limit=1000)
    for head in (
        header(BINARY, 1001, key=KEY),
        header(TEXT, MAX_READ_LIMIT, key=KEY),
        header(BINARY, 2**63 - 1, key=KEY),
        frame(BINARY, b"x" * 1000, fin=False, key=KEY) + header(CONTINUATION, 1, key=KEY),
    ):
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(head)
            assert peer.read_close().code == 1009
