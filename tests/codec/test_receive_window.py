"""Large messages are received where they will stay; nobody can see or change them from outside."""

import ctypes
import gc

import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    frame,
    header,
    key_for,
    mask,
    receive,
)

from wsfast.codec import Decoder, Failure, Ping

SIZE = 1_000_000
PAYLOAD = (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]


def begin(decoder: Decoder, size: int = SIZE, opcode: int = BINARY) -> None:
    """Feeds the header of a large message, so that the next buffer is a window."""
    assert decoder.feed(header(opcode, size)) == []


def fill(view: memoryview, payload: bytes, at: int) -> int:
    size = min(len(view), len(payload) - at)
    view[:size] = payload[at : at + size]
    return size


def finish(decoder: Decoder, payload: bytes, at: int = 0) -> list[object]:
    """Receives what is left of the payload."""
    return receive(decoder, [payload[at:]])


class TestBuffer:
    def test_is_writable_bytes(self) -> None:
        decoder = Decoder(buffer_size=1000)
        for opening in (b"", header(BINARY, SIZE)):
            decoder.feed(opening)
            view = decoder.get_buffer()
            assert (view.format, view.itemsize, view.ndim) == ("B", 1, 1)
            assert view.c_contiguous
            assert not view.readonly

    def test_is_of_the_size_asked_for(self) -> None:
        assert len(Decoder(buffer_size=1).get_buffer()) == 1
        assert len(Decoder(buffer_size=4321).get_buffer()) == 4321
        assert len(Decoder().get_buffer()) == 65536

    @pytest.mark.parametrize("size", [1, 2, 100, 65536])
    def test_is_never_empty(self, size: int) -> None:
        decoder = Decoder(buffer_size=size)
        stream = frame(TEXT, b"x" * 1000) + frame(BINARY) + frame(PING, b"p")
        at = 0
        while at < len(stream):
            view = decoder.get_buffer()
            assert len(view) > 0
            size = fill(view, stream, at)
            decoder.received(size)
            at += size

    def test_stays_after_failure_and_close(self) -> None:
        for last in (b"\xff\xff", frame(CLOSE)):
            decoder = Decoder()
            decoder.feed(last)
            assert len(decoder.get_buffer()) == 65536

    def test_window_never_reaches_past_the_frame(self) -> None:
        decoder = Decoder(buffer_size=10)
        for left in range(100, 9, -1):
            if left == 100:
                begin(decoder, 100)
            view = decoder.get_buffer()
            assert len(view) <= left
            view[0] = 1
            assert decoder.received(1) == []

    def test_asking_again_changes_nothing(self) -> None:
        decoder = Decoder()
        begin(decoder)
        first = decoder.get_buffer()
        second = decoder.get_buffer()
        with pytest.raises(ValueError, match="released"):
            first[0]
        size = fill(second, PAYLOAD, 0)
        assert decoder.received(size) == []
        assert finish(decoder, PAYLOAD, size) == [PAYLOAD]


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("buffer_size", [1, 1000, 65536, SIZE - 1, SIZE, SIZE + 1])
class TestMessages:
    def test_binary(self, server: bool, buffer_size: int) -> None:
        decoder = Decoder(server=server, buffer_size=buffer_size)
        stream = frame(BINARY, PAYLOAD, key=key_for(server))
        assert receive(decoder, [stream, stream]) == [PAYLOAD, PAYLOAD]

    def test_text(self, server: bool, buffer_size: int) -> None:
        text = "né€🎈" * 80_000
        decoder = Decoder(server=server, buffer_size=buffer_size)
        stream = frame(TEXT, text.encode(), key=key_for(server))
        assert receive(decoder, [stream, stream]) == [text, text]

    def test_fragments_and_pings(self, server: bool, buffer_size: int) -> None:
        key = key_for(server)
        half = SIZE // 2
        stream = frame(BINARY, PAYLOAD[:half], fin=False, key=key) + frame(PING, b"p", key=key)
        stream += frame(CONTINUATION, PAYLOAD[half:], key=key) + frame(TEXT, b"next", key=key)
        decoder = Decoder(server=server, buffer_size=buffer_size)
        assert receive(decoder, [stream]) == [Ping(b"p"), PAYLOAD, "next"]

    def test_a_byte_at_a_time_in_a_window(self, server: bool, buffer_size: int) -> None:
        key = key_for(server)
        stream = frame(BINARY, PAYLOAD[:2000], key=key)
        decoder = Decoder(server=server, buffer_size=min(buffer_size, 1000))
        assert receive(decoder, (stream[i : i + 1] for i in range(len(stream)))) == [PAYLOAD[:2000]]


def test_bad_text_in_a_window_fails_at_once() -> None:
    decoder = Decoder()
    begin(decoder, opcode=TEXT)
    view = decoder.get_buffer()
    view[:4] = b"abc\xff"
    assert decoder.received(4) == [Failure(1007, "text is not UTF-8")]


