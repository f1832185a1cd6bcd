"""Text: everything that is UTF-8 passes, and nothing else gets a byte further than it must."""

from itertools import pairwise

import codec_reference
import pytest
from codec_wire import CONTINUATION, TEXT, WAYS, frame, header, key_for, mask
from hypothesis import example, given
from hypothesis import strategies as st

from wsfast.codec import Decoder, Failure

BAD = Failure(1007, "text is not UTF-8")


def is_beginning_of_text(data: bytes) -> bool:
    """Whether some text begins with these bytes, by trying all that could come next."""
    tails = [b"", b"\x80", b"\xa0", b"\x80\x80", b"\xa0\x80", b"\x90\x80\x80", b"\x80\x80\x80"]
    return any(is_text(data + tail) for tail in tails)


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("server", [False, True])
def test_every_sequence_of_two_bytes_fails_at_its_first_bad_byte(server: bool) -> None:
    key = key_for(server)
    head = header(TEXT, 100, key=key)
    for first in range(256):
        decoder = Decoder(server=server)
        byte = bytes([first])
        masked = mask(byte, key) if key else byte
        good = is_beginning_of_text(byte)
        assert decoder.feed(head + masked) == ([] if good else [BAD]), byte
        if not good:
            continue
        for second in range(256):
            data = bytes([first, second])
            masked = mask(data, key) if key else data
            expected = [] if is_beginning_of_text(data) else [BAD]
            assert Decoder(server=server).feed(head + masked) == expected, data


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 100_000])
class TestIncompleteFrame:
    """The bad byte fails the stream, though most of the frame has not come."""

    def test_after_ascii(self, give, server: bool, size: int) -> None:
        stream = frame(TEXT, b"a" * size + b"\xff" + b"b" * size, key=key_for(server))
        decoder = Decoder(server=server)
        bad = len(stream) - size - 1
        assert give(decoder, [stream[:bad]]) == []
        assert give(decoder, [stream[bad : bad + 1]]) == [BAD]

    def test_in_a_later_fragment(self, give, server: bool, size: int) -> None:
        key = key_for(server)
        decoder = Decoder(server=server)
        assert give(decoder, [frame(TEXT, b"\xe2", fin=False, key=key)]) == []
        stream = frame(CONTINUATION, b"\x82\xac" + b"\xc3A" + bytes(size), fin=False, key=key)
        bad = len(stream) - size - 1
        assert give(decoder, [stream[:bad]]) == []
        assert give(decoder, [stream[bad : bad + 1]]) == [BAD]

    def test_whole_chunk_at_once(self, give, server: bool, size: int) -> None:
        stream = frame(TEXT, b"\xff" + bytes(size), key=key_for(server))
        assert give(Decoder(server=server), [stream[:-1]]) == [BAD]


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\x7f",
        "\x80",
        "\u07ff",
        "\u0800",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
    ],
)
def test_edges_of_the_code_space(text: str) -> None:
    assert Decoder().feed(frame(TEXT, text.encode())) == [text]
    for place in range(1, len(text.encode())):
        decoder = Decoder()
        stream = frame(TEXT, text.encode())
        assert decoder.feed(stream[: 2 + place]) == []
        assert decoder.feed(stream[2 + place :]) == [text]


def test_surrogates_of_utf16_are_not_text() -> None:
    assert Decoder().feed(frame(TEXT, "\ud83c\udf88".encode("utf-8", "surrogatepass"))) == [BAD]


def test_byte_order_mark_is_kept() -> None:
    assert Decoder().feed(frame(TEXT, b"\xef\xbb\xbfx")) == ["\ufeffx"]


def test_state_of_a_text_ends_with_it() -> None:
    stream = frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xa9")
    assert Decoder().feed(stream * 2) == ["é", "é"]


@given(text=st.text(), places=st.lists(st.integers(0, 300), max_size=6), size=st.integers(1, 64))
@example(text="é" * 100, places=[1], size=1)
def test_text_in_any_fragments(text: str, places: list[int], size: int) -> None:
    data = text.encode()
    cuts = sorted({0, len(data), *(place for place in places if place < len(data))})
    pieces = [data[a:b] for a, b in pairwise(cuts)] or [b""]
    stream = b"".join(
        frame(CONTINUATION if i else TEXT, piece, fin=i == len(pieces) - 1)
        for i, piece in enumerate(pieces)
    )
    assert Decoder(buffer_size=size).feed(stream) == [text]


@given(
    data=st.lists(
        st.one_of(st.binary(max_size=4), st.text(max_size=4).map(str.encode)), max_size=8
    ).map(b"".join),
    server=st.booleans(),
)
def test_any_bytes_as_text(data: bytes, server: bool) -> None:
    stream = frame(TEXT, data, key=key_for(server))
    for end in (len(stream), len(stream) - 1):
        expected = codec_reference.decode(stream[:end], server=server)
        assert Decoder(server=server).feed(stream[:end]) == expected
