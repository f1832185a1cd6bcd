"""A WebSocket connection without I/O: bytes and a clock value in, messages and bytes out.

A driver moves bytes between this object and a socket and tells it the time; every decision is
taken here: the handshake, pongs, keepalive, limits, who closes when and with which code.

    connection = Connection.client(parse_url("ws://…"), client_options(), now)
    send(connection.data_to_send())
    n = receive_into(connection.get_buffer())   # or connection.feed(data, now)
    messages = connection.received(n, now)      # deliver them, send replies, then:
    connection.settle(now)
    send(connection.data_to_send())

Times are seconds of any clock that never goes back. Nothing blocks, nothing is locked: a driver
with several threads calls every method under one lock of its own.
"""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from wsfast.codec import Close, Decoder, Failure, Outbox, Ping, Pong
from wsfast.protocol.constants import MAX_CLOSE_REASON, CloseCode, State, check_close
from wsfast.protocol.deflate import InflateError, Inflater
from wsfast.protocol.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    HandshakeError,
    ProtocolError,
    RedirectError,
    StatusError,
    WebSocketError,
)
from wsfast.protocol.handshake import ClientHandshake, Refusal, Request, Response, ServerHandshake
from wsfast.protocol.http1 import Pairs
from wsfast.protocol.keepalive import Keepalive, later, reached
from wsfast.protocol.messages import Message
from wsfast.protocol.options import ClientOptions, Options, ServerOptions
from wsfast.protocol.receiving import Decoded, Event, Part, Streaming, whole_messages
from wsfast.protocol.redirects import Hop, follow
from wsfast.protocol.sending import Form, Fragment, Outgoing
from wsfast.protocol.url import URL

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection", "Event", "Message"]

LINGER = 1.0
"""Seconds that the peer gets to close TCP once there is nothing more to say."""

PONG_BACKLOG = 64 * 1024
"""Bytes waiting to be sent from which on only the latest ping is answered (RFC 6455, 5.5.3)."""

_HANDSHAKE_CHUNK = 4096


class _Step(Enum):
    OPEN = auto()  # the handshake succeeded
    CLOSE = auto()  # a close frame, or a refusal of the handshake, is on its way
    END = auto()  # it is over, as it should be
    FAIL = auto()  # it is over, and `error` says why


_TRANSITIONS: dict[State, dict[_Step, State]] = {
    State.CONNECTING: {
        _Step.OPEN: State.CONNECTED,
        _Step.CLOSE: State.CLOSING,
        _Step.END: State.DISCONNECTED,
        _Step.FAIL: State.ERROR,
    },
    State.CONNECTED: {
        _Step.CLOSE: State.CLOSING,
        _Step.FAIL: State.ERROR,
    },
    State.CLOSING: {
        _Step.END: State.DISCONNECTED,
        _Step.FAIL: State.ERROR,
    },
    State.DISCONNECTED: {},
    State.ERROR: {},
}