class TestViewHeldTooLong:
    def test_window_is_released(self) -> None:
        for end in ("received", "feed", "get_buffer"):
            decoder = Decoder()
            begin(decoder)
            view = decoder.get_buffer()
            getattr(decoder, end)(*{"received": [0], "feed": [b""]}.get(end, []))
            with pytest.raises(ValueError, match="released"):
                view[0]

    def test_window_outlives_the_decoder(self) -> None:
        decoder = Decoder()
        begin(decoder)
        view = decoder.get_buffer()
        view[:5] = b"hello"
        del decoder
        gc.collect()
        assert bytes(view[:5]) == b"hello"
        view[:] = bytes(len(view))

    def test_buffer_outlives_the_decoder(self) -> None:
        view = Decoder().get_buffer()
        gc.collect()
        view[:] = b"x" * len(view)
        assert bytes(view) == b"x" * len(view)

    def test_buffer_may_be_released(self) -> None:
        decoder = Decoder()
        with decoder.get_buffer() as view:
            view[:3] = frame(TEXT, b"x")
        assert decoder.received(3) == ["x"]
        with decoder.get_buffer() as view:
            view[:3] = frame(TEXT, b"y")
        assert decoder.received(3) == ["y"]

    def test_window_may_be_released(self) -> None:
        decoder = Decoder()
        begin(decoder)
        with decoder.get_buffer() as view:
            size = fill(view, PAYLOAD, 0)
        assert decoder.received(size) == []
        assert finish(decoder, PAYLOAD, size) == [PAYLOAD]

    def test_buffer_cannot_be_resized(self) -> None:
        decoder = Decoder()
        view = decoder.get_buffer()
        owner = view.obj
        view.release()
        assert isinstance(owner, bytearray)
        with pytest.raises(BufferError):
            owner.clear()
        size = fill(decoder.get_buffer(), frame(TEXT, b"x"), 0)
        assert decoder.received(size) == ["x"]

    def test_exporter_of_a_window_is_of_no_use_later(self) -> None:
        decoder = Decoder()
        begin(decoder)
        view = decoder.get_buffer()
        exporter = view.obj
        decoder.received(fill(view, PAYLOAD, 0))
        with pytest.raises(BufferError, match="has been received"):
            memoryview(exporter)
        with pytest.raises(BufferError):
            memoryview(type(exporter)())


def nested_view(view: memoryview) -> memoryview:
    return memoryview(view)


def slice_of_view(view: memoryview) -> memoryview:
    return view[:]


def cast_of_view(view: memoryview) -> memoryview:
    return view.cast("c").cast("B")


def ctypes_array(view: memoryview) -> memoryview:
    return memoryview((ctypes.c_char * len(view)).from_buffer(view)).cast("B")


def numpy_array(view: memoryview) -> memoryview:
    numpy = pytest.importorskip("numpy")
    return memoryview(numpy.frombuffer(view, dtype=numpy.uint8))


HOLDERS = [nested_view, slice_of_view, cast_of_view, ctypes_array, numpy_array]


@pytest.mark.parametrize("hold", HOLDERS)
class TestExportedWindow:
    """Somebody keeps a window exported and writes to it when it is no longer theirs."""

    def test_message_never_changes_once_handed_out(self, hold) -> None:
        decoder = Decoder()
        begin(decoder)
        held = []
        at = 0
        while at < SIZE:
            view = decoder.get_buffer()
            held.append(hold(view))
            size = fill(view, PAYLOAD, at)
            at += size
            events = decoder.received(size)
        (message,) = events
        assert message == PAYLOAD
        digest = hash(PAYLOAD)
        for holder in held:
            holder[:] = b"\xee" * len(holder)
        assert message == PAYLOAD
        assert hash(message) == digest

    def test_old_content_stays_where_it_is(self, hold) -> None:
        decoder = Decoder()
        begin(decoder)
        view = decoder.get_buffer()
        held = hold(view)
        size = fill(view, PAYLOAD, 0)
        decoder.received(size)
        assert finish(decoder, PAYLOAD, size) == [PAYLOAD]
        del decoder, view
        gc.collect()
        assert bytes(held) == PAYLOAD[: len(held)]

    def test_written_between_two_chunks(self, hold) -> None:
        # The message is not the peer's any more, but it is a message, and memory stays sound.
        decoder = Decoder()
        begin(decoder, opcode=TEXT)
        held = []
        for _ in range(3):
            view = decoder.get_buffer()
            held.append(hold(view))
            decoder.received(fill(view, b"a" * SIZE, 0) // 2)
            for holder in held:
                holder[:] = b"\xff" * len(holder)
        (event,) = receive(decoder, [b"a" * SIZE])[:1]
        assert isinstance(event, str | Failure)

    def test_decoder_dies_first(self, hold) -> None:
        decoder = Decoder()
        begin(decoder)
        held = hold(decoder.get_buffer())
        del decoder
        gc.collect()
        held[:] = b"\xee" * len(held)
        assert bytes(held) == b"\xee" * len(held)

    def test_feed_takes_what_is_held(self, hold) -> None:
        decoder = Decoder()
        begin(decoder)
        view = decoder.get_buffer()
        held = hold(view)
        fill(view, PAYLOAD, 0)
        assert decoder.feed(held[:1000]) == []
        assert finish(decoder, PAYLOAD, 1000) == [PAYLOAD]

    def test_chunks_are_no_part_of_messages(self, hold) -> None:
        decoder = Decoder(server=True)
        view = decoder.get_buffer()
        held = hold(view)
        stream = frame(BINARY, PAYLOAD[:100], key=b"abcd") + frame(TEXT, b"text", key=b"abcd")
        messages = decoder.received(fill(view, stream, 0))
        held[:] = b"\xee" * len(held)
        assert messages == [PAYLOAD[:100], "text"]


def test_masked_window_unmasks_only_what_was_received() -> None:
    decoder = Decoder(server=True, buffer_size=10)
    key = b"\x01\x02\x03\x04"
    decoder.feed(header(BINARY, 40, key=key))
    masked = mask(bytes(range(40)), key)
    at = 0
    for size in (1, 2, 3, 5, 7):
        view = decoder.get_buffer()
        view[:] = masked[at : at + len(view)]
        assert decoder.received(size) == []
        at += size
    assert receive(decoder, [masked[at:]]) == [bytes(range(40))]
