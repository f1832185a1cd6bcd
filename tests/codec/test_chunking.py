"""However a stream is cut, the same events come, each as soon as its last byte is there."""

import codec_reference
import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    WAYS,
    cut,
    fragments,
    frame,
    key_for,
    receive_chunk,
)
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Decoder


def example_streams(server: bool) -> dict[str, bytes]:
    key = key_for(server)
    text = "aé€🎈".encode()
    return {
        "messages": frame(TEXT, text, key=key)
        + frame(BINARY, bytes(range(130)), key=key)
        + frame(TEXT, key=key)
        + frame(BINARY, b"\x00\xff", key=key),
        "fragments": fragments(TEXT, [text[:2], b"", text[2:5], text[5:]], key=key)
        + fragments(BINARY, [b"", b"one", b"two"], key=key),
        "control frames": frame(PING, key=key)
        + frame(TEXT, text[:2], fin=False, key=key)
        + frame(PONG, b"x" * 125, key=key)
        + frame(CONTINUATION, text[2:], key=key)
        + frame(CLOSE, b"\x03\xe8ok", key=key)
        + b"ignored",
        "bad text": frame(BINARY, b"before", key=key)
        + fragments(TEXT, [text, b"ok\xe2", b"\x28 and more"], key=key),
        "bad close": frame(TEXT, text, key=key) + frame(CLOSE, b"\x03\xee", key=key) + b"more",
        "bad opcode": frame(PING, b"p", key=key) + frame(3, b"?", key=key),
        "other role": frame(TEXT, b"t", key=key) + frame(TEXT, b"x", key=None if server else KEY),
    }


def feed_once(decoder: Decoder, chunk: bytes) -> list[object]:
    return list(decoder.feed(chunk))


def receive_once(decoder: Decoder, chunk: bytes) -> list[object]:
    (events,) = receive_chunk(decoder, chunk)
    return events


ONCE = (feed_once, receive_once)
STREAMS = [
    pytest.param(stream, server, id=f"{name}-{'server' if server else 'client'}")
    for server in (False, True)
    for name, stream in example_streams(server).items()
]


@pytest.mark.parametrize("give", ONCE)
@pytest.mark.parametrize(("stream", "server"), STREAMS)
def test_cut_once_at_every_place(give, stream: bytes, server: bool) -> None:
    for place in range(len(stream) + 1):
        decoder = Decoder(server=server)
        expected = codec_reference.decode(stream[:place], server=server)
        assert give(decoder, stream[:place]) == expected, place
        expected = codec_reference.decode_next(stream, place, server=server)
        assert give(decoder, stream[place:]) == expected, place


@pytest.mark.parametrize("give", ONCE)
@pytest.mark.parametrize(("stream", "server"), STREAMS)
def test_byte_by_byte(give, stream: bytes, server: bool) -> None:
    decoder = Decoder(server=server)
    for end in range(1, len(stream) + 1):
        expected = codec_reference.decode_next(stream[:end], end - 1, server=server)
        assert give(decoder, stream[end - 1 : end]) == expected, end


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 125, 4096])
@pytest.mark.parametrize(("stream", "server"), STREAMS)
def test_every_buffer_size(give, size: int, stream: bytes, server: bool) -> None:
    decoder = Decoder(server=server, buffer_size=size)
    assert give(decoder, [stream]) == codec_reference.decode(stream, server=server)


@pytest.mark.parametrize("give", WAYS)
@given(data=st.data())
def test_cut_anywhere(give, data: st.DataObject) -> None:
    stream, server = data.draw(st.sampled_from([param.values for param in STREAMS]))
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    size = data.draw(st.integers(1, 300))
    decoder = Decoder(server=server, buffer_size=size)
    assert give(decoder, cut(stream, places)) == codec_reference.decode(stream, server=server)


@given(data=st.data())
def test_feed_and_received_may_alternate(data: st.DataObject) -> None:
    stream, server = data.draw(st.sampled_from([param.values for param in STREAMS]))
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    decoder = Decoder(server=server, buffer_size=data.draw(st.integers(1, 64)))
    at = 0
    for chunk in cut(stream, places):
        give = data.draw(st.sampled_from(WAYS))
        end = at + len(chunk)
        expected = codec_reference.decode_next(stream[:end], at, server=server)
        assert give(decoder, [chunk]) == expected
        at = end
