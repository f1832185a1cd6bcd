"""`max_message` and `max_fragments`: all that is allowed passes, one more fails."""

import codec_reference
import pytest
from codec_reference import Limits
from codec_wire import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    WAYS,
    fragments,
    frame,
    header,
    key_for,
)
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Decoder, Failure

TOO_BIG = Failure(1009, "message over the size limit")
TOO_MANY = Failure(1009, "message in too many fragments")


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("limit", [1, 125, 126, 65535, 65536, 70_000])
class TestMaxMessage:
    def test_in_one_frame(self, give, server: bool, opcode: int, limit: int) -> None:
        for size, allowed in ((limit - 1, True), (limit, True), (limit + 1, False)):
            stream = frame(opcode, b"x" * size, key=key_for(server))
            decoder = Decoder(server=server, max_message=limit)
            events = give(decoder, [stream])
            assert (events == [TOO_BIG]) is not allowed
            assert len(events) == 1

    def test_in_fragments(self, give, server: bool, opcode: int, limit: int) -> None:
        for size, allowed in ((limit - 1, True), (limit, True), (limit + 1, False)):
            pieces = [b"x" * (size // 2), b"", b"x" * (size - size // 2)]
            stream = fragments(opcode, pieces, key=key_for(server))
            decoder = Decoder(server=server, max_message=limit)
            events = give(decoder, [stream])
            assert (events == [TOO_BIG]) is not allowed
            assert len(events) == 1

    def test_header_is_enough(self, give, server: bool, opcode: int, limit: int) -> None:
        decoder = Decoder(server=server, max_message=limit)
        stream = header(opcode, limit + 1, key=key_for(server))
        assert give(decoder, [stream[:-1]]) == []
        assert give(decoder, [stream[-1:]]) == [TOO_BIG]

    def test_counts_each_message_anew(self, give, server: bool, opcode: int, limit: int) -> None:
        stream = frame(opcode, b"x" * limit, key=key_for(server)) * 3
        events = give(Decoder(server=server, max_message=limit), [stream])
        assert [len(event) for event in events] == [limit] * 3


@pytest.mark.parametrize("server", [False, True])
class TestMaxFragments:
    @pytest.mark.parametrize("limit", [1, 2, 3, 50])
    def test_edge(self, server: bool, limit: int) -> None:
        key = key_for(server)
        for count in (max(limit - 1, 1), limit):
            stream = fragments(TEXT, [b"x"] * count, key=key)
            assert Decoder(server=server, max_fragments=limit).feed(stream) == ["x" * count]
        stream = fragments(TEXT, [b"x"] * (limit + 1), key=key)
        assert Decoder(server=server, max_fragments=limit).feed(stream) == [TOO_MANY]

    def test_header_is_enough(self, server: bool) -> None:
        key = key_for(server)
        decoder = Decoder(server=server, max_fragments=1)
        assert decoder.feed(frame(TEXT, b"x", fin=False, key=key)) == []
        head = header(CONTINUATION, 100, key=key)
        assert decoder.feed(head[:-1]) == []
        assert decoder.feed(head[-1:]) == [TOO_MANY]

    def test_empty_fragments_count(self, server: bool) -> None:
        stream = fragments(BINARY, [b""] * 4, key=key_for(server))
        assert Decoder(server=server, max_fragments=3).feed(stream) == [TOO_MANY]

    def test_control_frames_do_not(self, server: bool) -> None:
        key = key_for(server)
        stream = frame(TEXT, b"a", fin=False, key=key) + frame(PING, key=key) * 10
        stream += frame(CONTINUATION, b"b", key=key)
        assert Decoder(server=server, max_fragments=2).feed(stream)[-1] == "ab"

    def test_counts_each_message_anew(self, server: bool) -> None:
        stream = fragments(TEXT, [b"a", b"b"], key=key_for(server)) * 20
        assert Decoder(server=server, max_fragments=2).feed(stream) == ["ab"] * 20


class TestDefaults:
    def test_message(self) -> None:
        assert Decoder().feed(header(BINARY, 16 * 1024 * 1024)) == []
        assert Decoder().feed(header(BINARY, 16 * 1024 * 1024 + 1)) == [TOO_BIG]

    def test_fragments(self) -> None:
        begun = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * (131072 - 1)
        decoder = Decoder()
        assert decoder.feed(begun) == []
        assert decoder.feed(frame(CONTINUATION)) == [TOO_MANY]


class TestNoLimit:
    def test_largest_length(self) -> None:
        largest = (1 << 63) - 1
        events = Decoder(max_message=0).feed(header(BINARY, largest))
        # Where a size_t has 32 bits no such message can be held.
        assert events in ([], [TOO_BIG])

    def test_sum_of_fragments_cannot_overflow(self) -> None:
        decoder = Decoder(max_message=0)
        decoder.feed(frame(BINARY, b"xx", fin=False))
        assert decoder.feed(header(CONTINUATION, (1 << 63) - 2)) == [TOO_BIG]

    def test_fragments(self) -> None:
        stream = fragments(BINARY, [b""] * 131073)
        assert Decoder(max_fragments=0).feed(stream) == [b""]

    def test_limits_of_64_bits(self) -> None:
        decoder = Decoder(max_message=(1 << 64) - 1, max_fragments=(1 << 64) - 1)
        assert decoder.feed(frame(TEXT, b"x")) == ["x"]


@given(
    pieces=st.lists(st.integers(0, 8), min_size=1, max_size=8),
    message=st.integers(0, 20),
    count=st.integers(0, 8),
    server=st.booleans(),
)
def test_as_the_reference(pieces: list[int], message: int, count: int, server: bool) -> None:
    stream = fragments(TEXT, [b"x" * size for size in pieces], key=key_for(server))
    decoder = Decoder(server=server, max_message=message, max_fragments=count)
    limits = Limits(message, count)
    assert decoder.feed(stream) == codec_reference.decode(stream, server=server, limits=limits)
