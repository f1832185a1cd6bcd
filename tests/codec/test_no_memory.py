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
import gc, os, sys
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
stream += frame(8, b"\\x03\\xe8bye")
whole = Decoder().feed(stream)
assert len(whole) == 6

def feed(decoder):
    return decoder.feed(stream)

def receive(decoder):
    # The lists go to places that are there: a list that cannot grow leaks in some CPythons.
    lists, at = [[]] * len(stream), 0
    while at < len(stream):
        view = decoder.get_buffer()
        size = min(len(view), len(stream) - at)
        view[:size] = stream[at : at + size]
        lists[at] = decoder.received(size)
        at += size
    return lists

def scenario_with(give, size):
    def scenario(attempt):
        got = attempt(lambda: give(Decoder(buffer_size=size)))
        if got is not FAILED:
            assert (got if give is feed else sum(got, [])) == whole, got
            return False
        return True
    return scenario

def failing(attempt):
    decoder = Decoder()
    got = attempt(lambda: decoder.feed(frame(1, b"text") + b"\\xff\\xff"))
    if got is not FAILED:
        assert got == ["text", Failure(1002, "reserved bits set")], got
        return False
    return True

def creating(attempt):
    return attempt(lambda: [Decoder(), Outbox(), Ping(b"abc"), Close(1000, "bye")]) is FAILED

def run():
    for give in (feed, receive):
        for size in (1, 16, 700, 65536):
            each_failure(scenario_with(give, size))
    each_failure(failing)
    each_failure(creating)
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

def masking(attempt):
    return attempt(lambda: apply_mask(memoryview(b"ab" * 1000)[::2], b"abcd")) is FAILED

def run():
    for call in calls:
        for before in (0, 1, 100):
            each_failure(scenario_with(call, before))
    each_failure(taking)
    each_failure(masking)
"""
)

LEAK_CHECK = """
run()
assert failures
growths = []
for _ in range(4):
    gc.collect()
    before = sys.getallocatedblocks()
    run()
    gc.collect()
    growths.append(sys.getallocatedblocks() - before)
assert min(growths) < 20, growths
"""


@pytest.mark.parametrize("script", [DECODER, GAPS, OUTBOX], ids=["decoder", "gaps", "outbox"])
def test_every_allocation_may_fail(script: str, run_python) -> None:
    run_python(script + LEAK_CHECK)
