"""What the compiled module offers. The docstrings live here, where editors and readers look."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from typing_extensions import Buffer, disjoint_base

from wsfast.codec import Decoder, Outbox
from wsfast.protocol.connection import Event, Message
from wsfast.protocol.options import Options
from wsfast.system._cipher import Cipher

rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, Any]
"""Where the connections of each loop receive."""

_Endpoint = TypeVar("_Endpoint", bound=Endpoint)

def send_plain(connections: Iterable[_Endpoint], frame: bytes) -> list[_Endpoint]:
    """Sends a frame as it is, and now, on each that has room for it and whose messages would become
    such a frame: those of servers, without compression. Returns the others."""

@disjoint_base
class Wire:
    """What the transport knows of a connection: its protocol, in asyncio's sense."""

    def __new__(cls, endpoint: Endpoint) -> Self: ...
    def connection_made(self, transport: Any, /) -> None: ...
    def get_buffer(self, hint: int, /) -> Any: ...
    def buffer_updated(self, size: int, /) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, error: Exception | None, /) -> None: ...

@disjoint_base
class Endpoint:
    """One end of a connection, without what is done only now and then, which is a `Connection`'s.

    On its loop's thread only: from another thread the public methods raise `RuntimeError`.
    """

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...

    # For users.

    def send(self, data: str | Buffer, /) -> Coroutine[Any, Any, None]:
        """Sends a message: text for `str`, binary for bytes-like data (RFC 6455, section 5.6).

        As long as less than 64 KiB wait to be sent, or less than the bounds of the send queue, it
        has been handed over when this returns, and what is returned is a coroutine that has ended.
        Otherwise nothing has happened yet, and awaiting it waits for room, up to `write_timeout`.
        Cancelled, it has sent all of the message or nothing. With `send_overflow="fail"` it never
        waits, and does what `send_nowait` does.

        A message is written at once, and those of a burst together: what follows within 20 µs,
        with nothing received between, or while further messages wait to be received, leaves at the
        latest when the loop has come round.

        Raises `TypeError` and `ValueError` for data that cannot be sent, `ConnectionClosed` after
        the end, `SendTimeout`, `QueueFull`; then nothing was sent.
        """

    def send_nowait(self, data: str | Buffer, /) -> None:
        """As `send`, without waiting: for callbacks.

        Raises `QueueFull` if what waits to be sent has reached `send_queue_messages` or
        `send_queue_bytes`, and as `send` does.
        """

    def receive(self) -> Coroutine[Any, Any, Message]:
        """The next message: `str` for text, `bytes` for binary.

        After the end, and after the last message, raises `ConnectionClosed` or a subclass of it.
        Cancelled, it has taken no message. One task at a time: another one gets `RuntimeError`.
        """

    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, Message]: ...

    # For `Driver`: what can be asked and told.

    def _set_up(
        self,
        loop: asyncio.AbstractEventLoop,
        outbox: Outbox,
        on_message: Callable[[Any, Message], object] | None,
        options: Options,
        /,
    ) -> None:
        """First of all. Without `on_message` messages are kept to be taken."""

    def _check_thread(self) -> None:
        """Raises `RuntimeError` on another thread than the loop's."""

    def _attach(self, write: Callable[[Any], object], fd: int | None, direct: bool, /) -> None:
        """There is a transport: its `write`, its socket, and whether that may be written to while
        the transport has nothing to write."""

    def _detach(self) -> None:
        """There is none any more."""

    def _encrypt(self, cipher: Cipher, /) -> None:
        """What is on the wire is encrypted from now on."""

    def _open(self, decoder: Decoder, /) -> None:
        """What comes are frames from now on."""

    def _flush(self) -> None:
        """Writes what is to be sent, unless the transport has something to write."""

    def _push(self) -> None:
        """Writes it now or, in a burst, with what follows: as `send` does."""

    def _flush_scheduled(self) -> None: ...
    def _send(self, data: str | Buffer, /) -> None:
        """As `send_nowait`, for who has found room: it may go beyond the bounds."""

    def _send_framed(self, frame: bytes, /) -> bool:
        """Sends a frame as it is, and now; False if there is no room for it."""

    def _deliver(self, messages: list[Message], /) -> None:
        """Delivers or keeps messages that came while the connection was being opened."""

    def _receive_event(self) -> Coroutine[Any, Any, dict[str, Any]]:
        """As `receive`, but gives the event of ASGI that the message is, or what was `_put`."""

    def _send_event(self, event: dict[str, Any], /) -> Coroutine[Any, Any, None]:
        """As `send` for the message that an event of ASGI is, if `_relays`; every other event goes
        to `_send_other_event`."""

    def _put(self, event: dict[str, Any], /) -> None:
        """Keeps an event to be received after the messages that are kept."""

    def _take(self) -> Message:
        """The oldest message that is kept; there must be one."""

    def _fits(self, size: int, /) -> bool:
        """Whether a message of that size fits into the send queue."""

    @property
    def _is_open(self) -> bool:
        """Whether `_open` has been called."""

    @property
    def _count(self) -> int:
        """Messages that are kept."""

    @property
    def _no_queue(self) -> bool:
        """Whether no message is ever kept."""

    @property
    def _unsent(self) -> bool:
        """Whether something has not been handed to the system."""

    @property
    def _has_room(self) -> bool:
        """Whether senders need not wait."""

    @property
    def _broken(self) -> bool:
        """Whether nothing can be sent any more, for an error of the socket."""

    @property
    def _readable(self) -> bool:
        """Whether bytes have arrived that nobody has received."""

    @property
    def _heard_at(self) -> float:
        """When bytes arrived last, as `time.monotonic()` tells it; 0 for never."""

    @property
    def _message_at(self) -> float:
        """When the end of a message did."""

    _receiver: asyncio.Future[None] | None
    """Of who waits for a message."""
    _shaking: bool
    """The TLS handshake is going on: nothing else is written."""
    _deaf: bool
    """What comes is not wanted any more."""
    _ending: bool
    """Who waits for a message is to call `_check_input`."""
    _dropping: bool
    """What comes is not kept."""
    _paused: bool
    """Nothing is received, as there is no room for more."""
    _relays: bool
    """What is sent as events are messages."""
    _waiting: int
    """Senders that wait for room: others get in line."""
    _turn: Any
    """Their line."""

    # For `Driver` and `Connection`: what they do.

    def _made(self, transport: Any, /) -> None:
        """There is a transport."""

    def _shake_hands(self) -> None:
        """Something has come for the TLS handshake."""

    def _opening(self, data: bytes, /) -> None:
        """Something has come before the connection was open."""

    def _handle(self, events: list[Event], /) -> list[Message]:
        """Something but messages has come; returns the messages that are to be delivered."""

    def _handled(self) -> None:
        """They have been delivered, or are kept."""

    def _out_of_memory(self) -> None:
        """There was no memory for what has come."""

    def _callback_failed(self, error: Exception, /) -> None:
        """`on_message` has raised that."""

    def _pause(self) -> None:
        """There is no room for more messages."""

    def _resume(self) -> None:
        """There is again."""

    def _check_input(self, iterating: bool, /) -> None:
        """Raises what `receive`, or an iteration, is to raise; if more may come it returns."""

    def _send_slowly(self, data: str | Buffer, /) -> Coroutine[Any, Any, None]:
        """Waits for room, then sends."""

    def _send_otherwise(self, data: str | Buffer, size: int, strict: bool, /) -> None:
        """Sends what cannot be framed without asking, or raises what `send` is to raise."""

    def _send_other_event(self, event: dict[str, Any], /) -> Coroutine[Any, Any, None]:
        """Does what an event that is no message to be sent asks for."""

    def _sent(self) -> None:
        """The transport has nothing to write any more."""

    def _ended(self) -> None:
        """The peer will send nothing more."""

    def _failed(self, error: OSError, /) -> None:
        """What has come cannot be decrypted."""

    def _lost(self, error: Exception | None, /) -> None:
        """The transport is closed."""