class Connection:
    """One connection, client or server, from its first byte to its last.

    `state` moves by the table above only. `error` is what went wrong, if anything did;
    `close_code` and `close_reason` are the peer's, or our own if we had to fail the connection,
    or 1006 (RFC 6455, section 7.1.5). They are final once `finished`.
    """

    def __init__(
        self, handshake: ClientHandshake | ServerHandshake, options: Options, now: float
    ) -> None:
        """Use `client` or `server`."""
        self.state = State.CONNECTING
        self.error: WebSocketError | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self.handshake = handshake
        self.redirect: Hop | None = None
        self.input_ended = False
        """Whether no more messages can come."""
        self.finished = False
        """Whether it is over: close the transport, tell the application."""
        self._hop: Hop | None = None  # of a client: what it connects to
        self._options = options
        self._server = isinstance(handshake, ServerHandshake)
        self.decoder = self._make_decoder(compression=False)
        self.outbox = Outbox(server=self._server)
        self._outgoing = Outgoing(
            self.outbox, options.compression_threshold, masked=not self._server
        )
        self._inflater: Inflater | None = None
        self._streaming = Streaming() if options.streaming else None
        self._scratch: bytearray | None = None
        self.unsettled = False
        """Whether `settle` has something to do."""
        self._reaction: Close | Failure | None = None  # came, and waits for settle()
        self._close_sent = self._close_received = False
        self._keepalive = Keepalive(options.ping_interval, options.pong_timeout)
        self._message_at = now
        self._deadline = later(now, options.dial_timeout)  # of the opening, later of the closing

    def _make_decoder(self, *, compression: bool) -> Decoder:
        streaming = self._options.streaming
        return Decoder(
            server=self._server,
            max_message=0 if streaming else self._options.read_limit,
            max_fragments=self._options.max_fragments,
            compression=compression,
            pieces=streaming,
        )

    @classmethod
    def client(
        cls, url: URL, options: ClientOptions, now: float, *, followed: int = 0
    ) -> "Connection":
        """The client's end; `data_to_send` holds the request at once.

        If the server redirects, which takes `max_redirects`, it remains CONNECTING with `redirect`
        set to where: the driver then leaves it for another, made with the same `now`, which is
        when the opening began.
        """
        handshake = ClientHandshake(url, options)
        connection = cls(handshake, options, now)
        connection.outbox.raw(handshake.request_bytes)
        connection._hop = Hop(url, options, followed)
        return connection

    @classmethod
    def server(cls, options: ServerOptions, now: float) -> "Connection":
        """The server's end; when `request` is there, `accept` or `refuse` it."""
        return cls(ServerHandshake(options), options, now)

    # -------------------------------------------------------------- what was agreed

    @property
    def url(self) -> URL | None:
        """What a client connects to."""
        return None if self._hop is None else self._hop.url

    @property
    def request(self) -> Request | None:
        """What the client asked for, on a server, once it has arrived; also if it was refused."""
        return self.handshake.request if isinstance(self.handshake, ServerHandshake) else None

    @property
    def response(self) -> Response | None:
        """How the server answered, on a client, once connected."""
        return self.handshake.response if isinstance(self.handshake, ClientHandshake) else None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on, if any (RFC 6455, section 1.9)."""
        return self.handshake.subprotocol

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was agreed on (RFC 7692)."""
        return self.handshake.deflate is not None

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; None before the first."""
        return self._keepalive.latency

    @property
    def pongs(self) -> int:
        """How many of our pings have been answered; see `ping`."""
        return self._keepalive.answered

    # -------------------------------------------------------------- bytes in

    def get_buffer(self) -> "bytearray | memoryview":
        """Where the next bytes are to be received; valid until `received`."""
        if self.state is State.CONNECTING:
            if self._scratch is None:
                self._scratch = bytearray(_HANDSHAKE_CHUNK)
            return self._scratch
        return self.decoder.get_buffer()

    def received(self, size: int, now: float) -> Sequence[Message]:
        """Says that `size` bytes have arrived in `get_buffer()`; returns the messages they end.

        With `streaming` there are `Part` objects of messages among them; with `control_messages`,
        `Ping` and `Pong` objects.

        What must not overtake the replies to these messages (the answer to a close frame, the
        close frame for a violation) waits for `settle`.
        """
        if self.state is State.CONNECTING:
            assert self._scratch is not None
            return self._feed_handshake(bytes(self._scratch[:size]), now)
        if self.input_ended:
            return ()
        try:
            return self.handle(self.decoder.received(size), now)
        except MemoryError:
            return self.out_of_memory(now)

    def feed(self, data: "Buffer", now: float) -> Sequence[Message]:
        """As `received`, for bytes that lie elsewhere."""
        if self.state is State.CONNECTING:
            return self._feed_handshake(bytes(data), now)
        if self.input_ended:
            return ()
        try:
            return self.handle(self.decoder.feed(data), now)
        except MemoryError:
            return self.out_of_memory(now)

    def handle(self, events: list[Event], now: float) -> Sequence[Message]:
        """As `received`, for what `decoder` has made of the bytes."""
        if self.input_ended:
            return ()
        self._keepalive.heard(now)
        if not self.decoder.control:  # nothing but messages: most chunks by far
            if events:
                self._message_at = now
            return cast("list[Message]", events)
        if self._streaming is None:
            return self._take_in(whole_messages(events, self._inflater), now)
        self._streaming.add(events, self._inflater)
        return self.resume(now)

    @property
    def held_back(self) -> bool:
        """Whether more may be made of what has been received, with `streaming`: `resume` must be
        called before anything else is received, at any time after what was returned has room."""
        streaming = self._streaming
        return streaming is not None and streaming.held_back and not self.input_ended

    def resume(self, now: float) -> Sequence[Message]:
        """As `received`, for what is `held_back`."""
        if self._streaming is None or self.input_ended:
            return ()
        return self._take_in(self._streaming.take(), now)

    def _take_in(self, events: Iterator[Decoded], now: float) -> Sequence[Message]:
        messages: list[Message] = []
        try:
            for event in events:
                if isinstance(event, (str, bytes, Part)):
                    messages.append(cast("Message", event))
                    self._message_at = now
                elif isinstance(event, (Ping, Pong)):
                    self._control(event, now)
                    if self._options.control_messages:
                        messages.append(cast("Message", event))  # for who has asked for it
                else:
                    self._react(event, now)
        except InflateError as error:
            self.decoder.close()
            self._react(Failure(error.code, str(error)), now)
        except MemoryError:
            self.out_of_memory(now)
        return messages

    def refuse_message(self, now: float) -> None:
        """Says that a message is over `read_limit`, which with `streaming` only who joins its parts
        can see."""
        if not self.input_ended:
            self._fail(ProtocolError(CloseCode.MESSAGE_TOO_BIG, "message over the size limit"), now)

    def _control(self, event: Ping | Pong, now: float) -> None:
        if isinstance(event, Pong):
            self._keepalive.pong_received(event.data, now)
        elif not self._close_sent:
            self.outbox.answer(event.data, PONG_BACKLOG)

    def out_of_memory(self, now: float) -> Sequence[Message]:
        """Says that `decoder` had no memory for what has arrived."""
        self.decoder.close()  # nothing may come after the gap
        self._react(Failure(CloseCode.INTERNAL_ERROR, "out of memory"), now)
        return ()

    def _react(self, reaction: Close | Failure, now: float) -> None:
        if self._reaction is not None:
            return
        self._reaction = reaction
        self.unsettled = True
        if self._close_sent:
            self.settle(now)  # no reply can be sent any more
        else:
            self._deadline = now + self._options.close_timeout

    def eof(self, now: float, *, sending: bool = False) -> None:
        """Says that the peer has closed its half of the connection, or the whole of it.

        `sending` says that something for it is still on its way. If it has sent a close frame it
        may wait for that, so nothing ends yet: say it again once all has been sent, or cannot be.
        """
        self.settle(now)  # the close frame may have come in the last bytes
        if sending and self._close_received:
            return
        self._lost(now, self.handshake.eof(), "no close frame received")

    def lost(self, text: str, now: float) -> None:
        """Says that the transport failed; `text` says how."""
        self._lost(now, ConnectError(text), text)

    def _lost(self, now: float, while_opening: ConnectError, text: str) -> None:
        if self.finished:
            return  # it was we who ended the transport, and that is no error
        if self.state is State.CONNECTING:
            self.abandon(while_opening)
            return
        self.settle(now)  # the close frame may have come in the last bytes
        if not self._close_received:
            self._close_with_error(ConnectionLost(CloseCode.ABNORMAL_CLOSURE, text))
        self._finish()

    # -------------------------------------------------------------- handshake

    def _feed_handshake(self, data: bytes, now: float) -> Sequence[Message]:
        try:
            complete = self.handshake.feed(data)
        except Refusal as refusal:
            self._refuse(refusal, now)
            return ()
        except HandshakeError as error:
            self._not_upgraded(error)
            return ()
        if complete and not self._server:
            return self._open(now)
        return ()

    def _not_upgraded(self, error: HandshakeError) -> None:
        if isinstance(error, StatusError) and self._hop is not None:
            try:
                self.redirect = follow(error.status, error.headers, self._hop)
            except RedirectError as refused:
                error = refused
        if self.redirect is None:
            self.abandon(error)

    def answer(self) -> Response:
        """What `accept` would answer the `request` with."""
        assert isinstance(self.handshake, ServerHandshake)
        return self.handshake.answer()

    def accept(self, now: float, further: Pairs | None = None) -> Sequence[Message]:
        """Answers the `request` with the upgrade, and `further` header fields, which have been
        checked. Returns messages that came along with it.

        Does nothing if the opening is over, because of a deadline or a close.
        """
        assert isinstance(self.handshake, ServerHandshake)
        if self.state is not State.CONNECTING:
            return ()
        self.outbox.raw(self.handshake.accept(further))
        return self._open(now)

    def refuse(self, status: int, text: str, now: float, further: Pairs | None = None) -> None:
        """Answers the `request` with an HTTP `status` of 300 to 599, `text` as its body, and
        `further` header fields, which have been checked.

        Does nothing if the opening is over. Raises `ValueError` for another status.
        """
        if not 300 <= status <= 599:
            raise ValueError(f"status: {status} is not between 300 and 599")
        if self.state is State.CONNECTING:
            self._refuse(Refusal(status, text, further), now)

    def begin_response(self, status: int, pairs: Pairs) -> None:
        """Answers the `request` with the head of another response than the upgrade; its body is
        given to `continue_response`, and then the connection closes.

        `pairs` are all its header fields, which have been checked. Raises `LocalProtocolError` of
        h11 for what is no response. Both do nothing if the opening is over.
        """
        assert isinstance(self.handshake, ServerHandshake)
        if self.state is State.CONNECTING:
            self.outbox.raw(self.handshake.begin_response(status, pairs))

    def continue_response(self, body: bytes, now: float, *, last: bool) -> None:
        """Sends a piece of its body. Raises `LocalProtocolError` for one that does not fit to the
        Content-Length."""
        assert isinstance(self.handshake, ServerHandshake)
        if self.state is State.CONNECTING:
            self.outbox.raw(self.handshake.continue_response(body, last=last))
            if last:
                self._refused("answered with another response", now)

    def _refuse(self, refusal: Refusal, now: float) -> None:
        assert isinstance(self.handshake, ServerHandshake)
        self.outbox.raw(self.handshake.refuse(refusal))
        self._refused(f"{refusal.status} {refusal.text}", now)

    def _refused(self, how: str, now: float) -> None:
        self._close_sent = True
        self._close_with_error(HandshakeError(f"refused the handshake: {how}"))
        self._move(_Step.CLOSE)
        self._deadline = now + LINGER

    def _open(self, now: float) -> Sequence[Message]:
        self._scratch = None
        agreed = self.handshake.deflate
        if agreed is not None:
            self.decoder = self._make_decoder(compression=True)
            self._inflater = agreed.inflater(self._options, server=self._server)
            self._outgoing.compress(agreed.deflater(self._options, server=self._server))
        self._message_at = now
        self._keepalive.start(now)
        self._move(_Step.OPEN)
        self.handshake.release()
        leftover, self.handshake.leftover = self.handshake.leftover, b""
        return self.feed(leftover, now) if leftover else ()

    def abandon(self, error: WebSocketError) -> None:
        """Ends it at once, for a reason that the driver knows."""
        if not self.finished:
            if not self._close_received:
                self._close_with_error(error)
            self._finish()

    # -------------------------------------------------------------- bytes out

    @property
    def pending(self) -> int:
        """Bytes that wait to be taken by `data_to_send`."""
        return self.outbox.pending

    @property
    def pending_frames(self) -> int:
        """Frames among them."""
        return self.outbox.frames

    def data_to_send(self) -> bytes:
        """Takes what is to be sent now; `b""` if there is nothing."""
        return self.outbox.take()

    @property
    def half_close(self) -> bool:
        """Whether to shut down the sending half of the transport once all has been sent."""
        return self._close_sent and (
            self.error is not None or (self._close_received and self._server)
        )

    # -------------------------------------------------------------- what applications do

    def check_open(self) -> None:
        """Raises what `send` would raise for a connection that is not open."""
        if self.state is not State.CONNECTED:
            raise self.closed_error()

    def send(self, data: "str | Buffer") -> None:
        """Queues a message: text for `str`, binary for bytes-like data (RFC 6455, section 5.6).

        Raises `TypeError` for anything else, `ValueError` for a `str` that has no UTF-8 form,
        `WebSocketError` while connecting, `ConnectionClosed` (or a subclass) after the end.
        """
        self.check_open()
        self._outgoing.message(data)

    @property
    def form(self) -> Form | None:
        """See `Outgoing.form`."""
        return self._outgoing.form

    def framed(self, data: "str | Buffer") -> bytes:
        """See `Outgoing.framed`. Raises as `send` does for data that cannot be sent."""
        return self._outgoing.framed(data)

    @property
    def fragmenting(self) -> bool:
        """Whether a message has begun to be sent in fragments, and is not at its end: no other may
        be sent. Until then `outbox.open` is False."""
        return self._outgoing.fragmenting

    def send_fragment(self, fragment: Fragment) -> None:
        """Queues the next part of a message that is sent in fragments (RFC 6455, section 5.4).

        Who has begun to send one goes on until the last, or must `break_message`. Control frames
        may come between. Raises as `send` does for a connection that is not open.
        """
        self.check_open()
        self._outgoing.fragment(fragment)

    def break_message(self, now: float) -> None:
        """Says that the message that is being sent in fragments cannot be completed. As the peer
        could not tell, the connection fails with 1011."""
        if self.fragmenting and self.state is State.CONNECTED:
            text = "a message sent in fragments could not be completed"
            self._fail(ConnectionLost(CloseCode.INTERNAL_ERROR, text), now)

    def ping(self, data: "Buffer | None", now: float) -> int:
        """Queues a ping and returns its number: it is answered when `pongs` has reached it.

        None as `data` makes it different from all others, so that its pong is surely its own.
        Raises `ValueError` for more than 125 bytes, and as `send` does.
        """
        self.check_open()
        payload = self._keepalive.unique_data() if data is None else memoryview(data).tobytes()
        self.outbox.ping(payload)
        return self._keepalive.ping_sent(payload, now)

    def close(self, code: int, reason: str, now: float) -> None:
        """Begins the closing handshake, after all that is queued (RFC 6455, section 7.1.2).

        While connecting, the opening is given up. Later, or twice: nothing happens.
        Raises `TypeError` or `ValueError` for what may not be sent in a close frame.
        """
        encoded = check_close(code, reason)
        if self.state is State.CONNECTING:
            self.close_code = CloseCode.ABNORMAL_CLOSURE
            self.close_reason = "closed before the connection was open"
            self._finish()
            return
        if isinstance(self._reaction, Failure):
            self.settle(now)  # the peer is told what it did wrong, not that all is well
        if self.state is State.CONNECTED:
            self._send_close(code, encoded)
            self._deadline = now + self._options.close_timeout
            self.settle(now)  # the peer's close frame may be here, and no reply can be sent now

    def settle(self, now: float) -> None:
        """Does what waited for the application to see, and perhaps answer, the last messages."""
        reaction, self._reaction = self._reaction, None
        self.unsettled = False
        if self.finished:
            return  # it was abandoned in the meantime
        if isinstance(reaction, Close):
            self._close_received = self.input_ended = True
            self.close_code, self.close_reason = reaction.code, reaction.reason
            self._send_close(None if reaction.code == CloseCode.NO_STATUS else reaction.code, b"")
            self._deadline = now + min(LINGER, self._options.close_timeout)
        elif isinstance(reaction, Failure):
            self._fail(ProtocolError(reaction.code, reaction.reason), now)

    # -------------------------------------------------------------- time

    @property
    def deadline(self) -> float | None:
        """When `tick` must be called at the latest; None if nothing is waited for."""
        if self.state is not State.CONNECTED or self.unsettled:
            return self._deadline
        due = [self._keepalive.deadline, self._message_due]
        return min((when for when in due if when is not None), default=None)

    @property
    def _message_due(self) -> float | None:
        return later(self._message_at, self._options.read_timeout)

    def heard(self, at: float, message_at: float) -> None:
        """Says when bytes, and messages among them, have arrived last that only `decoder` has seen;
        0 for never."""
        self._keepalive.heard(at)
        self._message_at = max(self._message_at, message_at)

    def tick(self, now: float, *, reading: bool = True) -> None:
        """Says what time it is. `reading` is False while nobody reads from the transport: then
        silence is no sign of a dead peer, and the clocks that measure it stand still."""
        if self.finished:
            return
        if self.state is not State.CONNECTED:
            if reached(self._deadline, now):
                self._give_up()
            return
        if not reading:
            self._keepalive.heard(now)
            self._message_at = now
        if self.unsettled:  # the peer has ended it: its silence means nothing
            if reached(self._deadline, now):
                self.settle(now)
        elif self._keepalive.is_dead(now):
            self._fail(ConnectionLost(CloseCode.INTERNAL_ERROR, "keepalive ping timeout"), now)
            self._deadline = now  # it has been silent for long enough
        elif reached(self._message_due, now):
            text = "read timeout: no message within read_timeout"
            self._fail(ConnectionLost(CloseCode.POLICY_VIOLATION, text), now)
        elif self._keepalive.probe_due(now):
            self._keepalive.probe_sent(self.ping(None, now))

    def _give_up(self) -> None:
        if self.state is State.CONNECTING:
            self._close_with_error(ConnectTimeout("timeout: not open within dial_timeout"))
        elif not self._close_received and self.error is None:
            text = "timeout: no close frame from the peer within close_timeout"
            self._close_with_error(ConnectionLost(CloseCode.ABNORMAL_CLOSURE, text))
        self._finish()

    # -------------------------------------------------------------- inside

    def closed_error(self) -> WebSocketError:
        """What to raise for an operation that needs an open connection, when it is not."""
        if self.state is State.CONNECTING:
            return WebSocketError("not connected yet")
        if isinstance(self.error, ConnectionClosed):
            return type(self.error)(self.error.code, self.error.reason)
        if self.error is not None:
            return ConnectionLost(CloseCode.ABNORMAL_CLOSURE, str(self.error))
        if self.close_code is None:
            return ConnectionClosed(CloseCode.ABNORMAL_CLOSURE, "closing", clean=False)
        clean = self.close_code != CloseCode.ABNORMAL_CLOSURE
        return ConnectionClosed(self.close_code, self.close_reason, clean=clean)

    def _move(self, step: _Step) -> None:
        self.state = _TRANSITIONS[self.state][step]
        self._outgoing.set_open(self.state is State.CONNECTED)

    def _finish(self) -> None:
        self._move(_Step.END if self.error is None else _Step.FAIL)
        self._deadline = None
        self.input_ended = self.finished = True

    def _close_with_error(self, error: WebSocketError) -> None:
        """Records why it ends. The first reason is the one that counts."""
        if self.error is not None:
            return
        self.error = error
        self.input_ended = True
        if isinstance(error, ConnectionClosed):
            self.close_code, self.close_reason = error.code, error.reason
        else:
            self.close_code, self.close_reason = CloseCode.ABNORMAL_CLOSURE, str(error)

    def _fail(self, error: ConnectionClosed, now: float) -> None:
        """_Fail the WebSocket Connection_ (RFC 6455, section 7.1.7)."""
        self._close_with_error(error)
        self._send_close(error.code, error.reason.encode()[:MAX_CLOSE_REASON])
        self._deadline = now + min(LINGER, self._options.close_timeout)

    def _send_close(self, code: int | None, reason: bytes) -> None:
        if not self._close_sent:
            self.outbox.close(code, reason)
            self._close_sent = True
            self._move(_Step.CLOSE)
