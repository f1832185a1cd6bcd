"""A decoder as RFC 6455 reads, slow and plain: it looks at the whole stream at once.

What `decode` returns for a beginning of a stream is what a decoder must have returned by then.
"""

import codecs
import struct
from dataclasses import dataclass

from codec_wire import CLOSE, CONTINUATION, PING, TEXT, mask

from wsfast.codec import Close, Failure, Ping, Pong

Event = str | bytes | Ping | Pong | Close | Failure

RULES = {
    "reserved bits set": 1002,
    "reserved opcode": 1002,
    "client frame not masked": 1002,
    "server frame masked": 1002,
    "length not in its shortest form": 1002,
    "length over 63 bits": 1002,
    "control frame over 125 bytes": 1002,
    "fragmented control frame": 1002,
    "continuation without a message": 1002,
    "new message inside a fragmented one": 1002,
    "close payload of one byte": 1002,
    "invalid close code": 1002,
    "close reason is not UTF-8": 1007,
    "text is not UTF-8": 1007,
    "message over the size limit": 1009,
    "message in too many fragments": 1009,
}


class Violation(Exception):
    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.failure = Failure(RULES[rule], rule)


class Incomplete(Exception):
    pass


@dataclass
class Frame:
    fin: bool
    opcode: int
    length: int
    key: bytes
    start: int  # of the payload


@dataclass
class Limits:
    message: int = 16777216
    fragments: int = 131072


def decode(stream: bytes, *, server: bool, limits: Limits | None = None) -> list[Event]:
    """All events of this beginning of a stream."""
    return _Reader(stream, server, limits or Limits()).read()


def decode_next(
    stream: bytes, seen: int, *, server: bool, limits: Limits | None = None
) -> list[Event]:
    """What a decoder that has seen the first bytes of a stream returns for the others."""
    before = decode(stream[:seen], server=server, limits=limits)
    if before and isinstance(before[-1], Failure):
        return before[-1:]
    return decode(stream, server=server, limits=limits)[len(before) :]


def close_code_is_valid(code: int) -> bool:
    return code in range(3000, 5000) or code in {
        *(1000, 1001, 1002, 1003),
        *(1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014),
    }


class _Reader:
    def __init__(self, stream: bytes, server: bool, limits: Limits) -> None:
        self.stream, self.server, self.limits = stream, server, limits
        self.at = 0
        self.events: list[Event] = []
        self.pieces: list[bytes] | None = None  # of the message in progress
        self.is_text = False

    def read(self) -> list[Event]:
        try:
            while not (self.events and isinstance(self.events[-1], Close)):
                self.read_frame()
        except Incomplete:
            pass
        except Violation as violation:
            self.events.append(violation.failure)
        return self.events

    def read_frame(self) -> None:
        frame = self.read_header()
        payload = self.stream[frame.start : frame.start + frame.length]
        if self.server:
            payload = mask(payload, frame.key)
        whole = len(payload) == frame.length
        if frame.opcode & 8:
            if not whole:
                raise Incomplete
            self.events.append(self.control(frame.opcode, payload))
        else:
            self.data(frame, payload, whole)
        self.at = frame.start + frame.length

    def take(self, at: int, size: int) -> bytes:
        if at + size > len(self.stream):
            raise Incomplete
        return self.stream[at : at + size]

    def read_header(self) -> Frame:
        first, second = self.take(self.at, 2)
        fin, rsv, opcode = bool(first & 0x80), first >> 4 & 7, first & 15
        masked, length = bool(second & 0x80), second & 0x7F
        self.check_start(fin, rsv, opcode, length)
        if masked != self.server:
            raise Violation("server frame masked" if masked else "client frame not masked")
        at = self.at + 2
        if length >= 126:
            size, shortest = (2, 126) if length == 126 else (8, 65536)
            length = int.from_bytes(self.take(at, size), "big")
            at += size
            if length >= 1 << 63:
                raise Violation("length over 63 bits")
            if length < shortest:
                raise Violation("length not in its shortest form")
        key = self.take(at, 4) if masked else b""
        return Frame(fin, opcode, length, key, at + len(key))

    def check_start(self, fin: bool, rsv: int, opcode: int, length: int) -> None:
        if rsv:
            raise Violation("reserved bits set")
        if opcode not in (0, 1, 2, 8, 9, 10):
            raise Violation("reserved opcode")
        if opcode & 8:
            if not fin:
                raise Violation("fragmented control frame")
            if length > 125:
                raise Violation("control frame over 125 bytes")
            if opcode == CLOSE and length == 1:
                raise Violation("close payload of one byte")
        elif opcode == CONTINUATION and self.pieces is None:
            raise Violation("continuation without a message")
        elif opcode != CONTINUATION and self.pieces is not None:
            raise Violation("new message inside a fragmented one")

    def control(self, opcode: int, payload: bytes) -> Event:
        if opcode != CLOSE:
            return Ping(payload) if opcode == PING else Pong(payload)
        if not payload:
            return Close(1005, "")
        (code,) = struct.unpack(">H", payload[:2])
        if not close_code_is_valid(code):
            raise Violation("invalid close code")
        try:
            return Close(code, payload[2:].decode())
        except UnicodeDecodeError:
            raise Violation("close reason is not UTF-8") from None

    def data(self, frame: Frame, payload: bytes, whole: bool) -> None:
        if self.pieces is None:
            self.pieces = []
            self.is_text = frame.opcode == TEXT
        if self.limits.fragments and len(self.pieces) + 1 > self.limits.fragments:
            raise Violation("message in too many fragments")
        size = sum(map(len, self.pieces)) + frame.length
        if size > (self.limits.message or (1 << 63) - 1):
            raise Violation("message over the size limit")
        self.pieces.append(payload)
        message = b"".join(self.pieces)
        if self.is_text:
            self.check_text(message, final=whole and frame.fin)
        if not whole:
            raise Incomplete
        if frame.fin:
            self.pieces = None
            self.events.append(message.decode() if self.is_text else message)

    def check_text(self, message: bytes, *, final: bool) -> None:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(message, final)
        except UnicodeDecodeError:
            raise Violation("text is not UTF-8") from None
