"""Every allocation may fail: then there is a MemoryError, nothing half done and nothing leaked.

The scripts run in interpreters of their own, where CPython's own test helper makes the n-th
allocation fail, for every n until none of them does.
"""

import importlib.util

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this Python comes without _testcapi"
)

PRELUDE = """
import gc, io, os, sys
import _testcapi
from wsfast.codec import *

def frame(opcode, payload, fin=True):
    size = len(payload)
    length = bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")
    return bytes([fin << 7 | opcode]) + length + payload

FAILED = object()

def attempt(work, start, stop):
    try:
        _testcapi.set_nomemory(start, stop)
        try:
            return work()
        finally:
            _testcapi.remove_mem_hooks()
    except MemoryError:
        return FAILED

failures = 0

def each_failure(scenario):
    \"\"\"Calls scenario(attempt) with one allocation failing, and with all from one on.\"\"\"
    global failures
    for forever in (False, True):
        n = 1
        while scenario(lambda work: attempt(work, n, 0 if forever else n + 1)):
            n += 1
            failures += 1
"""

DECODER = (
    PRELUDE
    + """
stream = frame(1, b"first" * 20) + frame(9, b"ping" * 9) + frame(2, b"x" * 900, fin=False)
stream += frame(0, b"y" * 900) + frame(2, b"z" * 3000) + frame(1, "é€".encode() * 300)
stream += frame(0x41, b"deflated" * 3, fin=False) + frame(0, b"")
stream += frame(8, b"\\x03\\xe8bye")

def joined(events):
    # Pieces are as the chunks are.
    joined = []
    for event in events:
        if isinstance(event, (Compressed, Piece)) and joined and getattr(joined[-1], "more", False):
            event = type(event)(joined.pop().data + event.data, event.text, event.more)
        if isinstance(event, Piece) and not event.more:
            event = event.data.decode() if event.text else event.data
        joined.append(event)
    return joined

whole = joined(Decoder(compression=True).feed(stream))
assert whole[-2:] == [Compressed(b"deflated" * 3, text=True), Close(1000, "bye")]
assert len(whole) == 7

def feed(decoder):
    return decoder.feed(stream)

# No new list here, and no number: CPython 3.13t frees a list twice that gets no room for its items,
# and in some others one that cannot grow leaks.
empty = [[]] * len(stream)
numbers = list(range(len(stream)))

def receive(decoder):
    lists, source = empty.copy(), io.BytesIO(stream)
    for at in numbers:
        size = source.readinto(decoder.get_buffer())
        if not size:
            break
        lists[at] = decoder.received(size)
    return lists

def scenario_with(give, size, pieces):
    def scenario(attempt):
        got = attempt(lambda: give(Decoder(buffer_size=size, compression=True, pieces=pieces)))
        if got is not FAILED:
            assert joined(got if give is feed else sum(got, [])) == whole
            return False
        return True
    return scenario

wrong = frame(1, b"text") + b"\\xff\\xff"

def failing(attempt):
    decoder = Decoder()
    got = attempt(lambda: decoder.feed(wrong))
    if got is not FAILED:
        assert got == ["text", Failure(1002, "reserved bits set")], got
        return False
    return True

# Decoder.get_buffer() alone: what could not be lent is lent the next time.
def lending(attempt, begun):
    decoder = Decoder()
    decoder.feed(begun)
    view = attempt(decoder.get_buffer)
    got = view is not FAILED
    if not got:
        view = decoder.get_buffer()
    rest = bytes(200_000 - len(begun) + 10) if begun else frame(1, b"text")
    while rest:
        count = min(len(view), len(rest))
        view[:count] = rest[:count]
        events = decoder.received(count)
        rest = rest[count:]
        view = decoder.get_buffer()
    assert events == [bytes(200_000) if begun else "text"]
    return not got

large = bytes([0x82, 127]) + (200_000).to_bytes(8, "big") + bytes(100_000)

def run():
    for size in (1, 16, 700, 65536):
        each_failure(scenario_with(feed, size, False))
        each_failure(scenario_with(receive, size, False))
    for give in (feed, receive):
        each_failure(scenario_with(give, 700, True))
    each_failure(failing)
    for begun in (b"", large):
        each_failure(lambda attempt: lending(attempt, begun))
"""
)

