"""What is kept in memory: no more than has come, nothing twice, and nothing for ever."""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from codec_wire import BINARY, CONTINUATION, PING, TEXT, fragments, frame, header

from wsfast.codec import (
    Close,
    Decoder,
    Failure,
    Outbox,
    Ping,
    apply_mask,
    apply_mask_in_place,
)

MB = 1_000_000
SLACK = 400_000  # the receive buffer, and the smallest block of a message


class Peak:
    size = 0


@contextmanager
def traced() -> Iterator[Peak]:
    """Tells by how many bytes memory has grown at most."""
    peak = Peak()
    gc.collect()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        yield peak
        peak.size = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class TestPeak:
    @pytest.mark.parametrize("pieces", [1, 2, 7])
    def test_large_message_is_held_once(self, pieces: int) -> None:
        size = 20 * MB
        piece = size // pieces
        with traced() as peak:
            decoder = Decoder(max_message=0)
            events: list[object] = []
            for i in range(pieces):
                last = i == pieces - 1
                length = size - piece * i if last else piece
                decoder.feed(header(BINARY if i == 0 else CONTINUATION, length, fin=last))
                at = 0
                while at < length:
                    view = decoder.get_buffer()
                    view[0] = 1
                    at += len(view)
                    events += decoder.received(len(view))
            del view
        (message,) = events
        assert len(message) == size
        # What is still to come of a fragmented message is not known: its block doubles.
        assert peak.size <= (size if pieces == 1 else 2 * size) + SLACK

    def test_large_text_is_held_twice(self) -> None:
        size = 20 * MB
        with traced() as peak:
            decoder = Decoder(max_message=0)
            decoder.feed(header(TEXT, size))
            events: list[object] = []
            while not events:
                view = decoder.get_buffer()
                view[:] = b"a" * len(view)
                events += decoder.received(len(view))
        assert len(events[0]) == size
        # Once as bytes, once as the str; the bytes that the test writes are its own.
        assert peak.size <= 2 * size + size // 2 + SLACK

    def test_nothing_stays_after_the_message(self) -> None:
        stream = frame(BINARY, bytes(5 * MB)) + frame(TEXT, b"a" * 5 * MB)
        decoder = Decoder()
        with traced():
            before = tracemalloc.get_traced_memory()[0]
            assert len(decoder.feed(stream)) == 2
            decoder.feed(b"")
            assert tracemalloc.get_traced_memory()[0] - before < SLACK

    def test_nothing_stays_after_a_failure(self) -> None:
        with traced():
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(10):
                decoder = Decoder()
                decoder.feed(header(BINARY, 5 * MB) + bytes(4 * MB))
                del decoder
            assert tracemalloc.get_traced_memory()[0] - before < SLACK

    def test_claim_alone_takes_little(self) -> None:
        with traced() as peak:
            decoder = Decoder(max_message=0)
            assert decoder.feed(header(BINARY, 1 << 62) + bytes(10)) == []
            view = decoder.get_buffer()
            assert decoder.received(10) == []
            del view
        if sys.maxsize > 1 << 32:
            assert decoder.control is False
        assert peak.size < SLACK

    def test_fragments_of_one_byte(self) -> None:
        count = 100_000
        stream = fragments(BINARY, [b"x"] * count)
        with traced() as peak:
            assert Decoder().feed(stream) == [b"x" * count]
        assert peak.size < SLACK

    def test_fragments_of_no_bytes(self) -> None:
        stream = fragments(TEXT, [b""] * 100_000)
        with traced() as peak:
            assert Decoder().feed(stream) == [""]
        assert peak.size < SLACK

    def test_bytes_one_by_one(self) -> None:
        decoder = Decoder(max_message=0)
        decoder.feed(header(BINARY, 1 << 40))
        with traced() as peak:
            for _ in range(100_000):
                decoder.feed(b"x")
        assert peak.size < SLACK

    def test_outbox_grows_with_what_waits(self) -> None:
        outbox = Outbox()
        with traced() as peak:
            for _ in range(1000):
                outbox.binary(bytes(1000))
            waiting = outbox.pending
        # While it doubles, both blocks are there.
        assert peak.size < 3 * waiting + SLACK
        with traced():
            before = tracemalloc.get_traced_memory()[0]
            outbox.take()
            assert outbox.pending == 0
            assert tracemalloc.get_traced_memory()[0] <= before + SLACK

    def test_large_message_is_copied_once_into_the_outbox(self) -> None:
        data = bytes(20 * MB)
        with traced() as peak:
            outbox = Outbox()
            outbox.binary(data)
            taken = outbox.take()
        assert len(taken) == 20 * MB + 14
        assert peak.size < 20 * MB + SLACK


