"""A connection on an event loop: the sans-I/O connection, driven by a transport.

What each chunk and each message goes through is `_endpoint.pyx`; here is what has to be done now
and then: opening, control frames, time, the end. Everything runs on the loop's thread, and nothing
here waits.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

from wsfast.aio._endpoint import Endpoint, Wire
from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.connection import Event, Message
from wsfast.protocol.constants import State
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.http1 import Pairs
from wsfast.protocol.keepalive import reached
from wsfast.protocol.options import Options
from wsfast.system.tls import TLSSession, describe, handshake_failure

__all__ = ["Driver"]

logger = logging.getLogger("wsfast.aio")

ANSWER = 1.0
"""Seconds that the application gets to answer what came before the peer's close frame, while it
has not taken all of that. One that only sends would never come back to settle it."""

TAKE = 1.0
"""Seconds that the application gets, after we have closed, to take something from a full inbox."""

_WRITE_THEMSELVES = ("asyncio.selector_events", "uvloop.loop", "aiofastnet.selector_transport")
"""Modules of transports whose socket may be written to while they have nothing to write: they look
at it then only, and count what they have."""


class _Wire(Wire, asyncio.BufferedProtocol):
    """What is given to a transport. The loop asks whether it is of that class."""

    __slots__ = ()


class Owner(Interface):
    """A server, to its connections."""

    def requested(self, connection: Any) -> None:
        """There is a request, to be accepted or refused."""

    def opened(self, connection: Any) -> None:
        """The connection is open."""

    def gone(self, connection: Any) -> None:
        """It has ended, and the transport is closed."""


class Driver(Endpoint):
    """The part of a connection that users do not see. On its loop's thread only."""

    __slots__ = (
        "_answer_due",
        "_draining",
        "_early",
        "_gone",
        "_half_closed",
        "_loop",
        "_options",
        "_owner",
        "_peer",
        "_protocol",
        "_requested",
        "_session",
        "_take_due",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiters",
    )

    def __init__(
        self,
        protocol: Protocol,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        *,
        on_message: Callable[[Any, Message], object] | None,
        owner: "Owner | None" = None,
        session: TLSSession | None = None,
        peer: str = "",
        early: bytes = b"",
    ) -> None:
        """`session` is the TLS to begin with, and `peer` what errors call the other side. `early`
        is what the peer has sent already."""
        self._protocol = protocol
        self._options = options
        self._loop = loop
        self._owner = owner
        self._session = session  # until the TLS handshake is done, and then to say goodbye
        self._peer = peer
        self._early = early
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._answer_due: float | None = None
        self._take_due: float | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._requested = False  # the owner has been told of the request
        self._draining = False  # the peer has closed, and something for it is still to be sent
        self._half_closed = False
        self._gone = False  # it has ended, and the transport is closed
        self._set_up(loop, protocol.outbox, on_message, options)

    # -------------------------------------------------------------- opening

    def _wire(self) -> _Wire:
        """What to give to a transport."""
        return _Wire(self)

    def _made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if self._protocol.finished:  # given up meanwhile
            transport.abort()
            return
        sock = transport.get_extra_info("socket")
        fd = -1 if sock is None else sock.fileno()
        direct = (
            fd != -1
            and sys.platform != "win32"
            and type(transport).__module__ in _WRITE_THEMSELVES
            and transport.get_extra_info("sslcontext") is None
        )
        # It says when it has something to write, and when no more; asyncio's TLS counts from one.
        transport.set_write_buffer_limits(0 if direct else 1, 0)
        self._attach(transport.write, fd if fd != -1 else None, direct)
        early, self._early = self._early, b""
        if self._session is not None:
            if early:  # nothing would mean the end
                self._session.cipher.feed(early)
            self._encrypt(self._session.cipher)
            self._shake_hands()
        elif early:
            self._opening(early)
        self._after()

    def _shake_hands(self) -> None:
        """Goes on with the TLS handshake as far as what has been received allows."""
        assert self._session is not None
        try:
            self._shaking = not self._session.handshake_step()
        except OSError as exc:
            self._flush()  # lets the peer know why
            self._protocol.abandon(handshake_failure(self._peer, exc))
            self._after()
            return
        self._flush()

    def _opening(self, data: bytes) -> None:
        """Takes bytes that came before the connection was open."""
        self._opened(self._protocol.feed(data, time.monotonic()))

    async def _until_open(self) -> None:
        """On a client: waits until the opening is over, or has led elsewhere. Raises what it failed
        with."""
        protocol = self._protocol
        await self._until(
            lambda: protocol.state is not State.CONNECTING or protocol.redirect is not None
        )
        if protocol.error is not None and not self._is_open:
            raise protocol.error

    def _accept(self, further: Pairs | None = None) -> None:
        """On a server: answers the request with the upgrade, and `further` header fields."""
        self._opened(self._protocol.accept(time.monotonic(), further))

    def _refuse(self, status: int, text: str, further: Pairs | None = None) -> None:
        """On a server: turns the request down."""
        self._protocol.refuse(status, text, time.monotonic(), further)
        self._after()

    def _opened(self, messages: Sequence[Message]) -> None:
        """After each step of the opening. `messages` have come along with the last of them."""
        protocol = self._protocol
        if protocol.state is State.CONNECTING:
            if protocol.request is not None and self._owner is not None and not self._requested:
                self._requested = True
                self._owner.requested(self)
        elif protocol.state is State.CONNECTED and not self._is_open:
            self._open(protocol.decoder)
            self._flush()
            if self._owner is not None:
                self._owner.opened(self)
            self._deliver(list(messages))
        self._handled()

    # -------------------------------------------------------------- receiving

    def _handle(self, events: list[Event]) -> list[Message]:
        messages = self._protocol.handle(events, time.monotonic())
        return list(messages)

    def _handled(self) -> None:
        """After what `_handle` returned has been delivered, or kept."""
        if self._protocol.unsettled:
            if self._count:
                self._answer_due = time.monotonic() + ANSWER
            else:
                self._protocol.settle(time.monotonic())
        self._after()

    def _settle(self) -> None:
        """Lets go out what waited for the replies to the messages received last."""
        self._answer_due = None
        self._protocol.settle(time.monotonic())
        self._after()

    def _out_of_memory(self) -> None:
        self._protocol.out_of_memory(time.monotonic())
        self._handled()

    def _callback_failed(self, error: Exception) -> None:
        self._loop.call_exception_handler(
            {"message": "on_message failed", "exception": error, "transport": self._transport}
        )

    def _pause(self) -> None:
        """The inbox is full."""
        assert self._transport is not None
        self._paused = True
        self._transport.pause_reading()
        if self._protocol.state is State.CLOSING:
            self._wait_for_space()

    def _resume(self) -> None:
        self._paused = False
        self._take_due = None
        if self._transport is not None:
            self._transport.resume_reading()

    def _wait_for_space(self) -> None:
        """Once we have said goodbye, not for long: to hear the peer's answer what comes before it
        is dropped if nobody takes it."""
        self._take_due = time.monotonic() + TAKE
        self._arm()

    # -------------------------------------------------------------- the end

    def _ended(self) -> None:
        """The peer will send nothing more."""
        protocol, now = self._protocol, time.monotonic()
        protocol.settle(now)
        protocol.eof(now, sending=self._unsent)
        self._draining = not protocol.finished
        self._after()

    def _failed(self, error: OSError) -> None:
        """What has come cannot be decrypted."""
        self._protocol.lost(f"connection lost: {describe(error)}", time.monotonic())
        self._after()

    def _lost(self, error: Exception | None) -> None:
        """The transport is closed."""
        protocol, now = self._protocol, time.monotonic()
        if isinstance(error, OSError) and self._shaking:
            protocol.abandon(handshake_failure(self._peer, error))
        elif isinstance(error, OSError):
            protocol.lost(f"connection lost: {describe(error)}", now)
        else:
            protocol.eof(now)
        self._detach()
        self._transport = None
        self._gone = True
        self._after()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.gone(self)

    def _sent(self) -> None:
        """There is room for more to write."""
        if self._protocol.state is State.CONNECTED:
            self._wake_waiters()
        else:
            # asyncio's own transport would tell of its end twice if it were closed here.
            self._loop.call_soon(self._after_sending)

    def _after_sending(self) -> None:
        if self._draining and not self._unsent:
            self._protocol.eof(time.monotonic())
        self._after()

    def _abandon(self, error: WebSocketError) -> None:
        """Ends it at once because of `error`, without a closing handshake."""
        self._protocol.abandon(error)
        self._after()

    def _begin_close(self, code: int, reason: str) -> None:
        self._protocol.close(code, reason, time.monotonic())
        if self._paused and self._take_due is None:
            self._wait_for_space()
        self._after()

    def _let_go(self, code: int, reason: str) -> None:
        """As `_begin_close`, when nobody takes what comes."""
        self._dropping = True
        if self._paused:
            self._resume()
        self._begin_close(code, reason)

    def _after(self) -> None:
        """After anything that may have changed the state of the protocol, or given it something to
        send."""
        protocol = self._protocol
        self._flush()
        self._deaf = protocol.input_ended
        self._ending = protocol.unsettled or protocol.input_ended
        if protocol.half_close and not (self._half_closed or self._unsent or self._gone):
            self._half_close()
        if protocol.finished:
            self._finish()
        else:
            self._arm()
        self._wake()

    def _half_close(self) -> None:
        assert self._transport is not None
        self._half_closed = True
        self._say_goodbye()
        if self._transport.can_write_eof():
            # asyncio's own shuts the socket down at once, which fails if the peer has reset it:
            # what that means the transport is about to find out.
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    def _say_goodbye(self) -> None:
        """Of TLS."""
        if self._session is not None and self._transport is not None and not self._shaking:
            session, self._session = self._session, None
            end = session.end()
            if end:
                self._transport.write(end)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None and not self._transport.is_closing():
            if self._unsent:
                self._transport.abort()
            else:
                self._say_goodbye()
                self._transport.close()
            self._detach()

    # -------------------------------------------------------------- time

    def _arm(self) -> None:
        """Makes sure that the timer fires when it is needed. It may fire too early; then it is
        armed again."""
        due = (self._protocol.deadline, self._answer_due, self._take_due)
        when = min((each for each in due if each is not None), default=None)
        if when is None or (self._timer is not None and self._timer_at <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        delay = max(0.0, when - time.monotonic())
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        protocol, now = self._protocol, time.monotonic()
        protocol.heard(self._heard_at, self._message_at)
        # What has arrived while the loop was busy is no silence.
        protocol.tick(now, reading=not (self._paused or self._readable))
        if reached(self._answer_due, now):
            self._answer_due = None
            protocol.settle(now)
        if reached(self._take_due, now):
            self._dropping = True
            self._resume()
        self._after()

    # -------------------------------------------------------------- waiting

    def _wake(self) -> None:
        """Makes all who wait look again at the state of the connection."""
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        for waiter in self._waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, done: Callable[[], bool]) -> None:
        """Waits until that is so."""
        while not done():
            waiter: asyncio.Future[None] = self._loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
                if not self._waiters:
                    self._waiters = None
