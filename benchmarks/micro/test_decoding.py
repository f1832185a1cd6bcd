"""Bytes to messages: text and binary, masked and unmasked, in chunks as a socket gives them and in
tiny ones. Every contender makes the same `str` and `bytes` objects of the same bytes."""

from collections.abc import Callable

import pytest
from micro_peers import DECODERS, installed
from micro_wire import SIZES, cut, frame, message

CHUNK = 64 << 10
TINY = 7


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("contender", DECODERS)
def test_chunks(
    contender: str, masked: bool, kind: str, size: str, measure: Callable[..., None]
) -> None:
    count = max(1, CHUNK // (SIZES[size] + 14))
    decode_all(contender, masked, kind, size, count, CHUNK, measure)


@pytest.mark.parametrize("size", ["32 B", "4 KiB"])
@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
@pytest.mark.parametrize("contender", DECODERS)
def test_tiny_chunks(
    contender: str, masked: bool, kind: str, size: str, measure: Callable[..., None]
) -> None:
    decode_all(contender, masked, kind, size, 8, TINY, measure)


def decode_all(
    contender: str,
    masked: bool,
    kind: str,
    size: str,
    count: int,
    chunk: int,
    measure: Callable[..., None],
) -> None:
    module, make = DECODERS[contender]
    if not installed(module):
        pytest.skip(f"{contender} is not installed")
    sent = message(SIZES[size], text=kind == "text")
    chunks = cut(frame(sent, masked=masked) * count, chunk)
    decode = make(server=masked)
    assert decode(chunks) == [sent] * count
    where = "chunks of 64 KiB" if chunk == CHUNK else f"chunks of {TINY} B"
    case = f"decode, {kind}, {'masked' if masked else 'unmasked'}, {size}, {where}"
    measure(case, contender, decode, chunks, count=count)
