"""Each rule of RFC 6455 broken once, over a real socket, against the client and the server.

What came before is delivered, what was said in reply leaves before the close frame, and the peer
sees the code that the RFC asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    RawServer,
    RawServerPeer,
    Wire,
    client_peer,
    close_frame,
    frame,
    header,
)

import wsfast
from wsfast.protocol.errors import ProtocolError

Bytes = Callable[[bytes | None], bytes]
"""From the masking key, or None for frames without one."""

LIMITS = {"read_limit": 1000, "max_fragments": 3}


def rsv(bits: int, opcode: int = TEXT, payload: bytes = b"x") -> Bytes:
    return lambda key: frame(opcode, payload, rsv=bits, key=key)


def opcode(number: int, fin: bool = True) -> Bytes:
    return lambda key: frame(number, b"", fin=fin, key=key)


def sequence(*parts: tuple[int, bytes, bool]) -> Bytes:
    return lambda key: b"".join(frame(op, data, fin=fin, key=key) for op, data, fin in parts)


def closing(code: int) -> Bytes:
    return lambda key: close_frame(code, key=key)


def length(claimed: int, form: int | None = None, op: int = BINARY, fin: bool = True) -> Bytes:
    return lambda key: header(op, claimed, form=form, fin=fin, key=key)


def text(payload: bytes) -> Bytes:
    return lambda key: frame(TEXT, payload, key=key)


VIOLATIONS: dict[str, tuple[Bytes, int]] = {
    "RSV1, which no extension uses": (rsv(4), 1002),
    "RSV2": (rsv(2), 1002),
    "RSV3": (rsv(1), 1002),
    "RSV1 on a binary frame that would inflate": (rsv(4, BINARY, b"\xca\x48\x04\x00"), 1002),
    "RSV1 on a ping": (rsv(4, PING), 1002),
    "RSV1 on a close": (rsv(4, CLOSE, b""), 1002),
    "RSV2 on a continuation": (
        lambda key: (
            frame(TEXT, b"a", fin=False, key=key) + frame(CONTINUATION, b"b", rsv=2, key=key)
        ),
        1002,
    ),
    **{f"opcode {number}": (opcode(number), 1002) for number in (3, 4, 5, 6, 7)},
    **{f"opcode {number}": (opcode(number), 1002) for number in (11, 12, 13, 14, 15)},
    "a reserved opcode inside a fragmented message": (
        sequence((TEXT, b"a", False), (3, b"b", True)),
        1002,
    ),
    "a ping of 126 bytes": (length(126, op=PING), 1002),
    "a pong of 65536 bytes": (length(65536, op=PONG), 1002),
    "a close of 126 bytes": (length(126, op=CLOSE), 1002),
    "a ping in fragments": (opcode(PING, fin=False), 1002),
    "a pong in fragments": (opcode(PONG, fin=False), 1002),
    "a close in fragments": (opcode(CLOSE, fin=False), 1002),
    "a continuation of nothing": (opcode(CONTINUATION), 1002),
    "a continuation of nothing that goes on": (opcode(CONTINUATION, fin=False), 1002),
    "a text inside a fragmented message": (sequence((TEXT, b"a", False), (TEXT, b"b", True)), 1002),
    "a binary inside a fragmented message": (
        sequence((TEXT, b"a", False), (PONG, b"", True), (BINARY, b"b", True)),
        1002,
    ),
    "0 in two bytes": (length(0, 2), 1002),
    "125 in two bytes": (length(125, 2), 1002),
    "125 in eight bytes": (length(125, 8), 1002),
    "65535 in eight bytes": (length(65535, 8), 1002),
    "a length with its top bit set": (length(2**63, 8), 1002),
    "the longest length": (length(2**64 - 1, 8), 1002),
    "a close of one byte": (lambda key: frame(CLOSE, b"\x03", key=key), 1002),
    **{f"close code {code}": (closing(code), 1002) for code in (0, 1, 999, 1004, 1005, 1006)},
    **{f"close code {code}": (closing(code), 1002) for code in (1015, 1016, 1100, 2000, 2999)},
    **{f"close code {code}": (closing(code), 1002) for code in (5000, 65535)},
    "a close reason that is no UTF-8": (lambda key: close_frame(1000, b"\xff", key=key), 1007),
    "a close reason cut short": (lambda key: close_frame(1000, b"caf\xc3", key=key), 1007),
    "a text that is no UTF-8": (text(b"abc\xffdef"), 1007),
    "an overlong form": (text(b"\xc0\xaf"), 1007),
    "a surrogate": (text(b"\xed\xa0\x80"), 1007),
    "a character above U+10FFFF": (text(b"\xf4\x90\x80\x80"), 1007),
    "a text cut short": (text(b"caf\xc3"), 1007),
    "a text cut short in fragments": (
        sequence((TEXT, b"caf\xc3", False), (CONTINUATION, b"", True)),
        1007,
    ),
    "a bad byte in a later fragment": (
        sequence((TEXT, b"\xf0\x9f", False), (CONTINUATION, b"\x98(", True)),
        1007,
    ),
    "a bad byte in a text that has not ended": (
        lambda key: header(TEXT, 1000, key=key) + frame(TEXT, b"abc\xff", key=key)[-4:],
        1007,
    ),
    "a message over the limit": (lambda key: frame(BINARY, b"x" * 1001, key=key), 1009),
    "a claim over the limit": (length(1001), 1009),
    "the longest claim": (length(2**63 - 1, 8), 1009),
    "fragments over the limit together": (
        sequence((BINARY, b"x" * 600, False), (CONTINUATION, b"x" * 401, True)),
        1009,
    ),
    "a claim over the limit in a fragment": (
        lambda key: (
            frame(TEXT, b"x" * 600, fin=False, key=key)
            + header(CONTINUATION, 401, fin=False, key=key)
        ),
        1009,
    ),
    "too many fragments": (
        sequence(
            (TEXT, b"", False),
            (CONTINUATION, b"", False),
            (CONTINUATION, b"", False),
            (CONTINUATION, b"", True),
        ),
        1009,
    ),
    "the other side's masking": (
        lambda key: frame(TEXT, b"masked or not", key=KEY if key is None else None),
        1002,
    ),
    "the other side's masking of a ping": (
        lambda key: frame(PING, b"", key=KEY if key is None else None),
        1002,
    ),
}


@dataclass
class Heard:
    """What the raw peer received: the payloads before the close frame, and that frame's code."""

    replies: list[tuple[int, bytes]]
    code: int
    after: bytes