RESIDENT = """
import os
from wsfast.codec import Decoder

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

claim = bytes([0x82, 127]) + (1 << 62).to_bytes(8, "big") + bytes(10)
decoders = [Decoder(max_message=0) for _ in range(10)]
before = resident()
for decoder in decoders:
    assert decoder.feed(claim) == []
    decoder.get_buffer()[:10] = bytes(10)
    assert decoder.received(10) == []
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc/self/statm")
@pytest.mark.skipif(sys.maxsize < 1 << 32, reason="no message of that size can be claimed here")
def test_resident_memory_stays_flat_whatever_is_claimed(run_python) -> None:
    assert int(run_python(RESIDENT)) < 16 * MB


def exercise_decoder() -> None:
    for server, key in ((False, None), (True, b"abcd")):
        decoder = Decoder(server=server, buffer_size=1000)
        stream = frame(TEXT, "é".encode(), key=key) + frame(PING, b"x", key=key)
        stream += frame(BINARY, bytes(5000), key=key) + fragments(TEXT, [b"a", b"b"], key=key)
        decoder.feed(stream)
        decoder.feed(memoryview(stream[::-1])[::-1])
        decoder.feed(header(BINARY, 100_000, key=key))
        held = memoryview(decoder.get_buffer())
        decoder.received(10)
        decoder.get_buffer()
        decoder.feed(bytes(99_990))
        held.release()
        decoder.feed(frame(8, b"\x03\xe8bye", key=key))


def check_refused(call: Callable[..., object], *arguments: object, **options: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        call(*arguments, **options)


def exercise_failures() -> None:
    for stream in (b"\xff\xff", frame(TEXT, b"\xff"), frame(BINARY, bytes(100)), frame(8, b"\0\0")):
        decoder = Decoder(max_message=10)
        decoder.feed(stream)
        decoder.feed(stream)
    unfinished = Decoder()
    unfinished.feed(header(TEXT, 500_000) + b"a" * 1000)
    unfinished.get_buffer()
    check_refused(unfinished.received, -1)
    check_refused(unfinished.received, 1 << 40)
    check_refused(unfinished.feed, "text")
    check_refused(Decoder, buffer_size=0)
    check_refused(Decoder, max_message=-1)


def exercise_outbox() -> None:
    for server in (False, True):
        outbox = Outbox(server=server)
        outbox.message("text")
        outbox.message(b"bytes")
        outbox.binary(memoryview(b"abcdef")[::2])
        outbox.ping(b"x")
        outbox.pong()
        outbox.frame(1, bytes(5000), fin=False)
        outbox.close(1000, b"bye")
        outbox.take()
        outbox.text("left behind")
        check_refused(outbox.text, 5)
        check_refused(outbox.text, "\ud800")
        check_refused(outbox.binary, "text")
        check_refused(outbox.ping, bytes(126))
        check_refused(outbox.close, None, b"why")
        check_refused(outbox.close, 1 << 20)
        check_refused(outbox.frame, 16, b"")


def exercise_values() -> None:
    for event in (Ping(bytearray(b"x")), Close(1000, "bye"), Failure(1002)):
        assert event == type(event)(*event.__reduce__()[1])
        assert hash(event) == hash(event)
        repr(event)
    apply_mask(memoryview(b"abcdef")[::2], b"abcd")
    apply_mask_in_place(bytearray(10), b"abcd")
    with pytest.raises(ValueError, match="4 bytes"):
        apply_mask(b"x", b"x")
    with pytest.raises(BufferError):
        apply_mask_in_place(b"x", b"abcd")


@pytest.mark.parametrize(
    "exercise", [exercise_decoder, exercise_failures, exercise_outbox, exercise_values]
)
def test_nothing_leaks(exercise: Callable[[], None]) -> None:
    """Repeats until memory stops growing, which it never does if each time leaves something."""
    repeats = 200

    def grown() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(repeats):
            exercise()
        gc.collect()
        return sys.getallocatedblocks() - before

    growths = [grown() for _ in range(5)]
    assert min(growths) < repeats, growths


@pytest.mark.parametrize(
    "exercise", [exercise_decoder, exercise_failures, exercise_outbox, exercise_values]
)
def test_no_bytes_leak(exercise: Callable[[], None]) -> None:
    """As above, by size: a leak of blocks larger than the small-object allocator's shows here."""
    exercise()
    with traced():
        growths = []
        for _ in range(5):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(50):
                exercise()
            gc.collect()
            growths.append(tracemalloc.get_traced_memory()[0] - before)
    assert min(growths) < 50 * 32, growths


def test_decoder_lets_go_of_everything() -> None:
    message = bytes(1000)
    decoder = Decoder()
    before = sys.getrefcount(message)
    decoder.feed(frame(BINARY, message))
    decoder.feed(message)
    assert sys.getrefcount(message) == before


def test_messages_belong_to_the_caller_alone() -> None:
    decoder = Decoder(buffer_size=100)
    stream = frame(TEXT, b"text" * 10) + frame(BINARY, b"small") + frame(BINARY, bytes(10_000))
    stream += fragments(BINARY, [b"abc", b"def"]) + frame(PING, b"ping data")
    events = decoder.feed(stream)
    own = object()
    events.append(own)
    counts = [sys.getrefcount(event) for event in events]
    assert len(set(counts[:-1])) == 1
    assert counts[0] <= counts[-1]
