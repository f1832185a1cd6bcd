"""A client's WebSocket as a process."""

import asyncio
import logging
import threading
from collections.abc import Awaitable
from contextvars import copy_context
from functools import partial
from typing import NamedTuple

from wsfast.process.messages import (
    CANCEL,
    CANCELLED,
    LINK_DOWN,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Event,
    Message,
    Signal,
)
from wsfast.process.node import Node
from wsfast.process.pids import PID
from wsfast.process.processes import Process
from wsfast.relay.asgi import Event as ASGIEvent
from wsfast.relay.asgi import Receive, Send
from wsfast.relay.attachment import Attachment, Busy
from wsfast.relay.invitation import Invitation
from wsfast.relay.payloads import CLOSE, CONTROL, SEND, closing, cut, to_send, transfer
from wsfast.relay.queues import Queue
from wsfast.relay.settings import Settings
from wsfast.relay.steps import Rest, begin

__all__ = ["Connection"]

logger = logging.getLogger("wsfast")

_NORMAL_CODES = frozenset({1000, 1001, 1005, *range(3000, 5000)})
_EXITED = "target process exited"
_GOODBYES = {
    NORMAL: (1000, _EXITED),
    CANCELLED: (1001, _EXITED),
    NOPROC: (1001, _EXITED),
    NOCONNECTION: (1011, "target process lost"),
}
_CRASHED = (1011, "target process crashed")
_SLOW = (1013, "too slow a client")
_BUSY = (1013, "target process is busy")
_DISCONNECT = "websocket.disconnect"
_FAILED = (OSError, RuntimeError)
"""What servers raise when there is nobody any more to send to."""


class End(NamedTuple):
    """How a connection ends."""

    code: int
    reason: str
    clean: bool = False
    """Whether by a closing handshake."""
    exit_reason: str | None = None
    """What monitors and links are told, if that does not follow from the code."""

    @property
    def told(self) -> str:
        """The reason for monitors and links."""
        if self.exit_reason is not None:
            return self.exit_reason
        if self.clean and self.code in _NORMAL_CODES:
            return NORMAL
        return f"websocket closed: {self.code} {self.reason}".rstrip()

    @property
    def left(self) -> str:
        """The reason for the target."""
        return self.reason or ("closed" if self.clean else "connection lost")


