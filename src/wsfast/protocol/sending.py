"""Messages out: which frames they become, compressed or not, whole or in fragments.

The sending half of `wsfast.protocol.connection`, which knows whether anything may be sent at all.
Nothing here is thread-safe, but for the outbox.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from wsfast.codec import Outbox
from wsfast.protocol.constants import Opcode
from wsfast.protocol.deflate import Deflater

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Chunks", "Fragment", "Outgoing", "Splitter", "check_chunks", "fragments"]

Chunks: TypeAlias = "Iterable[str] | Iterable[Buffer]"


Form: TypeAlias = tuple[int, ...]


class Fragment(NamedTuple):
    """What goes into one frame of a message."""

    payload: bytes
    text: bool
    """Whether the message is text."""
    last: bool


def fragments(chunks: Chunks, text: bool | None) -> Iterator[Fragment]:
    """The fragments of one message, at least one of them; see `Connection.send_fragments`.

    Each is made once the chunk after it is there, and is a copy of its own unless the chunk cannot
    change. Raises `TypeError` at once for what are no chunks, and later for a wrong one;
    `ValueError` for text that has no UTF-8 form.
    """
    check_chunks(chunks)
    return _fragments(iter(chunks), text)


def check_chunks(chunks: object) -> None:
    """Raises `TypeError` for what is a message, and no iterable of its chunks."""
    if isinstance(chunks, str) or _is_buffer(chunks):
        kind = type(chunks).__name__
        raise TypeError(f"chunks: an iterable of chunks is needed, not one {kind}; see send")


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value).release()  # type: ignore[arg-type] # whether it is one is the question
    except TypeError:
        return False
    return True


def _fragments(chunks: "Iterator[str | Buffer]", text: bool | None) -> Iterator[Fragment]:
    splitter = Splitter(text)
    for chunk in chunks:
        fragment = splitter.add(chunk)
        if fragment is not None:
            yield fragment
    yield splitter.end()


class Splitter:
    """The same for chunks that come one by one, from wherever. `text` as there."""

    def __init__(self, text: bool | None) -> None:
        self._text = text
        self._before: bytes | None = None

    def add(self, chunk: "str | Buffer") -> Fragment | None:
        """Takes the next chunk, and gives the fragment that the one before it is."""
        if self._text is None:
            self._text = isinstance(chunk, str)
        payload = _chunk_payload(chunk, self._text)
        before, self._before = self._before, payload
        return None if before is None else Fragment(before, self._text, last=False)

    def end(self) -> Fragment:
        """The last fragment, once there are no more chunks."""
        return Fragment(self._before or b"", bool(self._text), last=True)


def _chunk_payload(chunk: "str | Buffer", text: bool) -> bytes:
    if isinstance(chunk, str) is not text:
        wanted = "str" if text else "bytes-like"
        raise TypeError(f"chunks: all must be {wanted}, not {type(chunk).__name__}")
    if isinstance(chunk, str):
        return chunk.encode()
    return chunk if type(chunk) is bytes else memoryview(chunk).tobytes()


class Outgoing:
    """The messages of one direction of one connection. A method that raises has sent nothing."""

    def __init__(self, outbox: Outbox, compression_threshold: int, *, masked: bool = False) -> None:
        """`masked`: the outbox is a client's."""
        self.outbox = outbox
        self._masked = masked
        self._threshold = compression_threshold
        self._deflater: Deflater | None = None
        self._open = False
        self._begun = False  # a message of which further fragments are to come

    def set_open(self, value: bool) -> None:
        """Says whether the connection is open."""
        self._open = value
        self._tell_outbox()

    def compress(self, deflater: Deflater) -> None:
        """From now on, messages are compressed."""
        self._deflater = deflater

    @property
    def fragmenting(self) -> bool:
        """Whether a message has begun to be sent in fragments, and is not at its end."""
        return self._begun

    def _tell_outbox(self) -> None:
        self.outbox.open = self._open and self._deflater is None and not self._begun

    def message(self, data: "str | Buffer") -> None:
        """Frames a message. Raises `RuntimeError` within another that is sent in fragments."""
        if self._begun:
            raise RuntimeError("a message that is sent in fragments has not come to its end")
        if self._deflater is None:
            self.outbox.message(data)
        else:
            self._compressed(*_to_payload(data), self._deflater)

    def _compressed(
        self, opcode: Opcode, payload: "bytes | memoryview", deflater: Deflater
    ) -> None:
        if len(payload) < self._threshold:
            self.outbox.frame(opcode, payload)
            return
        try:
            self.outbox.frame(opcode, deflater.compress(payload), rsv1=True)
        except BaseException:
            deflater.reset()
            raise

    @property
    def form(self) -> Form | None:
        """What tells the frame that a message becomes: equal for connections of servers on which it
        is the same. None where each message has a form of its own, or none can be sent now."""
        if self._begun or self._masked:
            return None
        if self._deflater is None:
            return ()
        return self._deflater.parameters and (*self._deflater.parameters, self._threshold)

    def framed(self, data: "str | Buffer") -> bytes:
        """The frame of a message on all connections that have the same `form`. Sends nothing."""
        apart = Outgoing(Outbox(server=True), self._threshold)
        apart._deflater = self._deflater  # which keeps nothing from one message to the next
        apart.message(data)
        return apart.outbox.take()

    def fragment(self, fragment: Fragment) -> None:
        """Frames the next fragment, the first one of a message unless that is `fragmenting`.

        One that is the first and the last is a message as any other. All others are compressed if
        that was agreed on, whatever the threshold: nobody knows how much is to come.
        """
        opcode = Opcode.TEXT if fragment.text else Opcode.BINARY
        begins, deflater = not self._begun, self._deflater
        if begins and fragment.last:
            if deflater is None:
                self.outbox.frame(opcode, fragment.payload)
            else:
                self._compressed(opcode, fragment.payload, deflater)
            return
        self._begun = True
        self._tell_outbox()  # first: what others add from now on would come between
        try:
            self.outbox.frame(
                opcode if begins else Opcode.CONTINUATION,
                fragment.payload
                if deflater is None
                else deflater.compress(fragment.payload, last=fragment.last),
                fin=fragment.last,
                rsv1=begins and deflater is not None,
            )
        except BaseException:
            if deflater is not None:
                deflater.reset()
            self._begun = not begins
            self._tell_outbox()
            raise
        if fragment.last:
            self._begun = False
            self._tell_outbox()


def _to_payload(data: "str | Buffer") -> "tuple[Opcode, bytes | memoryview]":
    if isinstance(data, str):
        return Opcode.TEXT, data.encode()
    view = memoryview(data)
    return Opcode.BINARY, view.cast("B") if view.c_contiguous else view.tobytes()
