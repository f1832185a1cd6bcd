"""What may be sent and what may not; a call that is refused adds nothing."""

import array
import ctypes
import mmap
from collections.abc import Callable
from enum import StrEnum

import pytest
from codec_wire import BINARY, PING, TEXT, frame, parse_frames

from wsfast.codec import Outbox

SEND_BYTES: dict[str, Callable[[Outbox, object], None]] = {
    "message": lambda box, data: box.message(data),
    "binary": lambda box, data: box.binary(data),
    "ping": lambda box, data: box.ping(data),
    "pong": lambda box, data: box.pong(data),
    "frame": lambda box, data: box.frame(BINARY, data),
    "close": lambda box, data: box.close(1000, data),
}


@pytest.fixture(params=SEND_BYTES, name="send")
def send_fixture(request: pytest.FixtureRequest) -> Callable[[Outbox, object], None]:
    return SEND_BYTES[request.param]


def payload_sent(send: Callable[[Outbox, object], None], data: object, server: bool) -> bytes:
    outbox = Outbox(server=server)
    send(outbox, data)
    (sent,) = parse_frames(outbox.take())
    return sent.payload.removeprefix(b"\x03\xe8")  # of a close frame


def check_refused(call: Callable[[Outbox], object], error: type[Exception]) -> None:
    for server in (False, True):
        for pending in (b"", frame(PING, b"pending")):
            outbox = Outbox(server=server)
            if pending:
                outbox.ping(b"pending")
            before = (outbox.pending, outbox.frames)
            with pytest.raises(error):
                call(outbox)
            assert (outbox.pending, outbox.frames) == before
            outbox.text("after")
            payloads = [sent.payload for sent in parse_frames(outbox.take())]
            assert payloads == ([b"pending", b"after"] if pending else [b"after"])


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint16), ("y", ctypes.c_uint8))


BUFFERS = {
    "bytes": (b"ab\x00", b"ab\x00"),
    "empty": (b"", b""),
    "bytearray": (bytearray(b"ab"), b"ab"),
    "empty bytearray": (bytearray(), b""),
    "memoryview": (memoryview(b"ab"), b"ab"),
    "read-only view": (memoryview(bytearray(b"ab")).toreadonly(), b"ab"),
    "slice": (memoryview(b"abcdef")[1:4], b"bcd"),
    "empty slice": (memoryview(b"abc")[2:2], b""),
    "strided": (memoryview(b"abcdef")[::2], b"ace"),
    "reversed": (memoryview(b"abc")[::-1], b"cba"),
    "two dimensions": (memoryview(bytes(range(6))).cast("B", (2, 3)), bytes(range(6))),
    "no dimension": (memoryview(b"x").cast("B", ()), b"x"),
    "array of floats": (array.array("f", [1.0, -2.0]), array.array("f", [1.0, -2.0]).tobytes()),
    "strided floats": (
        memoryview(array.array("d", [1.0, 2.0, 3.0]))[::2],
        array.array("d", [1.0, 3.0]).tobytes(),
    ),
    "ctypes array": ((ctypes.c_char * 3)(b"a", b"b", b"c"), b"abc"),
    "ctypes structure": (Point(0x0101, 2), bytes(Point(0x0101, 2))),
}


class TestBuffers:
    @pytest.mark.parametrize("server", [False, True])
    @pytest.mark.parametrize(("data", "content"), BUFFERS.values(), ids=BUFFERS)
    def test_content_is_sent(self, send, server: bool, data: object, content: bytes) -> None:
        assert payload_sent(send, data, server) == content
        assert bytes(data) == content

    def test_mmap(self, send) -> None:
        with mmap.mmap(-1, 16) as mapped:
            mapped[:] = bytes(range(16))
            assert payload_sent(send, mapped, False) == bytes(range(16))

    def test_numpy(self, send) -> None:
        numpy = pytest.importorskip("numpy")
        matrix = numpy.arange(12, dtype=numpy.uint16).reshape(3, 4)
        for data in (matrix, matrix.T, matrix[::2, 1:3]):
            assert payload_sent(send, data, False) == data.tobytes()

    def test_bytes_subclass(self, send) -> None:
        class Data(bytes):
            def __bytes__(self) -> bytes:
                return b"not this"

        assert payload_sent(send, Data(b"ab"), True) == b"ab"

    def test_is_copied_and_let_go(self, send) -> None:
        data = bytearray(b"abc")
        outbox = Outbox(server=True)
        send(outbox, data)
        data[:] = b"xyz"
        data.clear()
        assert outbox.take().endswith(b"abc")

    def test_is_let_go_when_refused(self, send) -> None:
        data = bytearray(200)
        outbox = Outbox()
        try:
            send(outbox, data)
        except ValueError:
            assert outbox.pending == 0
        data.clear()

    def test_what_was_taken_can_be_sent(self) -> None:
        outbox = Outbox(server=True)
        outbox.text("x")
        taken = outbox.take()
        outbox.binary(taken)
        assert outbox.take() == frame(BINARY, taken)

    def test_large_strided(self) -> None:
        data = memoryview(bytes(range(250)) * 2000)[::3]
        assert payload_sent(SEND_BYTES["message"], data, False) == data.tobytes()


