"""Calls that make no sense are refused, and harm nothing."""

import array
import copy
import ctypes
import mmap
import pickle
import sys

import pytest
from codec_wire import BINARY, PING, TEXT, frame, header

from wsfast.codec import Decoder, Failure, Ping

HELLO = frame(TEXT, b"hello")


class TestReceived:
    @pytest.mark.parametrize("size", [-1, 65537, -(1 << 62), (1 << 62)])
    def test_no_room_for_that_many(self, size: int) -> None:
        decoder = Decoder()
        view = decoder.get_buffer()
        view[: len(HELLO)] = HELLO
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(size)
        assert decoder.received(len(HELLO)) == ["hello"]

    @pytest.mark.parametrize("size", [1 << 64, -(1 << 64)])
    def test_no_size_at_all(self, size: int) -> None:
        decoder = Decoder()
        decoder.get_buffer()
        with pytest.raises(OverflowError):
            decoder.received(size)

    @pytest.mark.parametrize("size", [1.0, "1", None, b"1"])
    def test_wrong_type(self, size: object) -> None:
        decoder = Decoder()
        decoder.get_buffer()
        with pytest.raises(TypeError):
            decoder.received(size)

    def test_without_get_buffer(self) -> None:
        with pytest.raises(ValueError, match="get_buffer"):
            Decoder().received(1)

    def test_twice(self) -> None:
        decoder = Decoder()
        decoder.get_buffer()[: len(HELLO)] = HELLO
        assert decoder.received(len(HELLO)) == ["hello"]
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(len(HELLO))

    def test_after_feed(self) -> None:
        decoder = Decoder()
        decoder.get_buffer()
        assert decoder.feed(HELLO) == ["hello"]
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(len(HELLO))

    def test_after_a_feed_that_was_refused(self) -> None:
        # The buffer was a window, larger than the decoder's own buffer, and is taken back.
        decoder = Decoder(buffer_size=16)
        decoder.feed(header(BINARY, 100_000))
        size = len(decoder.get_buffer())
        assert size > 16
        with pytest.raises(TypeError):
            decoder.feed(None)
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(size)

    def test_more_than_a_window(self) -> None:
        decoder = Decoder(buffer_size=16)
        decoder.feed(header(BINARY, 100))
        view = decoder.get_buffer()
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(len(view) + 1)
        view[:] = bytes(len(view))
        decoder.received(len(view))
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(1)

    def test_nothing(self) -> None:
        decoder = Decoder()
        assert decoder.received(0) == []
        decoder.get_buffer()
        assert decoder.received(0) == []
        decoder.feed(header(BINARY, 100_000))
        decoder.get_buffer()
        assert decoder.received(0) == []

    def test_refused_call_leaves_the_stream_alone(self) -> None:
        decoder = Decoder()
        decoder.feed(HELLO[:3])
        with pytest.raises(ValueError, match="get_buffer"):
            decoder.received(70_000)
        assert decoder.feed(HELLO[3:]) == ["hello"]