def violate(peer: Wire, data: Bytes, key: bytes | None) -> Heard:
    """Messages and a ping, then the violation, and more, all in one go."""
    peer.send(
        frame(TEXT, b"one", key=key)
        + frame(PING, b"are you there?", key=key)
        + frame(BINARY, b"two", key=key)
        + data(key)
    )
    replies: list[tuple[int, bytes]] = []
    received = peer.read_frame()
    while received.opcode != CLOSE:
        replies.append((received.opcode, received.payload))
        received = peer.read_frame()
    assert (received.key is None) == (key is not None), "clients mask, servers do not"
    return Heard(replies, received.code, peer.read_to_end())


def check(heard: Heard, code: int) -> None:
    assert heard.code == code
    assert sorted(heard.replies) == [
        (TEXT, b"re: one"),
        (BINARY, b"two"),
        (PONG, b"are you there?"),
    ]
    assert heard.after == b""


@pytest.mark.parametrize(("data", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_by_a_server(
    data: Bytes, code: int, raw_server: Callable[..., RawServer], make_recorder: Any
) -> None:
    class Answering(make_recorder):
        def on_message(self, data: str | bytes) -> None:
            super().on_message(data)
            assert wsfast.send(wsfast.current(), f"re: {data}" if isinstance(data, str) else data)

    def serve(peer: RawServerPeer) -> Heard:
        peer.upgrade()
        return violate(peer, data, None)

    recorder = Answering()
    server = raw_server(serve)
    number = wsfast.connect(server.url, **recorder.callbacks, **LIMITS)
    check(server.result(), code)
    closed_with, reason = recorder.wait_closed()
    assert closed_with == code
    assert reason
    messages = recorder.messages
    assert messages[:2] == ["one", b"two"]
    assert len(recorder.errors) == 1
    assert recorder.log == [
        ("open",),
        *[("message", message) for message in messages],
        ("error", recorder.errors[0]),
        ("close", code, reason),
    ]
    assert wsfast.get_state(number) == "error"


@pytest.mark.parametrize(("data", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_by_a_client(data: Bytes, code: int, start_server: Any) -> None:
    ends: list[Exception] = []

    def handle(connection: Any) -> None:
        try:
            for message in connection:
                connection.send(f"re: {message}" if isinstance(message, str) else message)
        except ProtocolError as exc:
            ends.append(exc)
            raise

    endpoint = start_server(handle, **LIMITS)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        check(violate(peer, data, KEY), code)
    endpoint.server.shutdown(10)
    (end,) = ends
    assert isinstance(end, ProtocolError)
    assert end.code == code


@pytest.mark.parametrize("size", [999, 1000])
def test_messages_within_the_limit(
    size: int, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    half = size // 2

    def serve(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.send(frame(BINARY, b"a" * size))
        peer.send(frame(BINARY, b"b" * half, fin=False))
        peer.send(frame(PING))
        peer.send(frame(CONTINUATION, b"b" * (size - half), fin=False) + frame(CONTINUATION))
        peer.send(close_frame(1000))
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks, **LIMITS)
    assert server.result() == 1000
    recorder.wait_closed()
    assert recorder.messages == [b"a" * size, b"b" * size]
    assert recorder.errors == []
