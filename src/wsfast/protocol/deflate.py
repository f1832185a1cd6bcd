"""Compressing and inflating messages, as permessage-deflate does it (RFC 7692, section 7.2).

Over the interface of `zlib`; where zlib-ng is installed (extra `speed`), it takes its place.

Memory: a compressor has 2^(bits + 3) bytes and some 6 KiB, an inflater 2^bits and 7 KiB, where
`bits` is the size of the window agreed on: 38 and 11 KiB for the default of 12, 262 and 39 KiB
for 15. Both are made for the first message that needs them, and let go after each message where
no context is taken over to the next. Nothing here is thread-safe.
"""

from typing import TYPE_CHECKING, Any

from wsfast.codec import Compressed
from wsfast.protocol.constants import CloseCode

zlib: Any  # two modules with one interface, of which only one has type stubs
try:
    from zlib_ng import zlib_ng

    zlib = zlib_ng
except ImportError:
    import zlib as standard

    zlib = standard

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Deflater", "InflateError", "Inflater"]

_TAIL = b"\x00\x00\xff\xff"
"""What a flush ends with; it is not sent (RFC 7692, section 7.2.1)."""

_STEP = 32 * 1024
"""Bytes to inflate at once: as much as zlib puts into one block, which needs no joining."""

_SLICE = 512
"""Bytes to look at together where one deflate stream follows another: zlib copies what it has left
at the end of each, which would take quadratic time."""


class Deflater:
    """Compresses the messages of one direction of one connection."""

    def __init__(self, window_bits: int, level: int, *, takeover: bool) -> None:
        # zlib knows no window of 256 bytes. But in one of 512 it looks back 250 at most.
        self._window_bits = max(window_bits, 9)
        self._level = level
        self._takeover = takeover
        self._state: Any = None

    def compress(self, payload: "Buffer") -> "Buffer":
        """The compressed form of a message, which may not be empty."""
        state = self._state
        if state is None:
            bits = self._window_bits
            state = zlib.compressobj(self._level, zlib.DEFLATED, -bits, bits - 7)
        self._state = None  # a failure below must not leave half a message in the context
        compressed = state.compress(payload) + state.flush(zlib.Z_SYNC_FLUSH)
        if self._takeover:
            self._state = state
        return memoryview(compressed)[: -len(_TAIL)]

    def reset(self) -> None:
        """Forgets the context, because the peer will not see the last message."""
        self._state = None


class InflateError(Exception):
    """A compressed message that fails the connection, with the close code that says so."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Inflater:
    """Inflates the messages of one direction of one connection, none beyond `limit` bytes."""

    def __init__(self, window_bits: int, limit: int, *, takeover: bool) -> None:
        self._window_bits = window_bits
        self._limit = limit
        self._takeover = takeover
        self._state: Any = None
        self._begun = False  # something of the current message has come
        self._message: bytes | bytearray = b""

    def feed(self, piece: Compressed) -> str | bytes | None:
        """Takes the next piece of a message; returns the message if that was its last.

        Raises `InflateError`, and is of no use from then on.
        """
        # Some compress an empty message to nothing, which is no deflate stream, but plain enough.
        self._begun = self._begun or piece.data != b""
        try:
            if self._begun:
                self._inflate_piece(piece.data, last=not piece.more)
        except zlib.error as error:
            text = "compressed message cannot be inflated"
            raise InflateError(CloseCode.INVALID_PAYLOAD, text) from error
        if piece.more:
            return None
        message, self._message, self._begun = self._message, b"", False
        if not self._takeover:
            self._state = None
        return _decode(message) if piece.text else bytes(message)

    def _inflate_piece(self, data: bytes, *, last: bool) -> None:
        rest = self._inflate(data + _TAIL if last else data)
        if rest is None:
            return
        # The peer has ended its stream within the message (RFC 7692, section 7.2.3.4), which is
        # rare; what follows is a new one.
        if last:
            rest = rest.removesuffix(_TAIL)
        for at in range(0, len(rest), _SLICE):
            slice_left: bytes | None = rest[at : at + _SLICE]
            while slice_left:
                slice_left = self._inflate(slice_left)
        if last and self._state is not None:
            self._inflate(_TAIL)

    def _inflate(self, data: bytes) -> bytes | None:
        """Takes all of `data`, or if its stream ends there, returns what follows in it."""
        if self._state is None:
            self._state = zlib.decompressobj(-self._window_bits)
        state = self._state
        while True:
            # One byte more than allowed is asked for, as only that tells whether there is one.
            room = self._limit - len(self._message)
            part = state.decompress(data, min(room + 1, _STEP))
            if len(part) > room:
                raise InflateError(CloseCode.MESSAGE_TOO_BIG, "message over the size limit")
            self._append(part)
            if state.eof:
                self._state = None
                rest: bytes = state.unused_data
                return rest
            data = state.unconsumed_tail
            if not data and len(part) < min(room + 1, _STEP):
                return None

    def _append(self, part: bytes) -> None:
        if not self._message:
            self._message = part  # most messages have no more
            return
        if isinstance(self._message, bytes):
            self._message = bytearray(self._message)
        self._message += part


def _decode(message: bytes | bytearray) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise InflateError(CloseCode.INVALID_PAYLOAD, "text is not UTF-8") from error
