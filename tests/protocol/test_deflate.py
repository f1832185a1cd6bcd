"""Compressing and inflating (RFC 7692, section 7.2), against the standard library's zlib."""

import importlib.util
import random
import sys
import zlib
from types import ModuleType

import pytest
from deflate_backends import BACKENDS, NAMES
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Compressed
from wsfast.protocol import deflate
from wsfast.protocol.deflate import Deflater, InflateError, Inflater

TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, section 7.2.3.1
STEP = 32 * 1024


def inflate(inflater: Inflater, payload: bytes, *, text: bool = False) -> str | bytes:
    message = inflater.feed(Compressed(payload, text))
    assert message is not None
    return message


def deflated(message: bytes, *, bits: int = 15, level: int = 6) -> bytes:
    """A message as another implementation compresses it."""
    state = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (state.compress(message) + state.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


class Both(Inflater):
    """Inflates in steps, too, which must give the same."""

    def __init__(self, window_bits: int, limit: int, *, takeover: bool) -> None:
        super().__init__(window_bits, limit, takeover=takeover)
        self._in_steps = Inflater(window_bits, limit, takeover=takeover)
        self._gathered = b""

    def feed(self, piece: Compressed) -> str | bytes | None:
        try:
            message = super().feed(piece)
        except InflateError as error:
            if "cannot be inflated" in str(error):
                with pytest.raises(InflateError, match="cannot be inflated"):
                    list(self._in_steps.steps(piece))
            raise
        steps = list(self._in_steps.steps(piece))
        assert all(0 < len(step) <= STEP for step in steps)
        self._gathered += b"".join(steps)
        if message is not None:
            assert self._gathered == (message.encode() if piece.text else message)
            self._gathered = b""
        return message


def new_inflater(limit: int = 1 << 20, *, takeover: bool = True, bits: int = 15) -> Inflater:
    return Both(bits, limit, takeover=takeover)


@pytest.fixture(scope="module", params=BACKENDS, ids=NAMES, autouse=True)
def backend(request):
    """Each test is for all that can be compressed with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsfast.protocol.deflate.zlib", request.param)
        yield


@pytest.fixture(params=[True, False], ids=["takeover", "no context"])
def takeover(request) -> bool:
    return request.param


# ------------------------------------------------------------------ what it is done with


def loaded_anew() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deflate_anew", deflate.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_zlib_ng_is_used_where_it_is_installed(monkeypatch) -> None:
    package = ModuleType("zlib_ng")
    package.zlib_ng = ModuleType("zlib_ng.zlib_ng")
    monkeypatch.setitem(sys.modules, "zlib_ng", package)
    assert loaded_anew().zlib is package.zlib_ng
    monkeypatch.setitem(sys.modules, "zlib_ng", None)  # as if it were not
    assert loaded_anew().zlib is zlib


# ------------------------------------------------------------------ the examples of the RFC


def test_one_block() -> None:
    assert inflate(new_inflater(), HELLO, text=True) == "Hello"


def test_two_fragments() -> None:
    inflater = new_inflater()
    assert inflater.feed(Compressed(HELLO[:3], True, True)) is None
    assert inflater.feed(Compressed(HELLO[3:], True, False)) == "Hello"


def test_sharing_the_window() -> None:
    inflater = new_inflater()
    assert inflate(inflater, HELLO, text=True) == "Hello"
    assert inflate(inflater, bytes.fromhex("f200110000"), text=True) == "Hello"


def test_without_a_shared_window_what_came_before_is_gone() -> None:
    inflater = new_inflater(takeover=False)
    assert inflate(inflater, HELLO, text=True) == "Hello"
    with pytest.raises(InflateError) as caught:
        inflate(inflater, bytes.fromhex("f200110000"), text=True)
    assert caught.value.code == 1007


def test_a_block_without_compression() -> None:
    assert inflate(new_inflater(), bytes.fromhex("000500faff48656c6c6f00"), text=True) == "Hello"


def test_a_final_block(takeover: bool) -> None:
    inflater = new_inflater(takeover=takeover)
    for _ in range(3):
        assert inflate(inflater, bytes.fromhex("f348cdc9c9070000"), text=True) == "Hello"


def test_two_blocks() -> None:
    payload = bytes.fromhex("f248050000 00ffffcac9c907 00")
    assert inflate(new_inflater(), payload, text=True) == "Hello"


# ------------------------------------------------------------------ what peers send


def test_a_final_block_without_the_byte_after_it(takeover: bool) -> None:
    """zlib's Z_FINISH leaves it out, and so do some who use it."""
    inflater = new_inflater(takeover=takeover)
    state = zlib.compressobj(6, zlib.DEFLATED, -15)
    whole = state.compress(b"Hello") + state.flush(zlib.Z_FINISH)
    for _ in range(3):
        assert inflate(inflater, whole) == b"Hello"
        assert inflate(inflater, deflated(b"World")) == b"World"


@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
def test_streams_one_after_the_other(pieces: int) -> None:
    inflater = new_inflater()
    final = bytes.fromhex("f348cdc9c90700")
    payload = final * 300 + deflated(b"!")
    size = -(-len(payload) // pieces)
    cut = [payload[at : at + size] for at in range(0, len(payload), size)]
    for piece in cut[:-1]:
        assert inflater.feed(Compressed(piece, False, True)) is None
    assert inflater.feed(Compressed(cut[-1])) == b"Hello" * 300 + b"!"


@pytest.mark.parametrize("empty", [b"\x00", b"\x03\x00", b"\x03\x00\x00", b""])
def test_nothing(empty: bytes, takeover: bool) -> None:
    inflater = new_inflater(takeover=takeover)
    for _ in range(2):
        assert inflate(inflater, empty) == b""
        assert inflate(inflater, empty, text=True) == ""


def test_an_empty_last_piece() -> None:
    inflater = new_inflater()
    assert inflater.feed(Compressed(deflated(b"Hello"), False, True)) is None
    assert inflater.feed(Compressed(b"", False, False)) == b"Hello"


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=5), st.integers(0, 9))
def test_any_pieces(message: bytes, cuts: list[int], level: int) -> None:
    payload = deflated(message, level=level)
    inflater = new_inflater(limit=3000)
    at = 0
    for cut in sorted(cut for cut in cuts if cut < len(payload)):
        assert inflater.feed(Compressed(payload[at:cut], False, True)) is None
        at = cut
    assert inflater.feed(Compressed(payload[at:])) == message


