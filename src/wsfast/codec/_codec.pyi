"""What the compiled module offers. The docstrings live here, where editors and readers look."""

from typing import Any, ClassVar, Self, TypeAlias, final

from typing_extensions import Buffer, disjoint_base

__pyx_capi__: dict[str, object]
"""For the drivers' own extensions; see `_codec.pxd`."""

_Event: TypeAlias = str | bytes | Piece | Compressed | Ping | Pong | Close | Failure

def apply_mask(data: Buffer, key: Buffer) -> bytes:
    """XORs `data` with the four bytes of `key` in turn (RFC 6455, section 5.3).

    Raises `ValueError` if the key does not have four bytes. Safe from any thread.
    """

def apply_mask_in_place(data: Buffer, key: Buffer) -> bytes:
    """Masks a writable, contiguous buffer where it lies.

    Returns the key rotated to where a next piece of the same payload goes on. Raises `ValueError`
    if the key does not have four bytes, `BufferError` if `data` is read-only.
    """

def implementation() -> str:
    """The masking code in use: "scalar", "sse2", "avx2", "avx512" or "neon".

    Chosen once, at import: the best that this processor runs, or what the environment variable
    `WSFAST_IMPLEMENTATION` names (importing fails if the processor does not run that one).
    """

def implementations() -> list[str]:
    """All masking codes that this processor runs, the best last."""

@disjoint_base
class _Control:
    __match_args__: ClassVar[tuple[str, ...]]
    @property
    def data(self) -> bytes: ...
    def __new__(cls, data: Buffer = b"") -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Ping(_Control):
    """A ping frame with its `data` (RFC 6455, section 5.5.2). Immutable."""

@final
class Pong(_Control):
    """A pong frame with its `data` (RFC 6455, section 5.5.3). Immutable."""

@disjoint_base
class _AnyPiece:
    __match_args__: ClassVar[tuple[str, ...]]
    @property
    def data(self) -> bytes: ...
    @property
    def text(self) -> bool: ...
    @property
    def more(self) -> bool: ...
    def __new__(cls, data: bytes, text: bool = False, more: bool = False) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Piece(_AnyPiece):
    """A piece of a message from a decoder that does not gather them. Immutable.

    `text` tells what kind of message it is, and `more` whether further pieces follow. They come as
    they arrive, without regard to frames or characters; the last may be empty. As far as it goes,
    text is UTF-8.
    """

@final
class Compressed(_AnyPiece):
    """A piece of a message that the peer has compressed (RFC 7692, section 6). Immutable.

    As `Piece`, but whoever inflates it applies the limit of the message and checks its text.
    """

@disjoint_base
class _Ending:
    __match_args__: ClassVar[tuple[str, ...]]
    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    def __new__(cls, code: int, reason: str = "") -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Close(_Ending):
    """A close frame with its `code` (1005 if it had none) and `reason` (RFC 6455, 5.5.1)."""

@final
class Failure(_Ending):
    """The peer broke the rules: `code` is the close code to send, `reason` says which rule."""

