"""The messages of all scenarios: what clients send, and what the load program floods them with."""

import json
import random
import struct
import zlib

VARIED = 64
"""How many different messages there are where they are compressed."""

FLOOD_BLOCK = 256 * 1024
"""Bytes from which on a block of frames repeats itself."""

TEXT, BINARY, FIN, RSV1 = 1, 2, 0x80, 0x40


def plain(kind: str, size: int) -> str | bytes:
    """A message of that many bytes; text is ASCII, as most of it is."""
    letters = b"The quick brown fox jumps over the lazy dog. "
    data = (letters * (size // len(letters) + 1))[:size]
    return data.decode() if kind == "text" else data


def varied(size: int) -> list[str]:
    """JSON texts of about that many bytes: quotes, as an exchange sends them."""
    rng = random.Random(size)
    return [_quotes(rng, size) for _ in range(VARIED)]


def _quotes(rng: random.Random, size: int) -> str:
    text = "["
    while len(text) < size:
        quote = {
            "symbol": rng.choice(["BTC-USD", "ETH-USD", "SOL-EUR", "XRP-USD"]),
            "time": 1_700_000_000_000 + rng.randrange(10**9),
            "price": round(rng.uniform(10, 70_000), 2),
            "quantity": round(rng.uniform(0, 20), 6),
            "side": rng.choice(["buy", "sell"]),
            "maker": rng.random() < 0.5,
        }
        text += json.dumps(quote) + ","
    return text[: size - 1] + "]"


def messages(kind: str, size: int, *, deflate: bool) -> list[str] | list[str | bytes]:
    return varied(size) if deflate else [plain(kind, size)]


def frames(kind: str, size: int, *, deflate: bool) -> bytes:
    """A block of frames as a server sends them, which may be sent over and over.

    Compressed with context takeover, it begins with an empty context: what a later round refers to
    never reaches back beyond its own beginning.
    """
    opcode = TEXT if kind == "text" else BINARY
    if not deflate:
        data = plain(kind, size)
        one = _frame(FIN | opcode, data.encode() if isinstance(data, str) else data)
        return one * max(1, FLOOD_BLOCK // len(one))
    compressor = zlib.compressobj(level=6, wbits=-15, memLevel=8)
    block = b""
    for text in varied(size):
        data = compressor.compress(text.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
        block += _frame(FIN | RSV1 | opcode, data.removesuffix(b"\x00\x00\xff\xff"))
    return block


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
