"""What an outbox makes of each call, and what it counts."""

import copy
import pickle
from enum import IntEnum

import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ParsedFrame,
    frame,
    parse_frames,
)

from wsfast.codec import Close, Decoder, Outbox, Ping, Pong

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 65537, 1_000_000]


class Code(IntEnum):
    GOING_AWAY = 1001


CALLS = [
    pytest.param(lambda box: box.message("hé"), frame(TEXT, "hé".encode()), id="message str"),
    pytest.param(lambda box: box.message(b"\x00\xff"), frame(BINARY, b"\x00\xff"), id="message"),
    pytest.param(lambda box: box.text("🎈"), frame(TEXT, "🎈".encode()), id="text"),
    pytest.param(lambda box: box.text(""), frame(TEXT), id="empty text"),
    pytest.param(lambda box: box.text("\x00"), frame(TEXT, b"\x00"), id="NUL"),
    pytest.param(lambda box: box.binary(b"bin"), frame(BINARY, b"bin"), id="binary"),
    pytest.param(lambda box: box.binary(b""), frame(BINARY), id="empty binary"),
    pytest.param(lambda box: box.ping(), frame(PING), id="empty ping"),
    pytest.param(lambda box: box.ping(b"x" * 125), frame(PING, b"x" * 125), id="longest ping"),
    pytest.param(lambda box: box.pong(), frame(PONG), id="empty pong"),
    pytest.param(lambda box: box.pong(b"y" * 125), frame(PONG, b"y" * 125), id="longest pong"),
    pytest.param(lambda box: box.close(), frame(CLOSE), id="close"),
    pytest.param(lambda box: box.close(None, b""), frame(CLOSE), id="close without reason"),
    pytest.param(lambda box: box.close(1000), frame(CLOSE, b"\x03\xe8"), id="close 1000"),
    pytest.param(
        lambda box: box.close(Code.GOING_AWAY, b"bye"),
        frame(CLOSE, b"\x03\xe9bye"),
        id="close with reason",
    ),
    pytest.param(
        lambda box: box.close(4999, b"r" * 123),
        frame(CLOSE, b"\x13\x87" + b"r" * 123),
        id="longest",
    ),
    pytest.param(lambda box: box.close(0), frame(CLOSE, b"\0\0"), id="close 0"),
    pytest.param(lambda box: box.close(65535), frame(CLOSE, b"\xff\xff"), id="close 65535"),
    pytest.param(lambda box: box.frame(TEXT, b"a"), frame(TEXT, b"a"), id="frame"),
    pytest.param(
        lambda box: box.frame(CONTINUATION, b"a", fin=False),
        frame(CONTINUATION, b"a", fin=False),
        id="no FIN",
    ),
    pytest.param(
        lambda box: box.frame(BINARY, b"a", rsv1=True), frame(BINARY, b"a", rsv=4), id="RSV1"
    ),
    pytest.param(
        lambda box: box.frame(15, b"x" * 300, fin=False, rsv1=True),
        frame(15, b"x" * 300, fin=False, rsv=4),
        id="anything",
    ),
]


@pytest.mark.parametrize(("call", "sent"), CALLS)
class TestCalls:
    def test_exact_bytes_of_a_server(self, call, sent: bytes) -> None:
        outbox = Outbox(server=True)
        assert call(outbox) is None
        assert outbox.pending == len(sent)
        assert outbox.frames == 1
        assert outbox.take() == sent

    def test_masked_by_a_client(self, call, sent: bytes) -> None:
        outbox = Outbox()
        assert call(outbox) is None
        assert outbox.pending == len(sent) + 4
        assert outbox.frames == 1
        taken = outbox.take()
        (parsed,) = parse_frames(taken)
        assert parsed.key is not None
        (plain,) = parse_frames(sent)
        assert parsed == ParsedFrame(plain.start, parsed.key, plain.payload)
        assert len(taken) == len(sent) + 4

    def test_after_others(self, call, sent: bytes) -> None:
        outbox = Outbox(server=True)
        for _ in range(3):
            outbox.ping(b"before")
            call(outbox)
        assert outbox.frames == 6
        assert outbox.take() == (frame(PING, b"before") + sent) * 3


