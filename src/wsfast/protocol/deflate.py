"""Compressing and inflating messages, as permessage-deflate does it (RFC 7692, section 7.2).

Over the interface of `zlib`; where zlib-ng is installed (extra `speed`), it takes its place.

Memory, in KiB for one connection, by the binary logarithm of the window that was agreed on:

    window bits              9     12     15
    zlib, compressor        10     38    262
    zlib, inflater           8     12     40
    zlib-ng, compressor    137    160    330
    zlib-ng, inflater       41     41     41

Both are made for the first message that needs them, and let go after each message where no context
is taken over to the next. Nothing here is thread-safe.
"""

from collections.abc import Generator, Iterator
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

_SMALL = 1024
"""Bytes below which a part of a message is not worth an object of its own."""

_SLICE = 4096
"""Bytes given to zlib at once. It copies what it has left whenever it stops, at the end of a step
or of a stream, which would take quadratic time."""


class Deflater:
    """Compresses the messages of one direction of one connection."""

    def __init__(self, window_bits: int, level: int, *, takeover: bool) -> None:
        # zlib knows no window of 256 bytes. But in one of 512 it looks back 250 at most.
        self._window_bits = max(window_bits, 9)
        self._level = level
        self._takeover = takeover
        self._state: Any = None

    @property
    def parameters(self) -> tuple[int, int] | None:
        """Equal for deflaters that make the same of every message; None if one depends on those
        before it."""
        return None if self._takeover else (self._window_bits, self._level)

    def compress(self, payload: "Buffer", *, last: bool = True) -> "Buffer":
        """The compressed form of the next part of a message, all of which can be inflated.

        `last` says that it ends the message, and may be all of it.
        """
        state = self._state
        if state is None:
            bits = self._window_bits
            state = zlib.compressobj(self._level, zlib.DEFLATED, -bits, bits - 7)
        self._state = None  # a failure below must not leave half a message in the context
        compressed: bytes = state.compress(payload) + state.flush(zlib.Z_SYNC_FLUSH)
        if self._takeover or not last:
            self._state = state
        return memoryview(compressed)[: -len(_TAIL)] if last else compressed

    def reset(self) -> None:
        """Forgets the context, because the peer will not see the last message."""
        self._state = None


class InflateError(Exception):
    """A compressed message that fails the connection, with the close code that says so."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Inflater:
    """Inflates the messages of one direction of one connection: whole, and then none beyond `limit`
    bytes, or in steps."""

    def __init__(self, window_bits: int, limit: int, *, takeover: bool) -> None:
        self._window_bits = window_bits
        self._limit = limit
        self._takeover = takeover
        self._state: Any = None
        self._begun = False  # something of the current message has come
        self._parts: list[bytes | bytearray] = []
        self._size = 0  # of the parts together

    def feed(self, piece: Compressed) -> str | bytes | None:
        """Takes the next piece of a message; returns the message if that was its last.

        Raises `InflateError`, and is of no use from then on.
        """
        try:
            if self._begins(piece):
                self._inflate_piece(piece.data, last=not piece.more)
        except zlib.error as error:
            raise _malformed() from error
        if piece.more:
            return None
        message = b"".join(self._parts)
        self._parts.clear()
        self._end()
        return _decode(message) if piece.text else message

    def steps(self, piece: Compressed) -> Iterator[bytes]:
        """As `feed`, but gives what is inflated step by step, without a limit. All of it must be
        taken before the next piece comes."""
        try:
            if self._begins(piece):
                yield from self._steps_of_piece(piece.data, last=not piece.more)
        except zlib.error as error:
            raise _malformed() from error
        if not piece.more:
            self._end()

    def _begins(self, piece: Compressed) -> bool:
        """Whether anything of the message has come. Some compress an empty one to nothing, which is
        no deflate stream, but plain enough."""
        self._begun = self._begun or piece.data != b""
        return self._begun

    def _end(self) -> None:
        self._size, self._begun = 0, False
        if not self._takeover:
            self._state = None

    def _inflate_piece(self, data: bytes, *, last: bool) -> None:
        if last and len(data) <= _SLICE:
            rest = self._inflate(data + _TAIL)  # a call costs as much as a small message
            if not rest:
                return
            if len(rest) < len(_TAIL):
                raise _malformed()  # its stream has taken a part of the tail for its missing end
            data = rest[: -len(_TAIL)]
        for at in range(0, len(data), _SLICE):
            rest = data[at : at + _SLICE]
            while rest:  # a stream may end within a message (RFC 7692, section 7.2.3.4)
                rest = self._inflate(rest)
        if last and self._state is not None and self._inflate(_TAIL):
            raise _malformed()

    def _steps_of_piece(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        for at in range(0, len(data), _SLICE):
            rest = data[at : at + _SLICE]
            while rest:
                rest = yield from self._steps(rest)
        if last and self._state is not None and (yield from self._steps(_TAIL)):
            raise _malformed()

    def _steps(self, data: bytes) -> Generator[bytes, None, bytes]:
        """As `_inflate`."""
        state = self._current_state()
        while True:
            part = state.decompress(data, _STEP)
            if part:
                yield part
            if state.eof:
                self._state = None
                rest: bytes = state.unused_data
                return rest
            data = state.unconsumed_tail
            if not data and len(part) < _STEP:
                return b""

    def _current_state(self) -> Any:
        if self._state is None:
            self._state = zlib.decompressobj(-self._window_bits)
        return self._state

    def _inflate(self, data: bytes) -> bytes:
        """Takes all of `data`, or if its stream ends there, returns what follows in it."""
        state = self._current_state()
        while True:
            # One byte more than allowed is asked for, as only that tells whether there is one.
            room = self._limit - self._size
            part = state.decompress(data, min(room + 1, _STEP))
            if len(part) > room:
                raise InflateError(CloseCode.MESSAGE_TOO_BIG, "message over the size limit")
            if part:
                self._append(part)
            if state.eof:
                self._state = None
                rest: bytes = state.unused_data
                return rest
            data = state.unconsumed_tail
            if not data and len(part) < min(room + 1, _STEP):
                return b""

    def _append(self, part: bytes) -> None:
        """Small parts are gathered: a million of them would take many times their size."""
        self._size += len(part)
        last = self._parts[-1] if self._parts else b""
        if len(part) >= _SMALL or not last:
            self._parts.append(part)
        elif isinstance(last, bytearray) and len(last) < _STEP:
            last += part
        else:
            self._parts.append(bytearray(part))


def _malformed() -> InflateError:
    return InflateError(CloseCode.INVALID_PAYLOAD, "compressed message cannot be inflated")


def _decode(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise InflateError(CloseCode.INVALID_PAYLOAD, "text is not UTF-8") from error
