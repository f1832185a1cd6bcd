"""A decoder that gathers no message: what does not lie whole in what has been received comes in
pieces, and is the same altogether."""

import codec_reference
import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    WAYS,
    cut,
    fragments,
    frame,
    header,
    key_for,
)
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Compressed, Decoder, Failure, Piece, Ping

RSV1 = 4
TEXTS = "aé€🎈".encode()


def joined(events: list) -> list:
    """The same, each message in one at its end; what has no end is left out."""
    whole: list = []
    parts: list[bytes] = []
    for event in events:
        if not isinstance(event, Piece):
            whole.append(event)
            continue
        assert event.data or not event.more
        parts.append(event.data)
        if not event.more:
            data = b"".join(parts)
            whole.append(data.decode() if event.text else data)
            parts = []
    return whole


def stream_for(server: bool, ending: str) -> bytes:
    key = key_for(server)
    endings = {
        "close": frame(CLOSE, b"\x03\xe8ok", key=key) + b"ignored",
        "bad byte": fragments(TEXT, [TEXTS, b"ok\xe2", b"\x28 and more"], key=key),
        "surrogate": frame(TEXT, b"ok\xed\xa0\x80", key=key),
        "overlong": fragments(TEXT, [b"\xf0", b"\x8f\xbf\xbf"], key=key),
        "cut character": fragments(TEXT, [b"ok\xe2", b"\x82", b""], key=key),
        "too big": fragments(BINARY, [bytes(100), bytes(201)], key=key),
        "too many": fragments(TEXT, [b"x"] * 7, key=key),
        "two at once": frame(TEXT, b"a", fin=False, key=key) + frame(BINARY, key=key),
    }
    return b"".join(
        [
            frame(TEXT, TEXTS, key=key),
            frame(BINARY, bytes(range(130)), key=key),
            fragments(TEXT, [TEXTS[:2], b"", TEXTS[2:5], TEXTS[5:]], key=key),
            fragments(BINARY, [b"", b""], key=key),
            frame(TEXT, b"a" * 150, fin=False, key=key),
            frame(PING, b"p", key=key),
            frame(CONTINUATION, b"b" * 150, key=key),
            frame(TEXT, key=key),
            endings[ending],
        ]
    )


ENDINGS = [
    "close", "bad byte", "surrogate", "overlong", "cut character", "too big", "too many",
    "two at once",
]  # fmt: skip
LIMITS = codec_reference.Limits(message=300, fragments=6)


def new(server: bool, **options: object) -> Decoder:
    return Decoder(server=server, pieces=True, max_message=300, max_fragments=6, **options)


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_split(ending: str, server: bool) -> None:
    stream = stream_for(server, ending)
    for place in range(len(stream) + 1):
        decoder = new(server)
        events = decoder.feed(stream[:place])
        if ending != "surrogate":  # which the reference sees only when it is whole
            expected = codec_reference.decode(stream[:place], server=server, limits=LIMITS)
            assert joined(events) == expected
        if not (events and isinstance(events[-1], Failure)):
            events += decoder.feed(stream[place:])
        assert joined(events) == codec_reference.decode(stream, server=server, limits=LIMITS)


@pytest.mark.parametrize("give", WAYS)
@given(data=st.data())
def test_cut_anywhere(give, data: st.DataObject) -> None:
    server, ending = data.draw(st.booleans()), data.draw(st.sampled_from(ENDINGS))
    stream = stream_for(server, ending)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    decoder = new(server, buffer_size=data.draw(st.integers(1, 300)))
    expected = codec_reference.decode(stream, server=server, limits=LIMITS)
    assert joined(give(decoder, cut(stream, places))) == expected


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90"])
def test_a_bad_byte_is_told_when_it_comes(bad: bytes) -> None:
    decoder = Decoder(pieces=True)
    assert decoder.feed(header(TEXT, 100) + b"ok" + bad[:-1]) == [
        Piece(b"ok" + bad[:-1], True, True)
    ]
    assert decoder.feed(bad[-1:]) == [Failure(1007, "text is not UTF-8")]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("server", [False, True])
def test_what_lies_whole_is_no_piece(opcode: int, server: bool) -> None:
    decoder = Decoder(server=server, pieces=True)
    data = b"x" * 70_000
    whole = data if opcode == BINARY else data.decode()
    events = decoder.feed(frame(opcode, b"small", key=key_for(server)))
    assert isinstance(events[0], str | bytes)
    assert not decoder.control
    assert decoder.message_bytes == 5
    events = decoder.feed(frame(opcode, data, key=key_for(server)))
    assert [type(event) for event in events] == [Piece, Piece]
    assert decoder.control
    assert decoder.message_bytes == 0
    assert joined(events) == [whole]


def test_no_piece_waits_for_its_frame() -> None:
    decoder = Decoder(pieces=True)
    assert decoder.feed(header(BINARY, 1_000_000)) == []
    assert decoder.feed(b"abc") == [Piece(b"abc", False, True)]
    view = decoder.get_buffer()  # not the message itself: it is not kept
    view[:3] = b"def"
    assert decoder.received(3) == [Piece(b"def", False, True)]


def test_a_message_has_no_size_where_there_is_no_limit() -> None:
    decoder = Decoder(pieces=True, max_message=0)
    size = 0
    decoder.feed(header(BINARY, 1 << 40))
    for _ in range(1000):
        size += sum(len(piece.data) for piece in decoder.feed(bytes(60_000)))
    assert size == 60_000_000


def test_beside_compressed_messages() -> None:
    decoder = Decoder(pieces=True, compression=True)
    stream = frame(TEXT, b"abc", fin=False, rsv=RSV1) + frame(CONTINUATION) + frame(PING)
    stream += frame(TEXT, b"abc", fin=False) + frame(CONTINUATION)
    assert decoder.feed(stream) == [
        Compressed(b"abc", True, True),
        Compressed(b"", True),
        Ping(),
        Piece(b"abc", True, True),
        Piece(b"", True),
    ]