@pytest.mark.parametrize("length", LENGTHS)
class TestLengths:
    def test_server(self, length: int) -> None:
        outbox = Outbox(server=True)
        outbox.binary(b"x" * length)
        outbox.text("y" * length)
        assert outbox.take() == frame(BINARY, b"x" * length) + frame(TEXT, b"y" * length)

    def test_client(self, length: int) -> None:
        outbox = Outbox()
        outbox.binary(b"x" * length)
        outbox.text("y" * length)
        taken = outbox.take()
        assert Decoder(server=True).feed(taken) == [b"x" * length, "y" * length]
        assert len(taken) == 2 * (len(frame(BINARY, b"x" * length)) + 4)


class TestTake:
    @pytest.mark.parametrize("server", [False, True])
    def test_nothing(self, server: bool) -> None:
        outbox = Outbox(server=server)
        assert outbox.take() == b""
        assert (outbox.pending, outbox.frames) == (0, 0)
        outbox.ping()
        outbox.take()
        assert outbox.take() == b""
        assert (outbox.pending, outbox.frames) == (0, 0)

    def test_gives_bytes(self) -> None:
        outbox = Outbox()
        assert type(outbox.take()) is bytes
        outbox.ping()
        assert type(outbox.take()) is bytes

    def test_keeps_the_order(self) -> None:
        outbox = Outbox()
        expected: list[object] = []
        for i in range(300):
            outbox.text(str(i))
            outbox.binary(b"%d" % i)
            outbox.ping(b"%d" % i)
            outbox.pong(b"%d" % i)
            expected += [str(i), b"%d" % i, Ping(b"%d" % i), Pong(b"%d" % i)]
        assert outbox.frames == 1200
        size = outbox.pending
        taken = outbox.take()
        assert len(taken) == size
        assert Decoder(server=True).feed(taken) == expected

    def test_what_was_taken_stays(self) -> None:
        outbox = Outbox(server=True)
        outbox.text("one")
        first = outbox.take()
        outbox.text("two")
        outbox.text("three")
        second = outbox.take()
        outbox.binary(b"x" * 10_000)
        assert first == frame(TEXT, b"one")
        assert second == frame(TEXT, b"two") + frame(TEXT, b"three")

    @pytest.mark.parametrize("sizes", [[1], [1, 1], [4000, 90, 6], [1, 100_000], [100_000, 1, 1]])
    def test_any_growth(self, sizes: list[int]) -> None:
        outbox = Outbox(server=True)
        for _ in range(2):
            for size in sizes:
                outbox.binary(b"x" * size)
            assert outbox.take() == b"".join(frame(BINARY, b"x" * size) for size in sizes)


def test_fragmented_message() -> None:
    outbox = Outbox()
    outbox.frame(TEXT, "é".encode()[:1], fin=False)
    outbox.ping(b"between")
    outbox.frame(CONTINUATION, "é".encode()[1:])
    outbox.close(1000, b"bye")
    events = Decoder(server=True).feed(outbox.take())
    assert events == [Ping(b"between"), "é", Close(1000, "bye")]


class TestObject:
    def test_counts_are_read_only(self) -> None:
        for name in ("pending", "frames"):
            with pytest.raises(AttributeError):
                setattr(Outbox(), name, 5)

    def test_options_are_named(self) -> None:
        with pytest.raises(TypeError):
            Outbox(True)

    def test_second_init_changes_nothing(self) -> None:
        outbox = Outbox(server=True)
        outbox.ping()
        outbox.__init__()
        outbox.ping()
        assert outbox.take() == frame(PING) * 2

    @pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_no_copy(self, function) -> None:
        # A copy would send the same masking keys again.
        with pytest.raises(TypeError):
            function(Outbox())

    def test_no_subclass(self) -> None:
        with pytest.raises(TypeError):
            type("Sub", (Outbox,), {})