class TestFeed:
    @pytest.mark.parametrize("data", ["text", 5, 1.5, None, [1, 2], object()])
    def test_wrong_type(self, data: object) -> None:
        with pytest.raises(TypeError):
            Decoder().feed(data)

    def test_every_kind_of_buffer(self) -> None:
        with mmap.mmap(-1, len(HELLO)) as mapped:
            mapped[:] = HELLO
            assert Decoder().feed(mapped) == ["hello"]
        words = array.array("H", HELLO + frame(TEXT, b"x"))
        buffers = [
            bytearray(HELLO),
            memoryview(HELLO),
            (ctypes.c_char * len(HELLO)).from_buffer_copy(HELLO),
            memoryview(bytes(x for byte in HELLO for x in (byte, 0)))[::2],
            memoryview(HELLO[::-1])[::-1],
        ]
        assert [Decoder().feed(buffer) for buffer in buffers] == [["hello"]] * len(buffers)
        assert Decoder().feed(words) == ["hello", "x"]

    def test_empty(self) -> None:
        decoder = Decoder()
        assert decoder.feed(b"") == decoder.feed(bytearray()) == decoder.feed(memoryview(b"")) == []

    def test_released_view(self) -> None:
        view = memoryview(HELLO)
        view.release()
        with pytest.raises(ValueError, match="released"):
            Decoder().feed(view)

    def test_is_not_changed(self) -> None:
        stream = frame(BINARY, b"payload", key=b"abcd")
        data = bytearray(stream)
        assert Decoder(server=True).feed(data) == [b"payload"]
        assert data == stream

    def test_is_let_go(self) -> None:
        data = bytearray(HELLO)
        decoder = Decoder()
        decoder.feed(data)
        data.clear()
        broken = bytearray(b"\xff\xff")
        decoder.feed(broken)
        broken.clear()

    def test_its_own_buffer(self) -> None:
        decoder = Decoder()
        view = decoder.get_buffer()
        view[: len(HELLO)] = HELLO
        assert decoder.feed(view[: len(HELLO)]) == ["hello"]

    def test_its_own_window(self) -> None:
        decoder = Decoder()
        decoder.feed(header(BINARY, 100_000))
        with pytest.raises(ValueError, match="released"):
            decoder.feed(decoder.get_buffer())

    def test_keyword(self) -> None:
        with pytest.raises(TypeError):
            Decoder().feed(data=b"")


class TestCreation:
    @pytest.mark.parametrize("size", [0, -1, -(1 << 70)])
    def test_buffer_size_is_positive(self, size: int) -> None:
        with pytest.raises(ValueError, match="buffer_size"):
            Decoder(buffer_size=size)

    @pytest.mark.parametrize("limit", ["max_message", "max_fragments"])
    @pytest.mark.parametrize("value", [-1, 1 << 64])
    def test_limits_have_64_bits(self, limit: str, value: int) -> None:
        with pytest.raises(OverflowError):
            Decoder(**{limit: value})

    @pytest.mark.parametrize("option", ["max_message", "max_fragments", "buffer_size"])
    @pytest.mark.parametrize("value", [None, "1", 1.5, b"1"])
    def test_wrong_type(self, option: str, value: object) -> None:
        with pytest.raises(TypeError):
            Decoder(**{option: value})

    def test_options_are_named(self) -> None:
        with pytest.raises(TypeError):
            Decoder(True)
        with pytest.raises(TypeError):
            Decoder(client=True)

    def test_huge_buffer(self) -> None:
        decoder = Decoder(buffer_size=sys.maxsize)
        for _ in range(2):
            with pytest.raises(MemoryError):
                decoder.get_buffer()
        with pytest.raises(MemoryError):
            decoder.feed(HELLO)

    def test_second_init_changes_nothing(self) -> None:
        decoder = Decoder(max_message=5)
        assert decoder.feed(HELLO + HELLO[:4]) == ["hello"]
        decoder.__init__()
        assert decoder.feed(HELLO[4:]) == ["hello"]
        assert decoder.feed(header(BINARY, 6)) == [Failure(1009, "message over the size limit")]

    def test_made_without_init(self) -> None:
        assert Decoder.__new__(Decoder).feed(HELLO) == ["hello"]

    def test_no_subclass(self) -> None:
        with pytest.raises(TypeError):
            type("Sub", (Decoder,), {})

    @pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_no_copy(self, function) -> None:
        with pytest.raises(TypeError):
            function(Decoder())


def test_buffer_of_one_byte() -> None:
    decoder = Decoder(buffer_size=1)
    stream = frame(PING, b"p") + frame(TEXT, "é€🎈".encode()) + frame(BINARY, bytes(300))
    events: list[object] = []
    for byte in stream:
        view = decoder.get_buffer()
        view[0] = byte
        events += decoder.received(1)
    assert events == [Ping(b"p"), "é€🎈", bytes(300)]
