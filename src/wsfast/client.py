"""A client for threaded programs that talk to several sources at once (seeds 001 and 002).

    from wsfast.channel import after, select
    from wsfast.client import connect

    with connect("wss://stream.example.com/prices", read_limit=65536) as client:
        client.send('{"action": "subscribe"}')
        prices, quiet = client.channel(), after("30s")
        while True:
            chosen = select([prices.case_receive(), quiet.case_receive()])
            if chosen.channel is quiet:
                client.ping()
                quiet = after("30s")
            elif chosen.ok:
                print(chosen.value.data)
            else:
                break

Whoever waits for a message reads from the socket itself, so that none changes threads. While
somebody waits by `select`, or in a task, a thread of the connection reads for them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from wsfast.messages import (
    TYPE_BINARY,
    TYPE_CLOSE,
    TYPE_PING,
    TYPE_PONG,
    TYPE_TEXT,
    Message,
    MessageChannel,
    StreamedMessage,
)
from wsfast.protocol import checks
from wsfast.protocol.constants import CloseCode, Compression, Opcode, State
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import InvalidOption, PongTimeout
from wsfast.protocol.handshake import Response
from wsfast.protocol.options import ClientOptions, ClientOptionsDict, client_options
from wsfast.protocol.sending import Chunks
from wsfast.protocol.url import parse_url
from wsfast.threads import client as driver
from wsfast.threads.connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "BINARY",
    "CLOSE_CODES",
    "COMPRESSION",
    "TEXT",
    "TYPE_BINARY",
    "TYPE_CLOSE",
    "TYPE_PING",
    "TYPE_PONG",
    "TYPE_TEXT",
    "Client",
    "FaceOptionsDict",
    "Message",
    "MessageChannel",
    "StreamedMessage",
    "connect",
]

TEXT: Literal[1] = 1
BINARY: Literal[2] = 2
COMPRESSION = Compression
CLOSE_CODES = CloseCode

PING_TIMEOUT = 20.0
"""Seconds that `ping` waits where `pong_timeout` is None."""


class FaceOptionsDict(ClientOptionsDict, total=False):
    """The options of `connect`, which are those of all clients and one more."""

    channel_capacity: int
    """Messages that wait to be received, 1 to 10000; the name of seed 001 for
    `receive_queue_messages`. At the bound nothing more is read, so that TCP slows the peer down;
    what one read brings is kept whole, however many messages it is."""


def connect(
    url: str,
    options: FaceOptionsDict | Mapping[str, Any] | None = None,
    /,
    **more: Unpack[FaceOptionsDict],
) -> "Client":
    """Connects, and returns when the connection is open (seed 001, `websocket.connect`).

    Blocks up to `dial_timeout`. Options may be given by name, as a mapping, or as both with
    different names. With `control_messages=True` the channel also delivers messages of the types
    ping and pong, and one of the type close before it ends (seed 002).

    Raises:
        TypeError: an unknown option, or a wrong type.
        InvalidURL, InvalidOption: bad values; all of these before anything is sent.
        PermissionDenied, NoContext: by the security policies, see `wsfast.security`.
        ConnectError: it could not be opened; its subclasses say more.
    """
    checked = _options(options, more)
    return Client(driver.connect(parse_url(url), checked), checked)


def _options(options: Mapping[str, Any] | None, more: Mapping[str, Any]) -> ClientOptions:
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"options must be a mapping, not {type(options).__name__}")
    given = dict(options or {})
    for name in given:
        if not isinstance(name, str):
            raise TypeError(f"the name of an option must be a str, not {name!r:.60}")
    for name in given.keys() & more.keys():
        raise TypeError(f"option {name!r} is given twice")
    given.update(more)
    if "channel_capacity" in given:
        if "receive_queue_messages" in given:
            raise InvalidOption("channel_capacity and receive_queue_messages are the same")
        capacity = given.pop("channel_capacity")
        given["receive_queue_messages"] = _check_capacity(capacity, "channel_capacity")
    return client_options(**cast("ClientOptionsDict", given))


_check_capacity = checks.integer(1, 10_000)


class Client:
    """An open connection. All methods may be called from any thread.

    As a context manager it closes the connection: with 1000, or with 1011 if the block raises.
    """

    def __init__(self, connection: Connection, options: ClientOptions) -> None:
        """Use `connect`."""
        self._connection = connection
        self._options = options
        self._channel = MessageChannel(connection, options)

    # -------------------------------------------------------------- what it is

    @property
    def url(self) -> str:
        """What it is connected to; after redirects, where they have led."""
        return str(self._connection.url)

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._connection.state

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on, if any (RFC 6455, section 1.9)."""
        return self._connection.subprotocol

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was agreed on (RFC 7692)."""
        return self._connection.compressed

    @property
    def response(self) -> Response | None:
        """How the server answered the handshake."""
        return self._connection.response

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; None before the first."""
        return self._connection.latency

    @property
    def close_code(self) -> int | None:
        """The peer's close code, or why there is none; None before the end (RFC 6455, 7.1.5)."""
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The close reason that belongs to `close_code`."""
        return self._connection.close_reason

    @property
    def error(self) -> Exception | None:
        """What went wrong, if anything did; None after a closing handshake."""
        return self._connection.error

    # -------------------------------------------------------------- sending

    def send(
        self,
        data: "str | Buffer | Chunks",
        type: Literal[1, 2, "text", "binary"] | None = None,
    ) -> Literal[True]:
        """Sends a message: text for `str`, binary for bytes-like data (seed 001).

        `type` forces one of both, `TEXT` or `BINARY`: text that was given as bytes must be UTF-8.
        An iterable of either is sent as one message in fragments, chunk by chunk, in bounded
        memory; if it raises in the middle, the connection fails with 1011.

        Waits up to `write_timeout` while the send queue is full. Messages of several threads go out
        whole, those of each in order.

        Raises:
            TypeError, ValueError: data that cannot be sent, or a wrong `type`.
            SendTimeout, QueueFull: there was no room.
            ConnectionClosed: it has ended.

        In all cases nothing has been sent, unless an iterable fails after its first chunk.
        """
        if type is None and (data.__class__ is str or data.__class__ is bytes):
            self._connection.send(data)
            return True
        opcode = _opcode(type)
        if _is_message(data):
            self._connection.send(_forced(data, opcode))
        else:
            text = None if opcode is None else opcode is Opcode.TEXT
            self._connection.send_fragments(cast("Chunks", data), text=text)
        return True

    def ping(self, data: "Buffer | None" = None, timeout: Duration | None = None) -> Literal[True]:
        """Sends a ping and waits for its pong; `latency` then tells how long that took.

        Args:
            data: at most 125 bytes; by default something that makes the ping unique.
            timeout: milliseconds, a Go duration string or a timedelta; by default `pong_timeout`.

        Raises:
            PongTimeout: there was none in time. The connection goes on.
            ConnectionClosed: it has ended, perhaps while this waited.
            TypeError, ValueError: wrong arguments; nothing has been sent.
        """
        limit = self._options.pong_timeout or PING_TIMEOUT
        if timeout is not None:
            limit = checks.required_seconds(timeout, "timeout")
        number = self._connection.ping(data)
        if not self._connection.wait_pong(number, limit):
            self._connection.check_open()
            raise PongTimeout(f"timeout: no pong within {limit:g} s")
        return True

    # -------------------------------------------------------------- receiving

    def channel(self) -> "MessageChannel":
        """Where messages are received from; the same channel each time (seed 001).

        After the end it still holds what arrived before, and then is closed.
        """
        return self._channel

    receive = channel
    """The name of seed 002."""

    def __iter__(self) -> Iterator[Message]:
        """The messages until the end. Ends quietly after a closing handshake; otherwise raises
        `ConnectionLost` or `ProtocolError`."""
        yield from self._channel
        if self._connection.error is not None:
            self._connection.check_open()

    def receive_stream(self, timeout: Duration | None = None) -> StreamedMessage:
        """The next message, to be taken piece by piece.

        With the option `streaming` it is returned as soon as its first piece has come, and may be
        of any size; without, once it has come whole. What has not been taken of the message before
        is skipped. Meanwhile others should not wait for messages in other ways: each of them is
        handed whole ones, and what a cancelled task gives back waits for them.

        Args:
            timeout: milliseconds, a Go duration string or a timedelta; None waits for ever.

        Raises:
            TimeoutError: there was none in time. What comes later is for the next to receive.
            ConnectionClosed: after the last message.
            TypeError, ValueError: `timeout` is no duration.
        """
        return StreamedMessage(self._connection.receive_stream(seconds(timeout, "timeout")))

    # -------------------------------------------------------------- the end

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> Literal[True]:
        """Closes, after all that was sent before, and waits for the end: up to `close_timeout`, and
        a second for TCP. Messages that arrive meanwhile can still be received afterwards.

        Does nothing after the end, or the second time.

        Raises `TypeError` or `ValueError` for a code or reason that may not be sent
        (RFC 6455, section 7.4).
        """
        self._connection.close(code, reason)
        self._connection.wait_ended()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        self.close(CloseCode.NORMAL if kind is None else CloseCode.INTERNAL_ERROR)


_OPCODES = {
    None: None,
    TEXT: Opcode.TEXT,
    BINARY: Opcode.BINARY,
    TYPE_TEXT: Opcode.TEXT,
    TYPE_BINARY: Opcode.BINARY,
}


def _opcode(type: object) -> Opcode | None:
    if type is not None and (isinstance(type, bool) or not isinstance(type, int | str)):
        raise TypeError(f"type must be TEXT or BINARY, not {type!r:.60}")
    if type not in _OPCODES:
        raise ValueError(f"type must be TEXT or BINARY, not {type!r:.60}")
    return _OPCODES[type]


def _is_message(data: object) -> bool:
    if isinstance(data, str):
        return True
    try:
        memoryview(data).release()  # type: ignore[arg-type] # whether it is one is the question
    except TypeError:
        # A mapping is no message, but its keys would be one; `send` says what is wrong.
        return isinstance(data, Mapping) or not isinstance(data, Iterable)
    return True


def _forced(data: Any, opcode: Opcode | None) -> "str | Buffer":
    """Raises `UnicodeError`, a `ValueError`, for what is no text."""
    if opcode is Opcode.TEXT and not isinstance(data, str):
        return memoryview(data).tobytes().decode()
    if opcode is Opcode.BINARY and isinstance(data, str):
        return data.encode()
    return cast("str | Buffer", data)
