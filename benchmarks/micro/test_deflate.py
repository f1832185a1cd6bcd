"""permessage-deflate on JSON-like text, context kept: a `str` to the bytes of its frame, and back.

Each contender with every library that it can compress with. What it leaves of the text stands
beside its time, for a fast one may compress little. The messages differ, and are more than any
window holds, so that no contender sees one again; they are inflated from one stream that zlib has
made (level 6, 32 KiB window).
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from micro_peers import (
    LIMIT,
    Message,
    aiohttp_decoder,
    aiohttp_writer,
    installed,
    optional,
    websockets_decoder,
    websockets_encoder,
    wsproto_decoder,
    wsproto_encoder,
)
from micro_wire import TEXT, compressed_frame, json_messages

from wsfast.protocol import deflate
from wsfast.protocol.connection import Connection
from wsfast.protocol.options import client_options, server_options
from wsfast.protocol.url import parse_url

SIZES = {"1 KiB": (1 << 10, 64), "64 KiB": (64 << 10, 6)}
"""Bytes of a message, and how many there are."""

BACKENDS = {"zlib": "zlib", "zlib-ng": "zlib_ng.zlib_ng", "isal": "isal.isal_zlib"}

Run = Callable[[], list[Any]]
"""Compresses all messages and returns their frames, or inflates all and returns them."""


# -------------------------------------------------------------- wsfast


def wsfast_connection(level: int, bits: int) -> Connection:
    """A client that has agreed on compression."""
    options = {"compression": 1, "compression_level": level, "compression_window_bits": bits}
    client = Connection.client(parse_url("ws://localhost/"), client_options(**options), 0.0)
    server = Connection.server(server_options(**options), 0.0)
    server.feed(client.data_to_send(), 0.0)
    server.accept(0.0)
    client.feed(server.data_to_send(), 0.0)
    assert client.compressed
    return client


def wsfast_compress(messages: list[str], level: int, bits: int) -> Run:
    connection = wsfast_connection(level, bits)

    def run() -> list[bytes]:
        frames = []
        for message in messages:
            connection.send(message)
            frames.append(connection.data_to_send())
        return frames

    return run


def wsfast_inflate(frames: list[bytes]) -> Run:
    connection = wsfast_connection(6, 15)

    def run() -> list[Message]:
        messages: list[Message] = []
        for frame in frames:
            messages += connection.feed(frame, 0.0)
        return messages

    return run


# -------------------------------------------------------------- peers


def websockets_extension(**settings: int) -> Any:
    from websockets.extensions.permessage_deflate import PerMessageDeflate

    bits = settings.pop("bits", 15)
    return PerMessageDeflate(False, False, bits, bits, settings)


def websockets_compress(messages: list[str], **settings: int) -> Run:
    encode = websockets_encoder(server=False, extensions=[websockets_extension(**settings)])
    return lambda: [b"".join(encode(message)) for message in messages]


def websockets_inflate(frames: list[bytes]) -> Run:
    decode = websockets_decoder(server=False, extensions=[websockets_extension()])
    return lambda: [decode([frame])[0] for frame in frames]


def wsproto_extension() -> Any:
    from wsproto.extensions import PerMessageDeflate

    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    return extension


def wsproto_compress(messages: list[str]) -> Run:
    encode = wsproto_encoder(server=False, extensions=[wsproto_extension()])
    return lambda: [encode(message) for message in messages]


def wsproto_inflate(frames: list[bytes]) -> Run:
    decode = wsproto_decoder(server=False, extensions=[wsproto_extension()])
    return lambda: [decode([frame])[0] for frame in frames]


@pytest.fixture
def aiohttp_backend() -> Iterator[Callable[[str], None]]:
    """Sets what aiohttp compresses with, by the call that it documents."""

    def choose(name: str) -> None:
        import aiohttp

        aiohttp.set_zlib_backend(optional(BACKENDS[name]))

    yield choose
    if installed("aiohttp"):
        choose("zlib")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def aiohttp_compress(messages: list[str], loop: asyncio.AbstractEventLoop) -> Run:
    """Inside a running loop, as it compresses large messages on another thread."""
    written: list[bytes] = []

    class Transport:
        def write(self, data: bytes) -> None:
            written.append(data)

        def is_closing(self) -> bool:
            return False

    async def make() -> Any:
        return aiohttp_writer(Transport(), server=False, compress=15)

    writer = loop.run_until_complete(make())

    async def send() -> None:
        for message in messages:
            await writer.send_frame(message.encode(), TEXT)

    def run() -> list[bytes]:
        written.clear()
        loop.run_until_complete(send())
        return written

    return run


def aiohttp_inflate(frames: list[bytes]) -> Run:
    decode = aiohttp_decoder(server=False, compress=True)
    return lambda: [decode([frame])[0] for frame in frames]


# -------------------------------------------------------------- compressing

OURS = {
    f"wsfast, {backend}, level {level}, window {bits}": (backend, level, bits)
    for backend in ("zlib", "zlib-ng")
    for level, bits in ((1, 15), (3, 15), (6, 12), (6, 15))
}
THEIRS = [
    *(f"aiohttp, {backend}" for backend in BACKENDS),
    "websockets",
    "websockets, level 1, window 15",
    "wsproto",
]


def need_backend(name: str) -> None:
    if optional(BACKENDS[name]) is None:
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contender", [*OURS, *THEIRS])
def test_compress(
    contender: str,
    size: str,
    measure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    aiohttp_backend: Callable[[str], None],
    loop: asyncio.AbstractEventLoop,
) -> None:
    messages = json_messages(*SIZES[size])
    name, _, backend = contender.partition(", ")
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    if name == "wsfast":
        backend, level, bits = OURS[contender]
        need_backend(backend)
        monkeypatch.setattr(deflate, "zlib", optional(BACKENDS[backend]))
        run = wsfast_compress(messages, level, bits)
    elif name == "aiohttp":
        need_backend(backend)
        aiohttp_backend(backend)
        run = aiohttp_compress(messages, loop)
    elif contender == "websockets":
        run = websockets_compress(messages, bits=12, memLevel=5)  # what it does unless told
    elif name == "websockets":
        run = websockets_compress(messages, level=1)
    else:
        run = wsproto_compress(messages)
    left = sum(map(len, run())) / sum(map(len, messages))
    measure(f"deflate, {size}", contender, run, count=len(messages), left=round(left, 3))


# -------------------------------------------------------------- inflating


def stream(messages: list[str]) -> list[bytes]:
    state = zlib.compressobj(6, zlib.DEFLATED, -15)
    return [
        compressed_frame((state.compress(text.encode()) + state.flush(zlib.Z_SYNC_FLUSH))[:-4])
        for text in messages
    ]


INFLATERS = [
    *(f"wsfast, {backend}" for backend in ("zlib", "zlib-ng")),
    *(f"aiohttp, {backend}" for backend in BACKENDS),
    "websockets",
    "wsproto",
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contender", INFLATERS)
def test_inflate(
    contender: str,
    size: str,
    measure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    aiohttp_backend: Callable[[str], None],
) -> None:
    messages = json_messages(*SIZES[size])
    assert sum(map(len, messages)) < LIMIT
    frames = stream(messages)
    name, _, backend = contender.partition(", ")
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    if backend:
        need_backend(backend)
    if name == "wsfast":
        monkeypatch.setattr(deflate, "zlib", optional(BACKENDS[backend]))
        run = wsfast_inflate(frames)
    elif name == "aiohttp":
        aiohttp_backend(backend)
        run = aiohttp_inflate(frames)
    else:
        run = {"websockets": websockets_inflate, "wsproto": wsproto_inflate}[name](frames)
    assert run() == messages
    measure(f"inflate, {size}", contender, run, count=len(frames))
