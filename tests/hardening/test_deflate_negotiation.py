"""Deflate negotiation: no parameter breaks anything, and RSV1 needs an agreement."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_peers import (
    BINARY,
    CONTINUATION,
    KEY,
    PING,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    field,
    frame,
)

import wsfast

HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, section 7.2.3.1
RSV1 = 4
NAMES = [
    "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
    "client_max_window_bits", "", "foo", "SERVER_MAX_WINDOW_BITS",
]  # fmt: skip
VALUES = [
    None, "", "0", "7", "8", "9", "15", "16", "-1", "+9", "09", "9.0", "1e1", "0x9", "99999999999",
    '"10"', '""', '"', '"1\\0"', "true", " ", "=", "\x80", "NaN", "١٠",
]  # fmt: skip
parameters = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5)


over_sockets = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)


def written(chosen: list[tuple[str, str | None]]) -> bytes:
    parts = ["permessage-deflate"]
    parts += [name if value is None else f"{name}={value}" for name, value in chosen]
    return "; ".join(parts).encode("latin-1", "replace")


@over_sockets
@given(offers=st.lists(parameters, min_size=1, max_size=3), mode=st.integers(0, 2))
def test_any_offer(endpoints: list[Any], offers: list, mode: int) -> None:
    with client_peer(endpoints[mode].server.port) as peer:
        value = b", ".join(map(written, offers))
        peer.ask(b"Sec-WebSocket-Extensions: " + value)
        head = peer.read_head()
        if not head.startswith(b"HTTP/1.1 101 "):
            assert head.startswith(b"HTTP/1.1 400 ")
            return
        agreed = field(head, b"Sec-WebSocket-Extensions")
        if agreed is None:
            peer.send(frame(TEXT, HELLO, rsv=RSV1, key=KEY))
            assert peer.read_close().code == 1002
        else:
            assert mode
            assert agreed.startswith(b"permessage-deflate")
            peer.send(frame(TEXT, HELLO, rsv=RSV1, key=KEY))
            assert peer.read_frame().payload == b"Hello"


@pytest.fixture
def endpoints(start_server: Any) -> list[Any]:
    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    return [start_server(echo, compression=mode) for mode in range(3)]


@over_sockets
@given(answer=parameters, mode=st.integers(0, 2))
def test_any_answer(
    raw_server: Callable[..., RawServer], make_recorder: Any, answer: list, mode: int
) -> None:
    def serve(peer: RawServerPeer) -> None:
        peer.upgrade(b"Sec-WebSocket-Extensions: " + written(answer))
        peer.send(frame(TEXT, HELLO, rsv=RSV1) + b"\x88\x02\x03\xe8")
        with contextlib.suppress(EOFError, ConnectionError):
            peer.read_close()

    recorder = make_recorder()
    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, compression=mode)
    code, _ = recorder.wait_closed()
    if recorder.opened.is_set():
        assert mode
        assert (code, recorder.messages) == (1000, ["Hello"])
    else:
        assert code == 1006
        assert recorder.messages == []
        assert "Sec-WebSocket-Extensions" in recorder.errors[0] or "server" in recorder.errors[0]


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, HELLO, rsv=RSV1),
        frame(BINARY, HELLO, rsv=RSV1, fin=False),
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=RSV1),
        frame(PING, rsv=RSV1),
        frame(TEXT, b"a", rsv=2),
        frame(TEXT, b"a", rsv=1),
    ],
)
@pytest.mark.parametrize("mode", [0, 1])
def test_reserved_bits_without_agreement(
    stream: bytes, mode: int, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(stream)
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, compression=mode)
    assert server.result() == 1002
    assert recorder.wait_closed()[0] == 1002
    assert recorder.messages == []
