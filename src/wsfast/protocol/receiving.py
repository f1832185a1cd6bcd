"""Messages in: what the decoder gives, inflated; whole, or part by part.

The receiving half of `wsfast.protocol.connection`. Nothing here is thread-safe.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from wsfast.codec import Close, Compressed, Failure, Piece, Ping, Pong
from wsfast.protocol.constants import CloseCode
from wsfast.protocol.deflate import InflateError, Inflater
from wsfast.protocol.messages import Message

__all__ = ["Decoded", "Event", "Part", "Streaming", "whole_messages"]

Event: TypeAlias = str | bytes | Piece | Compressed | Ping | Pong | Close | Failure
"""What the decoder gives."""

AT_ONCE = 64 * 1024
"""Bytes of parts after which no more are made until they are asked for: as much as is received at
once, however much more it holds when it is inflated."""

_ENOUGH = 32 * 1024
"""Bytes from which on what was inflated is given on, so that there are few parts."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message that is received as a stream: whole characters of text, or bytes."""

    data: Message
    size: int
    """In bytes."""
    more: bool
    """Whether further parts follow; one that none follows may be empty."""


Decoded: TypeAlias = str | bytes | Part | Ping | Pong | Close | Failure
"""The same, inflated."""


def whole_messages(events: Iterable[Event], inflater: Inflater | None) -> Iterator[Decoded]:
    """What a decoder gives that gathers messages. Raises `InflateError`."""
    for event in events:
        if isinstance(event, Compressed):
            assert inflater is not None  # or the decoder would have refused it
            message = inflater.feed(event)
            if message is not None:
                yield message
        else:
            assert not isinstance(event, Piece)
            yield event


class Streaming:
    """Makes parts of what a decoder gives that gathers nothing, and no more at once than a little.

    A message that came whole stays as it is.
    """

    def __init__(self) -> None:
        self._coming: Iterator[Decoded] = iter(())
        self._text: codecs.IncrementalDecoder | None = None  # of the text that is being received
        self.held_back = False
        """Whether there may be more of what was given to `add`, to be taken first."""

    def add(self, events: Iterable[Event], inflater: Inflater | None) -> None:
        """What was added before must have been taken."""
        self._coming = self._decoded(events, inflater)

    def take(self) -> Iterator[Decoded]:
        """The next of it. Raises `InflateError`, after which nothing is held back."""
        self.held_back = False
        made = 0
        for event in self._coming:
            yield event
            made += event.size if isinstance(event, Part) else 0
            if made >= AT_ONCE:
                self.held_back = True
                return

    def _decoded(self, events: Iterable[Event], inflater: Inflater | None) -> Iterator[Decoded]:
        for event in events:
            if isinstance(event, Piece):
                yield from self._parts(event.data, event)
            elif isinstance(event, Compressed):
                assert inflater is not None  # or the decoder would have refused it
                yield from self._inflated(event, inflater)
            else:
                yield event

    def _inflated(self, piece: Compressed, inflater: Inflater) -> Iterator[Part]:
        gathered = bytearray()
        for data in inflater.steps(piece):
            if len(gathered) >= _ENOUGH:
                yield from self._parts(bytes(gathered), piece, more=True)
                gathered.clear()
            gathered += data
        yield from self._parts(bytes(gathered), piece)

    def _parts(
        self, data: bytes, piece: Piece | Compressed, *, more: bool = False
    ) -> Iterator[Part]:
        """One part, or none if there is nothing to tell; `more` of the same piece may follow."""
        more = more or piece.more
        message: Message = data
        if piece.text:
            message = self._decode(data, final=not more)
        if message or not more:
            yield Part(message, len(data), more)

    def _decode(self, data: bytes, *, final: bool) -> str:
        if self._text is None:
            self._text = codecs.getincrementaldecoder("utf-8")()
        try:
            text = self._text.decode(data, final)
        except UnicodeDecodeError as error:
            raise InflateError(CloseCode.INVALID_PAYLOAD, "text is not UTF-8") from error
        if final:
            self._text = None
        return text