@pytest.mark.parametrize("payload", [b"\xff", b"\x06", b"\x01\x01\x00\x00\x00", b"\x05" * 10])
def test_what_is_no_deflate_stream(payload: bytes) -> None:
    with pytest.raises(InflateError, match="cannot be inflated") as caught:
        inflate(new_inflater(), payload)
    assert caught.value.code == 1007


@pytest.mark.parametrize("before", [b"", bytes.fromhex("f348cdc9c90700")])
def test_a_final_block_that_lacks_its_end(before: bytes) -> None:
    """Its last symbols would be read from what a flush ends with."""
    for cut in ("f348", "f348cddedededededede6173"):
        with pytest.raises(InflateError, match="cannot be inflated"):
            inflate(new_inflater(), before + bytes.fromhex(cut))


@given(st.binary(max_size=200))
def test_anything_at_all(payload: bytes) -> None:
    try:
        assert len(inflate(new_inflater(limit=1000), payload)) <= 1000
    except InflateError as error:
        if error.code not in (1007, 1009):
            raise


def test_text_that_is_not_utf8(takeover: bool) -> None:
    for message in (b"\xff", b"a\xe2\x82", b"x" * 100_000 + b"\xc0\x80"):
        with pytest.raises(InflateError, match="text is not UTF-8") as caught:
            inflate(new_inflater(takeover=takeover), deflated(message), text=True)
        assert caught.value.code == 1007


def test_long_text_is_joined(takeover: bool) -> None:
    inflater = new_inflater(takeover=takeover)
    message = "grün\U0001f600" * 20_000
    for _ in range(2):
        got = inflate(inflater, deflated(message.encode()), text=True)
        assert type(got) is str
        assert got == message


def test_binary_is_bytes_however_long() -> None:
    for size in (1, 32 * 1024, 32 * 1024 + 1, 500_000):
        got = inflate(new_inflater(), deflated(b"x" * size))
        assert type(got) is bytes
        assert got == b"x" * size


def test_steps_have_no_limit_and_are_made_when_they_are_asked_for() -> None:
    inflater = Inflater(15, 10, takeover=True)
    steps = inflater.steps(Compressed(deflated(bytes(1 << 20))))
    assert next(steps) == bytes(STEP)
    assert sum(map(len, steps)) == (1 << 20) - STEP