@final
class Decoder:
    """Received bytes in, messages out.

    Either let the transport write into `get_buffer()` and report with `received(n)`, or hand over
    bytes with `feed`. Both return the list of what is complete now: `str` for a text message,
    `bytes` for a binary one, and `Ping`, `Pong`, `Close` objects, in the order they came.

    If the peer violates RFC 6455 or a limit, the last item is a `Failure`, after all that came
    before the violation; every later call returns a list with that `Failure` alone. What follows a
    close frame is ignored.

    Not thread-safe: one thread at a time.
    """

    def __new__(
        cls,
        *,
        server: bool = False,
        max_message: int = 16777216,
        max_fragments: int = 131072,
        buffer_size: int = 65536,
        compression: bool = False,
        pieces: bool = False,
    ) -> Self:
        """Makes a decoder for one connection.

        Args:
            server: decode what clients send (masked frames) rather than what servers send.
            max_message: bytes of a message; one more is a `Failure` with code 1009. 0: no limit.
            max_fragments: frames of a message; one more is a `Failure` with code 1009. 0: no limit.
            buffer_size: bytes of the receive buffer. It is allocated by the first `get_buffer()`.
            compression: permessage-deflate was agreed on: a message may be marked as compressed by
                RSV1, and comes as `Compressed` pieces. Each of its frames may be twice as long as
                `max_message` and 1024 bytes, as its size is not known before it is inflated.
            pieces: gather no message: one that does not lie whole in what has been received comes
                as `Piece` objects.

        Raises `ValueError` if `buffer_size` is not positive, `OverflowError` for limits that are
        negative or do not fit into 64 bits.
        """

    @property
    def control(self) -> bool:
        """Whether the list returned last holds anything but messages."""

    @property
    def message_bytes(self) -> int:
        """The size of the messages in that list, of text as UTF-8; compressed ones not counted."""

    def close(self) -> None:
        """Makes it ignore all further input, as after a close frame.

        For a caller that has seen what only it can see: a compressed message that cannot be
        inflated, or that is over the limit.
        """

    def get_buffer(self) -> memoryview:
        """Where the next bytes are to be received; never empty, valid until the next call.

        Inside a large message this is the message's own memory, so it is not copied again.
        """

    def received(self, size: int, /) -> list[_Event]:
        """Says that `size` bytes were written to the start of the last `get_buffer()`.

        Raises `ValueError` if the buffer has no room for that many, or has been reported on before.
        Raises `MemoryError`, from then on at every call, if an event or a message has no room.
        """

    def feed(self, data: Buffer, /) -> list[_Event]:
        """The same for bytes that lie elsewhere. They are copied. Raises `MemoryError` likewise."""

@final
class Outbox:
    """Messages in, bytes to send out.

    Each method frames its data, masks it (for a client) with a key of its own from the operating
    system's random generator, and adds it to what is pending; `take()` gives all of that at once.
    A method that raises has added nothing.

    Thread-safe: each message is added whole, and taken once.
    """

    def __new__(cls, *, server: bool = False) -> Self:
        """server: send as a server does, unmasked."""

    open: bool
    """Whether the connection is: whoever has the outbox may add messages without asking it.

    False at first and after `close`; for the drivers, nothing here depends on it.
    """

    def after_fork(self) -> None:
        """Makes it usable in the child, whatever another thread was doing with it."""

    @property
    def pending(self) -> int:
        """Bytes that wait to be taken, headers included."""

    @property
    def frames(self) -> int:
        """Frames that wait to be taken."""

    def message(self, data: str | Buffer) -> None:
        """Adds a text message for `str`, a binary one for bytes-like data.

        Raises `TypeError` for anything else, `UnicodeEncodeError` (a `ValueError`) for a `str` with
        lone surrogates.
        """

    def text(self, data: str) -> None:
        """Adds a text message. Raises as `message` does."""

    def binary(self, data: Buffer) -> None:
        """Adds a binary message. Raises as `message` does."""

    def ping(self, data: Buffer = b"") -> None:
        """Adds a ping. Raises `ValueError` for more than 125 bytes."""

    def pong(self, data: Buffer = b"") -> None:
        """Adds a pong. Raises `ValueError` for more than 125 bytes."""

    def answer(self, data: bytes, backlog: int) -> None:
        """Adds a pong, or, if `backlog` bytes or more are pending, puts it at the end of them in
        place of another that waits there (RFC 6455, section 5.5.3). Raises as `pong` does."""

    def raw(self, data: bytes) -> None:
        """Adds bytes as they are: those of the handshake."""

    def close(self, code: int | None = None, data: Buffer = b"") -> None:
        """Adds a close frame with `code` and the UTF-8 bytes of a reason, or an empty one.

        Which codes and reasons are permitted is not checked here. Raises `ValueError` for a reason
        over 123 bytes or without a code, `OverflowError` for a code that two bytes do not hold.
        """

    def frame(self, opcode: int, data: Buffer, *, fin: bool = True, rsv1: bool = False) -> None:
        """Adds one frame as it is told, for fragmented messages and extensions.

        Raises `ValueError` for an opcode outside 0-15. Nothing else is checked.
        """

    def take(self) -> bytes:
        """Everything pending, which is pending no more; `b""` if there is nothing.

        Raises `MemoryError`; then what was pending is lost.
        """
