"""UTF-8 state: text cut at every byte, into fragments and into packets, in every mix.

Relays have passed on invalid text because a check began anew with each piece.
"""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    close_frame,
    frame,
    header,
    mask,
)

import wsfast

VALID = [
    "\u03ba\u1f79\u03c3\u03bc\u03b5",
    "\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff",
    "\ud7ff\ue000\ufffd\ufeff",
    "a\u20acb\U0001f600c\u00e9",
]
INVALID = {
    "a lone continuation": b"\x80",
    "a lone start": b"\xc3",
    "a start without its end": b"\xe2\x82",
    "a start and a letter": b"\xf0\x9f\x98a",
    "overlong of two": b"\xc1\xbf",
    "overlong of three": b"\xe0\x9f\xbf",
    "overlong of four": b"\xf0\x8f\xbf\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}


def test_valid_text_in_two_fragments(raw_server: Callable[..., RawServer], recorder: Any) -> None:
    """The ping between them makes sure that the first is taken in alone."""
    cuts = [(text, at) for text in VALID for at in range(len(text.encode()) + 1)]

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        for text, at in cuts:
            data = text.encode()
            peer.send(frame(TEXT, data[:at], fin=False) + frame(PING))
            assert peer.read_frame().opcode == PONG
            peer.send(frame(CONTINUATION, data[at:]))
        peer.send(close_frame(1000))
        peer.read_close()

    wsfast.connect(raw_server(serve).url, **recorder.callbacks)
    assert recorder.wait_closed() == (1000, "")
    assert recorder.messages == [text for text, _ in cuts]


def test_valid_text_a_byte_at_a_time(start_server: Any) -> None:
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        for text in VALID:
            data = text.encode()
            for byte in frame(TEXT, data, key=KEY):
                peer.send(bytes([byte]))
            assert peer.read_frame().payload == data
            for i in range(len(data)):
                opcode = CONTINUATION if i else TEXT
                peer.send(frame(opcode, data[i : i + 1], fin=i == len(data) - 1, key=KEY))
            assert peer.read_frame().payload == data


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID)
def test_invalid_text_in_two_fragments(bad: bytes, start_server: Any) -> None:
    received: list[Any] = []
    endpoint = start_server(received.extend)
    data = "\u20ac".encode() + bad
    for at in range(len(data) + 1):
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(frame(TEXT, data[:at], fin=False, key=KEY) + frame(PING, key=KEY))
            answer = peer.read_frame()
            if answer.opcode == PONG:  # what is wrong was not in the first
                peer.send(frame(CONTINUATION, data[at:], key=KEY))
                answer = peer.read_frame()
            assert answer.code == 1007, at
    assert received == []


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID)
def test_invalid_text_in_two_packets(bad: bytes, start_server: Any) -> None:
    received: list[Any] = []
    endpoint = start_server(received.extend)
    data = frame(TEXT, "\u20ac".encode() + bad, key=KEY)
    for at in range(len(data)):
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(data[:at])
            peer.send(data[at:])
            assert peer.read_close().code == 1007, at
    assert received == []


SOON = {
    name: bad
    for name, bad in INVALID.items()
    if name not in ("a lone start", "a start without its end")
}


@pytest.mark.parametrize("bad", SOON.values(), ids=SOON)
def test_invalid_text_fails_before_its_frame_is_whole(bad: bytes, start_server: Any) -> None:
    """The rest of the frame never comes."""
    endpoint = start_server(lambda connection: list(connection))
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        peer.send(header(TEXT, 100_000, key=KEY) + mask("\u20ac".encode() + bad, KEY))
        assert peer.read_close().code == 1007


def test_binary_is_not_looked_at(start_server: Any) -> None:
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        for bad in INVALID.values():
            peer.send(frame(2, bad[:1], fin=False, key=KEY))
            peer.send(frame(CONTINUATION, bad[1:], key=KEY))
            assert peer.read_frame().payload == bad
