"""Memory disclosure: whatever buffer is given to send, its own bytes go out or none."""

import array
import ctypes
import mmap
import struct
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import BINARY, CLOSE, RawServer, RawServerPeer, close_frame

import wsfast


@pytest.fixture
def sends(raw_server: Callable[..., RawServer], dial: Any) -> Callable[..., list[bytes]]:
    """`sends(*data)`: the payloads of binary messages that a peer receives for them."""

    def serve(peer: RawServerPeer) -> list[bytes]:
        peer.upgrade()
        payloads = []
        received = peer.read_frame()
        while received.opcode != CLOSE:
            assert received.opcode == BINARY
            payloads.append(received.payload)
            received = peer.read_frame()
        peer.send(close_frame(1000))
        return payloads

    def send(*data: Any) -> list[bytes]:
        server = raw_server(serve)
        connection = dial(server.url)
        for one in data:
            connection.send(one)
        connection.close()
        payloads: list[bytes] = server.result()
        return payloads

    return send


class Structure(ctypes.Structure):
    _fields_ = (("small", ctypes.c_uint8), ("large", ctypes.c_uint32))


BYTES = bytes(range(256)) * 300
FLOATS = array.array("d", [1.5, -2.25, 1e300])

BUFFERS: dict[str, tuple[Any, bytes]] = {
    "bytes": (BYTES, BYTES),
    "bytearray": (bytearray(BYTES), BYTES),
    "empty": (b"", b""),
    "an empty view": (memoryview(BYTES)[5:5], b""),
    "a read-only view": (memoryview(BYTES), BYTES),
    "a part": (memoryview(BYTES)[3:1003], BYTES[3:1003]),
    "every third byte": (memoryview(BYTES)[::3], BYTES[::3]),
    "backwards": (memoryview(BYTES)[::-1], BYTES[::-1]),
    "backwards in steps": (memoryview(BYTES)[70_000:3:-7], BYTES[70_000:3:-7]),
    "floats": (FLOATS, FLOATS.tobytes()),
    "every other float": (memoryview(FLOATS)[::2], struct.pack("dd", 1.5, 1e300)),
    "two dimensions": (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    "unsigned longs": (array.array("Q", [2**64 - 1, 1]), struct.pack("QQ", 2**64 - 1, 1)),
    "a structure": (Structure(1, 2), bytes(Structure(1, 2))),
    "an array of C": ((ctypes.c_char * 3)(b"a", b"b", b"c"), b"abc"),
}


@pytest.mark.parametrize(("data", "payload"), BUFFERS.values(), ids=BUFFERS)
def test_the_bytes_of_a_buffer(
    data: Any, payload: bytes, sends: Callable[..., list[bytes]]
) -> None:
    assert sends(data, b"and after it") == [payload, b"and after it"]


def test_a_mapped_file(tmp_path: Any, sends: Callable[..., list[bytes]]) -> None:
    path = tmp_path / "data"
    path.write_bytes(BYTES)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sends(mapped) == [BYTES]


def released() -> memoryview:
    view = memoryview(bytearray(100))
    view.release()
    return view


def closed_map() -> mmap.mmap:
    mapped = mmap.mmap(-1, 4096)
    mapped.close()
    return mapped


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (1.5, TypeError),
        (10**6, TypeError),  # bytes(10**6) would be a million zeros
        (True, TypeError),
        ([1, 2, 3], TypeError),
        (range(5), TypeError),
        (released(), ValueError),
        (closed_map(), ValueError),
    ],
)
def test_what_has_no_bytes(
    data: Any, error: type[Exception], open_echo: Callable[..., tuple[int, Any]]
) -> None:
    number, recorder = open_echo()
    with pytest.raises(error):
        wsfast.send(number, data)
    assert wsfast.send(number, b"still there")
    assert recorder.wait_messages(1) == [b"still there"]


def test_what_waits_in_the_queue_is_a_copy(raw_server: Callable[..., RawServer], dial: Any) -> None:
    def serve(peer: RawServerPeer) -> list[bytes]:
        peer.upgrade()
        return [peer.read_frame().payload for _ in range(200)]

    server = raw_server(serve, receive_buffer=4096)
    connection = dial(server.url)
    data = bytearray(b"xxxxx" + b"y" * 20_000)
    for i in range(200):
        data[:5] = b"%5d" % i
        connection.send(data)
    data.extend(b"and may grow: nothing holds on to it")
    assert server.result() == [b"%5d" % i + b"y" * 20_000 for i in range(200)]


def test_messages_hold_what_came_and_no_more(
    raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    """Long messages, then short ones through the same memory."""

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        for size in 70_000, 1, 5000, 0, 10, 200_000, 3:
            peer.send(b"\x82" + _length(size) + bytes([size % 251]) * size)
        peer.send(close_frame(1000))
        peer.read_close()

    wsfast.connect(raw_server(serve).url, **recorder.callbacks)
    recorder.wait_closed()
    assert recorder.messages == [
        bytes([size % 251]) * size for size in (70_000, 1, 5000, 0, 10, 200_000, 3)
    ]


def _length(size: int) -> bytes:
    if size < 126:
        return bytes([size])
    return b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
