"""Frames and payloads that the cases have in common, made without any of the contenders."""

import json
import random
import struct
from collections.abc import Sequence

TEXT, BINARY = 1, 2
KEY = bytes.fromhex("37fa213d")

SIZES = {"32 B": 32, "256 B": 256, "4 KiB": 4 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20}

Message = str | bytes


def frame(message: Message, *, masked: bool) -> bytes:
    """A message in one frame (RFC 6455, section 5.2)."""
    payload = message.encode() if isinstance(message, str) else message
    head = bytes([0x80 | (TEXT if isinstance(message, str) else BINARY)])
    return head + _length(len(payload), masked=masked) + (_mask(payload) if masked else payload)


def fragments(text: bytes, size: int) -> list[bytes]:
    """A text in unmasked frames of `size` bytes each; a character may lie in two of them."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    last = len(parts) - 1
    return [
        bytes([(0x80 if i == last else 0) | (0 if i else TEXT)])
        + _length(len(part), masked=False)
        + part
        for i, part in enumerate(parts)
    ]


def compressed_frame(payload: bytes) -> bytes:
    """A text that a server has compressed (RFC 7692, section 6)."""
    return bytes([0xC0 | TEXT]) + _length(len(payload), masked=False) + payload


def _length(size: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes([bit | size])
    if size < 1 << 16:
        return struct.pack("!BH", bit | 126, size)
    return struct.pack("!BQ", bit | 127, size)


def _mask(payload: bytes) -> bytes:
    size = len(payload)
    key = int.from_bytes((KEY * (size // 4 + 1))[:size])
    return KEY + (int.from_bytes(payload) ^ key).to_bytes(size)


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def message(size: int, *, text: bool) -> Message:
    if not text:
        return random.Random(size).randbytes(size)
    return ("plain words, as most text is. " * (size // 30 + 1))[:size]


def json_messages(size: int, count: int) -> list[str]:
    """Texts of exactly `size` bytes, each with other values: as a feed sends them."""
    return [_json(size, seed) for seed in range(count)]


def _json(size: int, seed: int) -> str:
    chance = random.Random(seed)
    parts: list[str] = []
    while sum(map(len, parts)) + len(parts) < size:
        entry = {
            "id": chance.randrange(10**9),
            "symbol": chance.choice(["BTC-USD", "ETH-USD", "SOL-EUR", "ADA-USD"]),
            "price": round(chance.uniform(1, 60_000), 2),
            "quantity": round(chance.random() * 10, 4),
            "side": chance.choice(["buy", "sell"]),
            "time": 1_700_000_000_000 + chance.randrange(10**9),
            "maker": chance.random() < 0.5,
        }
        parts.append(json.dumps(entry))
    return ("[" + ",".join(parts))[: size - 1] + "]"


def total(messages: Sequence[Message]) -> int:
    return sum(len(each.encode() if isinstance(each, str) else each) for each in messages)
