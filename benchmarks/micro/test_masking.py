"""Masking, as Python calls it and as C does, beside a copy of the same bytes.

From Python: a new `bytes` object, or in place. From C (`micro_mask.c`, compiled for the occasion):
the loops alone, ours and those that picows ships, beside memcpy.
"""

from collections.abc import Callable
from typing import Any

import pytest
from micro_native import WAYS, MaskLoops, mask_loops
from micro_peers import optional
from micro_wire import KEY

from wsfast.codec import apply_mask, apply_mask_in_place

SIZES = {
    "16 B": 16,
    "128 B": 128,
    "1 KiB": 1 << 10,
    "16 KiB": 16 << 10,
    "128 KiB": 128 << 10,
    "1 MiB": 1 << 20,
    "16 MiB": 16 << 20,
}


def masked(data: bytes) -> bytes:
    return bytes(byte ^ KEY[at % 4] for at, byte in enumerate(data[:1000]))


def copying() -> dict[str, Callable[[bytes], bytes]]:
    ways: dict[str, Callable[[bytes], bytes]] = {"wsfast": lambda data: apply_mask(data, KEY)}
    if speedups := optional("websockets.speedups"):
        ways["websockets"] = lambda data: speedups.apply_mask(data, KEY)
    if wsaccel := optional("wsaccel.xormask"):
        ways["wsaccel"] = lambda data: wsaccel.XorMaskerSimple(KEY).process(data)
    if client := optional("websocket._abnf"):
        ways["websocket-client"] = lambda data: client.ABNF.mask(KEY, data)
    return ways


def in_place() -> dict[str, Callable[[bytearray], Any]]:
    ways: dict[str, Callable[[bytearray], Any]] = {
        "wsfast": lambda data: apply_mask_in_place(data, KEY)
    }
    if helpers := optional("aiohttp._websocket.mask"):
        ways["aiohttp"] = lambda data: helpers._websocket_mask_cython(KEY, data)
    return ways


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contender", [*copying(), "a copy"])
def test_to_a_new_object(contender: str, size: str, measure: Callable[..., None]) -> None:
    data = bytes(range(256)) * (SIZES[size] // 256) or bytes(range(SIZES[size]))
    case = f"mask, Python, new object, {size}"
    if contender == "a copy":
        measure(case, contender, bytes, bytearray(data))
        return
    function = copying()[contender]
    assert function(data)[:1000] == masked(data)
    measure(case, contender, function, data)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contender", in_place())
def test_in_place(contender: str, size: str, measure: Callable[..., None]) -> None:
    data = bytearray(SIZES[size])
    function = in_place()[contender]
    function(data)
    assert data[:1000] == masked(bytes(SIZES[size]))
    measure(f"mask, Python, in place, {size}", contender, function, data)


@pytest.fixture(scope="module")
def loops() -> MaskLoops:
    return mask_loops()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("contender", ["wsfast", "picows", "memcpy"])
def test_in_c(
    contender: str, way: str, size: str, loops: MaskLoops, measure: Callable[..., None]
) -> None:
    bytes_per_call = max(SIZES[size], 1 << 20)
    count = bytes_per_call // SIZES[size]
    run = loops.prepare(contender, way, SIZES[size], count)
    measure(f"mask, C, {way}, {size}", contender, run, count=count)
