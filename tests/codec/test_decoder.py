"""What a decoder returns for streams without faults."""

import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WAYS,
    fragments,
    frame,
    key_for,
)

from wsfast.codec import Close, Decoder, Ping, Pong

LENGTHS = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 200_000]


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
class TestLengths:
    def test_binary(self, give, server: bool, length: int) -> None:
        payload = (bytes(range(251)) * (length // 251 + 1))[:length]
        stream = frame(BINARY, payload, key=key_for(server))
        assert give(Decoder(server=server), [stream, stream]) == [payload, payload]

    def test_text(self, give, server: bool, length: int) -> None:
        text = ("naïve €uro 🎈 " * (length // 10 + 1))[:length]
        stream = frame(TEXT, text.encode(), key=key_for(server))
        assert give(Decoder(server=server), [stream, stream]) == [text, text]

    def test_two_fragments(self, give, server: bool, length: int) -> None:
        halves = [b"a" * length, b"b" * length]
        stream = fragments(TEXT, halves, key=key_for(server))
        assert give(Decoder(server=server), [stream]) == [b"".join(halves).decode()]


@pytest.mark.parametrize("server", [False, True])
class TestTypes:
    def test_of_messages(self, server: bool) -> None:
        key = key_for(server)
        decoder = Decoder(server=server)
        text, binary = decoder.feed(frame(TEXT, b"t", key=key) + frame(BINARY, b"b", key=key))
        assert type(text) is str
        assert type(binary) is bytes

    def test_of_empty_messages(self, server: bool) -> None:
        key = key_for(server)
        stream = frame(TEXT, key=key) + frame(BINARY, key=key)
        stream += fragments(TEXT, [b"", b"", b""], key=key)
        stream += fragments(BINARY, [b"", b""], key=key)
        assert Decoder(server=server).feed(stream) == ["", b"", "", b""]

    def test_of_fragmented_messages(self, server: bool) -> None:
        key = key_for(server)
        stream = fragments(TEXT, [b"te", b"", b"xt"], key=key)
        stream += fragments(BINARY, [b"", b"bin", b"ary", b""], key=key)
        text, binary = Decoder(server=server).feed(stream)
        assert (text, type(text)) == ("text", str)
        assert (binary, type(binary)) == (b"binary", bytes)

    def test_of_control_frames(self, server: bool) -> None:
        key = key_for(server)
        stream = frame(PING, b"i", key=key) + frame(PONG, b"o", key=key)
        stream += frame(CLOSE, b"\x03\xe8bye", key=key)
        assert Decoder(server=server).feed(stream) == [Ping(b"i"), Pong(b"o"), Close(1000, "bye")]

    def test_results_are_lists_of_their_own(self, server: bool) -> None:
        decoder = Decoder(server=server)
        first, second = decoder.feed(b""), decoder.feed(b"")
        assert type(first) is type(second) is list
        assert first is not second


@pytest.mark.parametrize("server", [False, True])
class TestControlFrames:
    @pytest.mark.parametrize("length", [0, 1, 124, 125])
    def test_sizes(self, server: bool, length: int) -> None:
        data = bytes(range(length))
        stream = frame(PING, data, key=key_for(server)) + frame(PONG, data, key=key_for(server))
        assert Decoder(server=server).feed(stream) == [Ping(data), Pong(data)]

    @pytest.mark.parametrize("give", WAYS)
    def test_between_fragments(self, give, server: bool) -> None:
        key = key_for(server)
        stream = frame(TEXT, "é".encode()[:1], fin=False, key=key) + frame(PING, b"1", key=key)
        stream += frame(CONTINUATION, "é".encode()[1:], fin=False, key=key)
        stream += frame(PONG, b"2", key=key) + frame(CONTINUATION, b"!", key=key)
        assert give(Decoder(server=server), [stream]) == [Ping(b"1"), Pong(b"2"), "é!"]

    def test_events_keep_the_order_of_the_wire(self, server: bool) -> None:
        key = key_for(server)
        stream = b"".join(
            frame(TEXT, b"%d" % i, key=key) + frame(PING, b"%d" % i, key=key) for i in range(50)
        )
        expected = [event for i in range(50) for event in (str(i), Ping(b"%d" % i))]
        assert Decoder(server=server).feed(stream) == expected


class TestClose:
    def test_empty(self) -> None:
        assert Decoder().feed(frame(CLOSE)) == [Close(1005, "")]

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4000, 4999])
    def test_code(self, code: int) -> None:
        assert Decoder().feed(frame(CLOSE, code.to_bytes(2, "big"))) == [Close(code, "")]

    def test_longest_reason(self) -> None:
        reason = "é" * 61 + "!"
        assert len(reason.encode()) == 123
        stream = frame(CLOSE, b"\x03\xe8" + reason.encode())
        assert Decoder().feed(stream) == [Close(1000, reason)]

    @pytest.mark.parametrize("give", WAYS)
    def test_what_follows_is_ignored(self, give) -> None:
        stream = frame(TEXT, b"before") + frame(CLOSE, b"\x03\xe8")
        decoder = Decoder()
        events = give(decoder, [stream + frame(TEXT, b"after") + b"\xff" * 300, b"\xff" * 300])
        assert events == ["before", Close(1000, "")]
        assert give(decoder, [frame(PING), frame(CLOSE)]) == []

    def test_inside_a_fragmented_message(self) -> None:
        stream = frame(TEXT, b"unfinished", fin=False) + frame(CLOSE, b"\x03\xe9")
        assert Decoder().feed(stream) == [Close(1001, "")]


class TestControlFlag:
    """`control` tells whether the list returned last holds anything but messages."""

    def test_before_any_list(self) -> None:
        assert Decoder().control is False

    @pytest.mark.parametrize("stream", [frame(PING), frame(PONG), frame(CLOSE), b"\xff\xff"])
    def test_anything_but_messages(self, stream: bytes) -> None:
        decoder = Decoder()
        decoder.feed(frame(TEXT, b"before") + stream)
        assert decoder.control is True

    def test_messages(self) -> None:
        decoder = Decoder()
        decoder.feed(frame(PING))
        decoder.feed(frame(TEXT, b"a") + frame(BINARY, b"b"))
        assert decoder.control is False

    def test_empty_list(self) -> None:
        decoder = Decoder()
        decoder.feed(frame(PING))
        assert decoder.feed(b"") == []
        assert decoder.control is False

    def test_nothing_but_a_beginning(self) -> None:
        decoder = Decoder()
        decoder.feed(frame(PING))
        decoder.feed(frame(PING, b"x")[:1])
        assert decoder.control is False

    @pytest.mark.parametrize("size", [15, 16, 17, 31, 32, 1000])
    def test_list_of_several_pieces(self, size: int) -> None:
        # The feed is longer than the buffer, so it is parsed in pieces; the list is one.
        decoder = Decoder(buffer_size=16)
        assert decoder.feed(frame(PING) + frame(BINARY, b"x" * size)) == [Ping(b""), b"x" * size]
        assert decoder.control is True

    def test_sticky_failure(self) -> None:
        decoder = Decoder()
        for _ in range(3):
            decoder.feed(b"\xff\xff")
            assert decoder.control is True

    def test_read_only(self) -> None:
        with pytest.raises(AttributeError):
            Decoder().control = True