GAPS = (
    PRELUDE
    + """
# Nothing may come after a gap: either nothing was used up, and all can be given once more, or the
# stream is over.
stream = frame(1, b"begun" * 50, fin=False) + frame(9, b"between") + frame(0, b"ended" * 50)
stream += frame(2, b"last" * 50)
expected = Decoder().feed(stream)

def is_over(decoder):
    try:
        decoder.feed(frame(1, b"after the gap"))
    except MemoryError:
        return True
    return False

def feeding(decoder):
    return lambda: decoder.feed(stream)

def receiving(decoder):
    decoder.get_buffer()[: len(stream)] = stream
    return lambda: decoder.received(len(stream))

def scenario_with(prepare):
    def scenario(attempt):
        decoder = Decoder()
        give = prepare(decoder)
        events = attempt(give)
        if events is not FAILED:
            assert events == expected, events
            return False
        try:
            events = give()
        except (MemoryError, ValueError):
            assert is_over(decoder)
        else:
            assert events == expected, events
        return True
    return scenario

def run():
    each_failure(scenario_with(feeding))
    each_failure(scenario_with(receiving))
"""
)

OUTBOX = (
    PRELUDE
    + """
calls = [
    lambda box: box.message("text" * 100),
    lambda box: box.message("\\xe9" * 5000),
    lambda box: box.message(b"bytes" * 100),
    lambda box: box.binary(memoryview(b"strided " * 1000)[::2]),
    lambda box: box.ping(b"ping"),
    lambda box: box.close(1000, b"bye"),
    lambda box: box.frame(1, b"frame" * 2000, fin=False),
]

def scenario_with(call, before):
    def scenario(attempt):
        outbox = Outbox()
        for _ in range(before):
            outbox.ping(b"before")
        counts = outbox.pending, outbox.frames
        got = attempt(lambda: call(outbox))
        if got is not FAILED:
            assert outbox.frames == before + 1
            return False
        assert (outbox.pending, outbox.frames) == counts
        outbox.text("after")
        events = Decoder(server=True).feed(outbox.take())
        assert events == [Ping(b"before")] * before + ["after"], events
        return True
    return scenario

def taking(attempt):
    outbox = Outbox()
    outbox.text("one")
    outbox.text("two")
    got = attempt(outbox.take)
    outbox.text("after")
    events = Decoder(server=True).feed(outbox.take())
    if got is not FAILED:
        assert events == ["after"]
        return False
    assert events in (["after"], ["one", "two", "after"]), events
    return True

def run():
    for call in calls:
        for before in (0, 1, 100):
            each_failure(scenario_with(call, before))
    each_failure(taking)
"""
)

VALUES = (
    PRELUDE
    + """
ping, close, piece = Ping(b"abc"), Close(1000, "bye"), Compressed(b"abc", more=True)
target, strided = bytearray(b"ab" * 1000), memoryview(b"abcd" * 2)[::2]
calls = [
    (Decoder, lambda got: got.feed(b"") == []),
    (Outbox, lambda got: got.take() == b""),
    (lambda: Ping(strided), lambda got: got.data == b"acac"),
    (lambda: Pong(bytearray(b"abc")), lambda got: got.data == b"abc"),
    (lambda: Close(1000, "bye"), lambda got: got == close),
    (lambda: Failure(1002, "why"), lambda got: got.reason == "why"),
    (lambda: Compressed(b"abc", more=True), lambda got: got == piece),
    (lambda: apply_mask(strided, strided), lambda got: got == bytes(4)),
    (lambda: apply_mask_in_place(target, strided), lambda got: got == b"acac"),
    (implementation, lambda got: got in implementations()),
    (implementations, lambda got: implementation() in got),
]
others = (Ping(b"abc"), Close(1000, "bye"), Compressed(b"abc"))
for value, other in zip((ping, close, piece), others):
    calls += [
        (lambda v=value: repr(v), lambda got, v=value: got == repr(v)),
        (lambda v=value: hash(v), lambda got, v=value: got == hash(v)),
        (lambda v=value: v.__reduce__(), lambda got, v=value: got[0](*got[1]) == v),
        (lambda v=value, o=other: v == o, lambda got, v=value: got is (type(v) is not Compressed)),
    ]

def scenario_with(call, right):
    def scenario(attempt):
        got = attempt(call)
        if got is FAILED:
            return True
        assert right(got), got
        return False
    return scenario

def run():
    for call, right in calls:
        each_failure(scenario_with(call, right))
"""
)

LEAK_CHECK = """
import tracemalloc

def growths(used):
    grown = []
    for _ in range(4):
        gc.collect()
        before = used()
        run()
        gc.collect()
        grown.append(used() - before)
    return grown

run()
assert failures
assert min(blocks := growths(sys.getallocatedblocks)) < 20, blocks
tracemalloc.start()
# By size: what is too large for the allocator of small objects is not among the blocks.
assert min(sizes := growths(lambda: tracemalloc.get_traced_memory()[0])) < 2000, sizes
"""


@pytest.mark.parametrize(
    "script", [DECODER, GAPS, OUTBOX, VALUES], ids=["decoder", "gaps", "outbox", "values"]
)
def test_every_allocation_may_fail(script: str, run_python) -> None:
    run_python(script + LEAK_CHECK)
