"""Frames byte by byte, and ways to hand a stream to a decoder. Shares no code with the codec."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wsfast.codec import Decoder, Failure

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CONTROLS = (CLOSE, PING, PONG)
KEY = bytes.fromhex("37fa213d")


def mask(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def length_field(length: int, form: int | None = None) -> bytes:
    """The length with its mask bit clear; `form` (0, 2 or 8 bytes) may ask for a longer one."""
    if form is None:
        form = 0 if length < 126 else 2 if length < 65536 else 8
    if form == 0:
        return bytes([length])
    return bytes([126 if form == 2 else 127]) + length.to_bytes(form, "big")


def header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    field = length_field(length, form)
    if key is not None:
        field = bytes([field[0] | 0x80]) + field[1:] + key
    return bytes([fin << 7 | rsv << 4 | opcode]) + field


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    head = header(opcode, len(payload), fin=fin, rsv=rsv, key=key, form=form)
    return head + (payload if key is None else mask(payload, key))


def key_for(server: bool) -> bytes | None:
    """What masks the frames that a decoder of this role accepts."""
    return KEY if server else None


def fragments(opcode: int, pieces: Sequence[bytes], *, key: bytes | None = None) -> bytes:
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if i else opcode, piece, fin=i == last, key=key)
        for i, piece in enumerate(pieces)
    )


class ParsedFrame(NamedTuple):
    start: int  # the first byte: FIN, RSV and opcode
    key: bytes | None
    payload: bytes  # unmasked


def parse_frames(stream: bytes) -> list[ParsedFrame]:
    """The frames of a stream of whole frames, without a look at what they mean."""
    frames = []
    at = 0
    while at < len(stream):
        start, second = stream[at : at + 2]
        at += 2
        length = second & 0x7F
        if length >= 126:
            form = 2 if length == 126 else 8
            length = int.from_bytes(stream[at : at + form], "big")
            at += form
        key = None
        if second & 0x80:
            key = stream[at : at + 4]
            at += 4
        payload = stream[at : at + length]
        if len(payload) < length:
            raise ValueError("the last frame is not whole")
        frames.append(ParsedFrame(start, key, payload if key is None else mask(payload, key)))
        at += length
    return frames


def cut(stream: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """The stream in the chunks between the given places (multiples of them make empty chunks)."""
    at = 0
    for place in [*sorted(places), len(stream)]:
        yield stream[at:place]
        at = place


def feed(decoder: Decoder, chunks: Iterable[bytes]) -> list[object]:
    """All events that `feed` returns."""
    return _without_repeats(decoder.feed(chunk) for chunk in chunks)


def receive(decoder: Decoder, chunks: Iterable[bytes]) -> list[object]:
    """All events that `received` returns, each chunk written to as many buffers as it takes."""
    return _without_repeats(events for chunk in chunks for events in receive_chunk(decoder, chunk))


def receive_chunk(decoder: Decoder, chunk: bytes) -> Iterator[list[object]]:
    """The lists that `received` returns: one, if the buffer has room for the chunk."""
    at = 0
    while True:
        view = decoder.get_buffer()
        size = min(len(view), len(chunk) - at)
        view[:size] = chunk[at : at + size]
        at += size
        yield list(decoder.received(size))
        if at == len(chunk):
            break


def _without_repeats(lists: Iterable[list[object]]) -> list[object]:
    events: list[object] = []
    for some in lists:
        if events and isinstance(events[-1], Failure):
            if some not in ([events[-1]], []):
                raise AssertionError(f"{some} after {events[-1]}")
        else:
            events += some
    return events


WAYS = (feed, receive)