class TestRefused:
    @pytest.mark.parametrize("data", [0, 5, 1.5, None, [1, 2], (1,), {}, object(), bytes])
    def test_not_bytes(self, send, data: object) -> None:
        check_refused(lambda box: send(box, data), TypeError)

    def test_str_is_not_binary(self, send) -> None:
        if send is not SEND_BYTES["message"]:
            check_refused(lambda box: send(box, "text"), TypeError)

    def test_released_view(self, send) -> None:
        view = memoryview(b"abc")
        view.release()
        check_refused(lambda box: send(box, view), ValueError)

    def test_closed_mmap(self, send) -> None:
        with mmap.mmap(-1, 16) as mapped:
            pass
        check_refused(lambda box: send(box, mapped), ValueError)

    @pytest.mark.parametrize("data", [b"bytes", bytearray(b"x"), memoryview(b"x"), 5, None, 1.5])
    def test_not_text(self, data: object) -> None:
        check_refused(lambda box: box.text(data), TypeError)

    @pytest.mark.parametrize(
        "text", ["\ud800", "ok\udfff", "\ud83c\udf88", "a" * 10_000 + "\udc80"]
    )
    def test_lone_surrogates(self, text: str) -> None:
        check_refused(lambda box: box.text(text), UnicodeEncodeError)
        check_refused(lambda box: box.message(text), ValueError)

    @pytest.mark.parametrize("size", [126, 127, 65536])
    def test_control_frames_hold_125_bytes(self, size: int) -> None:
        check_refused(lambda box: box.ping(b"x" * size), ValueError)
        check_refused(lambda box: box.pong(b"x" * size), ValueError)
        check_refused(lambda box: box.close(1000, b"x" * (size - 2)), ValueError)

    def test_reason_without_a_code(self) -> None:
        check_refused(lambda box: box.close(None, b"why"), ValueError)
        check_refused(lambda box: box.close(data=b"why"), ValueError)

    @pytest.mark.parametrize("code", [-1, 65536, 1 << 64, -(1 << 64)])
    def test_codes_of_more_than_two_bytes(self, code: int) -> None:
        check_refused(lambda box: box.close(code), OverflowError)

    @pytest.mark.parametrize("code", ["1000", 1000.0, b"\x03\xe8", [1000]])
    def test_codes_that_are_no_numbers(self, code: object) -> None:
        check_refused(lambda box: box.close(code), TypeError)

    @pytest.mark.parametrize("opcode", [-1, 16, 256, 1 << 64, -(1 << 64)])
    def test_opcodes_of_more_than_four_bits(self, opcode: int) -> None:
        check_refused(lambda box: box.frame(opcode, b""), ValueError)

    @pytest.mark.parametrize("opcode", ["1", 1.0, None, b"\x01"])
    def test_opcodes_that_are_no_numbers(self, opcode: object) -> None:
        check_refused(lambda box: box.frame(opcode, b""), TypeError)


class TestStrings:
    def test_subclasses(self) -> None:
        class Text(str):
            def __str__(self) -> str:
                return "not this"

            def encode(self, *_: object) -> bytes:
                return b"nor this"

        class Colour(StrEnum):
            RED = "red"

        outbox = Outbox(server=True)
        outbox.message(Text("text"))
        outbox.text(Text("text"))
        outbox.message(Colour.RED)
        assert outbox.take() == frame(TEXT, b"text") * 2 + frame(TEXT, b"red")

    @pytest.mark.parametrize("text", ["ascii", "é" * 5, "\u20ac\x00", "\U0001f388" * 300, "\uffff"])
    def test_every_width(self, text: str) -> None:
        outbox = Outbox(server=True)
        outbox.text(text)
        assert outbox.take() == frame(TEXT, text.encode())
