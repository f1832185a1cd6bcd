"""A connection as users see it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

from wsfast.aio.driver import Driver
from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import (
    ConnectionClosed,
    ConnectionLost,
    QueueFull,
    SendTimeout,
)
from wsfast.protocol.facts import ConnectionFacts
from wsfast.protocol.sending import Chunks, Fragment, Splitter, check_chunks

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AsyncChunks", "Connection"]

AsyncChunks: TypeAlias = "AsyncIterable[str] | AsyncIterable[Buffer]"


class Turn:
    """The line of those who wait to send, and who is at its head."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.task: asyncio.Task[Any] | None = None


async def _split(
    chunks: "Chunks | AsyncChunks", text: bool | None
) -> AsyncGenerator[Fragment, None]:
    splitter = Splitter(text)
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            if fragment := splitter.add(chunk):
                yield fragment
    else:
        for chunk in chunks:
            if fragment := splitter.add(chunk):
                yield fragment
    yield splitter.end()


class Connection(ConnectionFacts, Driver):
    """One connection, client or server. On its event loop's thread only: from another thread its
    methods raise `RuntimeError`.

    Made by `connect` and by servers. An iteration over it gives the messages until the end; it ends
    quietly after a closing handshake, and otherwise raises `ConnectionLost` or `ProtocolError`.
    """

    __slots__ = ()

    # -------------------------------------------------------------- what it is

    @property
    def remote_address(self) -> object:
        """The peer's socket address, in the form of its address family; None if not connected."""
        return None if self._transport is None else self._transport.get_extra_info("peername")

    @property
    def local_address(self) -> object:
        """Our socket address, in the form of its address family; None if not connected."""
        return None if self._transport is None else self._transport.get_extra_info("sockname")

    # -------------------------------------------------------------- receiving

    def _check_input(self, iterating: bool) -> None:
        if self._no_queue:
            raise RuntimeError("messages go to on_message")
        if self._protocol.unsettled:
            self._settle()
        if self._protocol.input_ended:
            error = self._protocol.closed_error()
            if iterating and isinstance(error, ConnectionClosed) and error.clean:
                raise StopAsyncIteration
            raise error

    # -------------------------------------------------------------- sending

    def _send_otherwise(self, data: "str | Buffer", size: int, strict: bool) -> None:
        self._check_usable()
        if strict:
            self._check_room(size)
        self._protocol.send(data)

    def _check_room(self, size: int) -> None:
        if self._protocol.fragmenting:
            if self._turn.task is asyncio.current_task():
                raise RuntimeError("what gives the chunks of a message cannot send another")
            raise QueueFull("another message is being sent in fragments")
        if not self._fits(size):
            raise QueueFull("the send queue is full")

    def _check_usable(self) -> None:
        self._protocol.check_open()
        if self._broken:
            raise ConnectionLost(CloseCode.ABNORMAL_CLOSURE, "the peer takes no more data")

    async def _send_slowly(self, data: "str | Buffer") -> None:
        if self._options.send_overflow == "fail":
            return self.send_nowait(data)
        async with self._patience(), self._in_turn():
            await self._until(self._may_send)
            self._send(data)

    def _may_send(self) -> bool:
        return self._has_room or self._protocol.state is not State.CONNECTED

    @contextlib.asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """Bounds what a sender waits."""
        try:
            async with asyncio.timeout(self._options.write_timeout):
                yield
        except TimeoutError:
            text = "timeout: no room in the send queue within write_timeout"
            raise SendTimeout(text) from None

    @contextlib.asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Among those who wait to send, who came first goes first."""
        if self._turn is None:
            self._turn = Turn()
        turn, task = self._turn, asyncio.current_task()
        if turn.task is task:
            raise RuntimeError("what gives the chunks of a message cannot send another")
        self._waiting += 1
        try:
            async with turn.lock:
                turn.task = task
                try:
                    yield
                finally:
                    turn.task = None
        finally:
            self._waiting -= 1

    async def send_fragments(
        self, chunks: "Chunks | AsyncChunks", *, text: bool | None = None
    ) -> None:
        """Sends one message in fragments, a frame for each chunk (RFC 6455, section 5.4), so that
        it need not be in memory as a whole: text if the chunks are `str`, binary if they are
        bytes-like. They come from an iterable or an asynchronous one.

        `text` says which of them they must be; without chunks the message is empty, and binary
        unless `text` is True. A chunk is sent once the next has come or there is none, so one alone
        makes a message as `send` does. Before each it waits for room, as `send` does. On a
        compressed connection each is compressed, whatever `compression_threshold` says.

        Meanwhile control frames leave, but no other message: who sends one in another task waits
        up to `write_timeout`; `send_nowait` raises `QueueFull`.

        Raises what `send` does and what `chunks` raises; `TypeError` also for chunks of both kinds,
        or a single `str` or bytes-like object in their place; `RuntimeError` for a send of another
        message within `chunks`. If that is before the second chunk has come, or it is cancelled
        before, nothing was sent. After that the message cannot be completed any more, and the
        connection fails with 1011.
        """
        check_chunks(chunks)
        self._check_thread()
        self._check_usable()
        async with contextlib.AsyncExitStack() as stack:
            pieces = await stack.enter_async_context(contextlib.aclosing(_split(chunks, text)))
            first = await anext(pieces)
            if self._options.send_overflow == "fail":
                self._check_room(len(first.payload))
            async with self._patience():
                await stack.enter_async_context(self._in_turn())
            await self._send_fragment(first)
            try:
                async for fragment in pieces:
                    await self._send_fragment(fragment)
            except BaseException:
                if not self._broken:  # or what the peer sent before it went away would be lost
                    self._protocol.break_message(time.monotonic())
                    self._after()
                raise

    async def _send_fragment(self, fragment: Fragment) -> None:
        if not self._has_room:
            async with self._patience():
                await self._until(self._may_send)
        self._check_usable()
        self._protocol.send_fragment(fragment)
        self._push()

    async def ping(self, data: "Buffer | None" = None) -> float:
        """Sends a ping and waits for its pong; returns the seconds between the two.

        By default with data of its own. Raises `ValueError` for more than 125 bytes,
        `ConnectionClosed` if the connection ends first, or has ended.
        """
        self._check_thread()
        protocol = self._protocol
        number = protocol.ping(data, time.monotonic())
        self._after()
        await self._until(lambda: protocol.pongs >= number or protocol.finished)
        if protocol.pongs < number or protocol.latency is None:
            raise protocol.closed_error()
        return protocol.latency

    # -------------------------------------------------------------- the end

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begins the closing handshake, after all that is queued, and waits for its end.

        Ends by `close_timeout` whatever the peer does. Cancelled, the handshake goes on without
        it. After the end it does nothing. Raises `TypeError` or `ValueError` for a code or reason
        that may not be sent (RFC 6455, section 7.4).
        """
        self.close_nowait(code, reason)
        await self.wait_closed()

    def close_nowait(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """As `close`, and does not wait for the end."""
        self._check_thread()
        self._begin_close(code, reason)

    def abort(self) -> None:
        """Drops the connection at once, without a closing handshake."""
        self._check_thread()
        self._abandon(ConnectionLost(CloseCode.ABNORMAL_CLOSURE, "aborted"))

    async def wait_closed(self) -> None:
        """Waits until the connection has ended and its socket is closed."""
        await self._until(lambda: self._gone)