class Connection(Process):
    """A process whose code is the relay: what is sent to it goes to the client, or is about the
    connection; what the client sends goes to the target.

    `deliver`, `take`, `cancel` and `terminate` may be called by any thread; `lock` guards `_queue`,
    `_sealed` and `_roused`. All else is for the thread of the event loop, and two tasks there:
    `run`, the server's own, receives from the client, and `_write` sends to it. Whoever finds that
    the connection has to end says so by `_finish_by`; `run` does it.
    """

    def __init__(self, node: Node, pid: PID, settings: Settings) -> None:
        super().__init__(node, pid, mailbox_size=1, drop_oldest=False)
        self.stop = self._insist
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._since = self._loop.time()
        self._queue = Queue(settings)
        self._sealed = False
        self._roused = False
        self._told = self.events()
        self._context = copy_context()
        self._rest: Rest | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._reading: asyncio.Timeout | None = None
        self._end: End | None = None
        self._gone = False
        self._hurried = False  # by a server that does not wait for the client's answer
        self._count = 0
        self._sending_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._heart: asyncio.TimerHandle | None = None

    # -------------------------------------------------------------- for any thread

    def deliver(self, message: Message) -> bool:
        at_once = message.topic == SEND and self._may_begin()
        with self.lock:
            if self._sealed:
                return False
            # The second look is for messages that have come since from other threads.
            at_once = at_once and not self._roused
            taken = at_once or self._queue.put(message)
            # Nothing is sent after what closes the connection.
            self._sealed = taken and message.topic == CLOSE
            rouse = not self._roused or self._queue.overflowed
            self._roused = not at_once
        if at_once:
            self._begin(message.payload)
        elif rouse:
            self._rouse()
        return taken

    def take(self, signal: Signal) -> bool:
        taken = super().take(signal)
        self._insist()
        return taken

    def cancel(self, sender: PID | None, reason: str, grace: float | None) -> bool:
        taken = super().cancel(sender, reason, grace)
        self._insist()
        return taken

    def _insist(self) -> None:
        with self.lock:
            self._roused = True
        self._rouse()

    def _rouse(self) -> None:
        if threading.get_ident() == self._thread:
            self._wake()
            return
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            self.finish(CANCELLED)  # the loop has been closed over its tasks

    # -------------------------------------------------------------- the course of it

    async def run(
        self, target: PID, invitation: Invitation, accept: ASGIEvent, receive: Receive, send: Send
    ) -> None:
        """Accepts the socket, relays until either side closes it, and tells everybody."""
        self._receive, self._send = receive, send
        self._attachment = Attachment(self, target, invitation, self._settings.delivery_timeout)
        try:
            await self._relay(accept, invitation.heartbeat)
        except asyncio.CancelledError:
            self._finish_by(End(1001, "server shutdown", exit_reason=CANCELLED))
            self._hurried = True
            raise
        finally:
            await self._wind_up(self._end or End(1011, "internal error"))

    async def _relay(self, accept: ASGIEvent, heartbeat: float | None) -> None:
        reading = asyncio.timeout(None)
        try:
            async with reading:
                self._reading = reading
                await self._put(accept)
                # Of a client that has gone meanwhile the target learns by a leave.
                await self._attachment.join()
                self._writer = self._loop.create_task(self._write(), context=self._context)
                self._writer.add_done_callback(self._has_written)
                if heartbeat is not None:
                    self._beat(heartbeat)
                await self._read()
        except TimeoutError:
            if not reading.expired():
                raise
        except Busy:
            self._finish_by(End(*_BUSY))
        finally:
            self._reading = None

    async def _wind_up(self, end: End) -> None:
        self._seal()
        try:
            if self._writer is not None:
                self._writer.cancel()
                await asyncio.wait({self._writer})
            if self._rest is not None:
                self._rest.close()
            if not self._gone:
                end = await self._close(end)
            await self._attachment.leave(end.left)
        finally:
            self._attachment.leave_now(end.left)
            result = {"code": end.code, "reason": end.reason, "clean": end.clean}
            self.finish(end.told, result)
            for timer in (self._watch, self._heart):
                if timer is not None:
                    timer.cancel()

    async def _close(self, end: End) -> End:
        """Closes the socket from our side."""
        close = {"type": "websocket.close", "code": end.code, "reason": end.reason}
        try:
            async with asyncio.timeout(self._settings.close_timeout):
                await self._send(close)
                if self._hurried:
                    return end
                while (await self._receive())["type"] != _DISCONNECT:
                    pass
        except _FAILED:
            return end
        return end._replace(clean=True)

    def _finish_by(self, end: End) -> None:
        """Ends the connection, once."""
        if self._end is None:
            self._end = end
            self._seal()
            if self._reading is not None:
                self._reading.reschedule(self._loop.time())

    def _seal(self) -> None:
        """Takes no more messages, and forgets those that wait."""
        with self.lock:
            self._sealed = True
            self._queue.clear()

    # -------------------------------------------------------------- from the client

    async def _read(self) -> None:
        receive, message, limit = self._receive, self._attachment.message, self._settings.read_limit
        while (event := await receive())["type"] != _DISCONNECT:
            text = event.get("text")
            kind, data = ("binary", event["bytes"]) if text is None else ("text", text)
            if len(data) > limit or (text is not None and _is_longer(text, limit)):
                self._finish_by(End(1009, f"a message may have {limit} bytes"))
                return
            self._count += 1
            try:
                taken = message(kind, data)
            except ValueError:
                self._finish_by(End(1009, "too much for the node of the target"))
                return
            if not taken:
                await self._attachment.insist(partial(message, kind, data))
        self._gone = True
        self._finish_by(_ended_by(event))

    def _beat(self, interval: float) -> None:
        if self._end is None:
            if self._heart is not None:
                self._attachment.heartbeat(self._loop.time() - self._since, self._count)
            self._heart = self._loop.call_later(interval, self._beat, interval)

    # -------------------------------------------------------------- to the client

    async def _write(self) -> None:
        while self._end is None:
            self._sleeper = None
            if self._rest is not None:
                rest, self._rest = self._rest, None
                await self._finish_sending(rest)
            with self.lock:
                self._roused = False
            # First what has happened: what was sent before that is in the queue by now.
            told = [next(self._told) for _ in range(len(self._told))]
            count = len(self._queue)
            for _ in range(count):
                await self._obey_next()
            for event in told:
                self._heed(event)
            if not count and not told:
                self._sleeper = self._loop.create_future()
                await self._sleeper

    def _wake(self) -> None:
        """Lets `_write` look what there is; and what that may not wait for is done here."""
        if self._queue.overflowed:
            self._finish_by(End(*_SLOW))
        elif self.terminated is not None:
            self._finish_by(End(1001, cut(self.terminated), exit_reason=self.terminated))
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def _has_written(self, writer: "asyncio.Task[None]") -> None:
        if not writer.cancelled() and (error := writer.exception()) is not None:
            if isinstance(error, Busy):
                self._finish_by(End(*_BUSY))
            else:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        logger.error("relaying to %s has failed", self.pid, exc_info=error)
        self._finish_by(End(1011, "internal error"))

    async def _obey_next(self) -> None:
        with self.lock:
            if not self._queue:
                return  # what was there has been dropped, or the end has come
            topic, payload, _ = self._queue.take()
        try:
            if topic == SEND:
                await self._put(to_send(payload))
            elif topic == CLOSE:
                self._finish_by(End(*closing(payload)))
            elif topic == CONTROL:
                await self._move(payload)
            else:
                logger.warning("%s is a socket, and does not know %r", self.pid, topic[:80])
        except (TypeError, ValueError) as error:
            self._refuse(topic, error)
            if topic == CLOSE:
                self._finish_by(End(1000, ""))

    async def _move(self, payload: object) -> None:
        dest, topic = transfer(payload)
        target = self.node.resolve(dest)
        if target is None:
            logger.warning("%s is to be relayed to %s, which there is not", self.pid, dest)
            self._finish_by(End(*_GOODBYES[NOPROC]))
        else:
            await self._attachment.move(target, topic)

    async def _put(self, event: ASGIEvent) -> None:
        """Sends an event; if there is nobody any more, does nothing."""
        self._watch_over_sending()
        await self._finish_sending(self._send(event))

    async def _finish_sending(self, sending: Awaitable[object]) -> None:
        try:
            await sending
        except _FAILED:
            pass  # it will be received, after what the client has sent before
        finally:
            self._sending_since = None

    def _may_begin(self) -> bool:
        """Whether this is the thread of the loop, and `_write` sleeps for want of anything."""
        return (
            threading.get_ident() == self._thread
            and self._sleeper is not None
            and not self._sleeper.done()
            and self._loop.is_running()
        )

    def _begin(self, payload: object) -> None:
        """Sends a message while `_write` sleeps; what cannot be done at once is left to it."""
        assert self._writer is not None
        try:
            sending = self._send(to_send(payload))
            self._rest = begin(sending, self._writer, self._context, self._loop)
        except _FAILED:
            pass
        except (TypeError, ValueError) as error:
            self._refuse(SEND, error)
        except Exception as error:  # noqa: BLE001 - not the sender's, whose call this is
            self._fail(error)
        if self._rest is not None:
            self._watch_over_sending()
            self._insist()

    def _refuse(self, topic: str, error: Exception) -> None:
        logger.warning("%s for %s is refused: %s", topic, self.pid, error)

    def _watch_over_sending(self) -> None:
        self._sending_since = self._loop.time()
        if self._watch is None:
            self._look()

    def _look(self) -> None:
        """Ends what takes longer than `write_timeout`; one timer serves many messages."""
        self._watch = None
        if self._sending_since is None:
            return
        left = self._sending_since + self._settings.write_timeout - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._finish_by(End(*_SLOW))

    # -------------------------------------------------------------- what happens to others

    def _heed(self, event: Event) -> None:
        if event.kind == CANCEL:
            self._finish_by(End(1001, cut(event.reason), exit_reason=event.reason))
        elif event.kind == LINK_DOWN:
            self._finish_by(End(1011, "linked process exited", exit_reason=event.reason))
        elif event.sender == self._attachment.target:
            self._finish_by(End(*_GOODBYES.get(event.reason, _CRASHED)))


def _ended_by(event: ASGIEvent) -> End:
    code, reason = event.get("code", 1005), event.get("reason")
    # Servers that have seen no close frame say so by 1006, or by 1005 without any reason.
    if code == 1006 or (code == 1005 and "reason" not in event):
        return End(1006, reason or "")
    return End(code, reason or "", clean=True)


def _is_longer(text: str, limit: int) -> bool:
    """Whether it has more bytes of UTF-8; cheap where that is plain."""
    return 3 * len(text) > limit and len(text.encode("utf-8", "surrogatepass")) > limit