# ------------------------------------------------------------------ the limit

LIMITS = [1, 5, 1000, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 65536, 100_000]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["one run", "noise", "stored"])
def test_the_limit_to_the_byte(limit: int, kind: str, takeover: bool) -> None:
    noise = random.Random(limit).randbytes(limit + 2)
    whole = b"a" * (limit + 2) if kind == "one run" else noise
    level = 0 if kind == "stored" else 6
    for size in (limit - 1, limit):
        message = whole[:size]
        inflater = new_inflater(limit, takeover=takeover)
        for _ in range(2):  # each message is counted by itself
            assert inflate(inflater, deflated(message, level=level)) == message
    for size in (limit + 1, limit + 2):
        with pytest.raises(InflateError, match="size limit") as caught:
            inflate(new_inflater(limit, takeover=takeover), deflated(whole[:size], level=level))
        assert caught.value.code == 1009


def test_the_limit_over_pieces() -> None:
    inflater = new_inflater(10)
    assert inflater.feed(Compressed(deflated(b"01234") + b"\x00\x00\xff\xff", False, True)) is None
    with pytest.raises(InflateError, match="size limit"):
        inflater.feed(Compressed(deflated(b"56789!")))


# ------------------------------------------------------------------ compressing


@pytest.mark.parametrize("level", range(1, 10))
@pytest.mark.parametrize("bits", range(8, 16))
def test_the_window_is_kept_to(bits: int, level: int, takeover: bool) -> None:
    """The peer has no more than the window agreed on: byte by byte, as zlib checks it only then."""
    chance = random.Random(bits * 10 + level)
    deflater = Deflater(bits, level, takeover=takeover)
    peer = zlib.decompressobj(-bits)
    unit = chance.randbytes(chance.randrange(200, 2 << bits))
    for _ in range(4):
        start, size = chance.randrange(len(unit)), chance.randrange(1, 3 * len(unit))
        message = ((unit * 5)[start:])[:size]
        if not takeover:
            peer = zlib.decompressobj(-bits)
        compressed = bytes(deflater.compress(message)) + TAIL
        got = bytearray()
        for at in range(0, len(compressed), 32):  # zlib copies what is left, each time
            piece = compressed[at : at + 32]
            while byte := peer.decompress(piece, 1):
                got += byte
                piece = peer.unconsumed_tail
            assert peer.unconsumed_tail == b""
        assert got == message


@given(st.lists(st.binary(min_size=1, max_size=500), max_size=8), st.booleans())
def test_there_and_back(messages: list[bytes], takeover: bool) -> None:
    deflater = Deflater(12, 6, takeover=takeover)
    inflater = new_inflater(500, bits=12, takeover=takeover)
    for message in messages:
        assert inflate(inflater, bytes(deflater.compress(message))) == message


def test_a_context_makes_repetition_small() -> None:
    message = random.Random(0).randbytes(1000)
    deflater = Deflater(12, 6, takeover=True)
    assert len(memoryview(deflater.compress(message))) > 1000
    assert len(memoryview(deflater.compress(message))) < 50
    deflater.reset()
    assert len(memoryview(deflater.compress(message))) > 1000
    alone = Deflater(12, 6, takeover=False)
    assert len(memoryview(alone.compress(message))) > 1000
    assert len(memoryview(alone.compress(message))) > 1000


@pytest.mark.parametrize("payload", [bytearray(b"abc" * 100), memoryview(b"abc" * 100)])
def test_any_bytes(payload: bytearray | memoryview) -> None:
    compressed = bytes(Deflater(15, 9, takeover=True).compress(payload))
    assert zlib.decompress(compressed + TAIL + b"\x01\x00\x00\xff\xff", -15) == b"abc" * 100


# ------------------------------------------------------------------ memory


def test_state_is_made_when_needed_and_let_go() -> None:
    for keeps in (True, False):
        deflater, inflater = Deflater(12, 6, takeover=keeps), new_inflater(takeover=keeps)
        assert deflater._state is None
        assert inflater._state is None
        assert inflate(inflater, bytes(deflater.compress(b"Hello"))) == b"Hello"
        assert (deflater._state is not None) == keeps
        assert (inflater._state is not None) == keeps
