"""The process that a socket is relayed to, and what it is told."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from wsfast.process.messages import Message
from wsfast.process.pids import PID
from wsfast.process.processes import Process
from wsfast.relay.invitation import Invitation

__all__ = ["Attachment", "Busy"]

logger = logging.getLogger("wsfast")

JOIN = "ws.join"
LEAVE = "ws.leave"
HEARTBEAT = "ws.heartbeat"

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


class Busy(Exception):
    """The mailbox of the target had no room, for too long."""


class Attachment:
    """One target at a time, which is monitored, and told by `ws.join` and `ws.leave` from when to
    when it is the one. For the thread of the event loop.

    A mailbox that is full takes what is meant for it a little later: nobody can say when it will
    have room, so it is asked again, after pauses.

    Args:
        process: the connection, which sends and monitors.
        timeout: how many seconds it is asked.
    """

    def __init__(
        self, process: Process, target: PID, invitation: Invitation, timeout: float
    ) -> None:
        self.target = target
        self._process = process
        self._topic = invitation.topic
        self._metadata = invitation.metadata
        self._timeout = timeout
        self._here: Process | None = None  # the target, if it runs on this node
        self._moving = False
        self._joined = False

    # -------------------------------------------------------------- what it is told

    async def join(self) -> None:
        """Monitors the target, and tells it of the client. `Busy` if it has no room for that."""
        self._process.monitor(self.target)
        self._here = self._process.node.find(self.target)
        payload = {"client_pid": self._process.pid, "metadata": self._metadata}
        await self.insist(partial(self._offer, JOIN, payload))
        self._joined = True

    def message(self, kind: str, data: str | bytes) -> bool:
        """Hands on what the client has sent; False if that is not possible now."""
        return not self._moving and self._offer(
            self._topic,
            {
                "client_pid": self._process.pid,
                "type": kind,
                "data": data,
                "metadata": self._metadata,
            },
        )

    def heartbeat(self, uptime: float, count: int) -> None:
        """Tells that the client is still there; if there is no room, not this time."""
        if self._joined:
            payload = {
                "client_pid": self._process.pid,
                "uptime": uptime,
                "message_count": count,
                "metadata": self._metadata,
            }
            self._offer(HEARTBEAT, payload)

    async def leave(self, reason: str) -> None:
        """Tells the target that the client is not its own any more, if it was."""
        if not self._joined:
            return
        try:
            await self.insist(partial(self.leave_now, reason))
        except Busy:
            logger.warning("the mailbox of %s has no room for %s", self.target, LEAVE)
            self._joined = False

    def leave_now(self, reason: str) -> bool:
        """The same, without waiting; False if there is no room."""
        if not self._joined:
            return True
        payload = {
            "client_pid": self._process.pid,
            "reason": reason,
            "metadata": self._metadata,
        }
        self._joined = not self._offer(LEAVE, payload)
        return not self._joined

    async def move(self, target: PID, topic: str | None) -> None:
        """Makes another process the target. Meanwhile no message of the client is handed on, so
        each goes to one of the two, after its `ws.join` and before its `ws.leave`."""
        self._moving = True
        try:
            self._process.unmonitor(self.target)
            await self.leave("transferred")
            self.target = target
            if topic is not None:
                self._topic = topic
            await self.join()
        finally:
            self._moving = False

    # -------------------------------------------------------------- how

    async def insist(self, attempt: Callable[[], bool]) -> None:
        """Tries until it succeeds. `Busy` if that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        pause = _FIRST_PAUSE
        while not attempt():
            if loop.time() >= deadline:
                raise Busy
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _offer(self, topic: str, payload: dict[str, Any]) -> bool:
        """False if there is no room now, there or on the way. True if there is nobody any more, or
        no way: of that the monitor tells. `ValueError` for what cannot travel."""
        message = Message(topic, payload, self._process.pid)
        if self._here is not None:
            return self._here.offer(message) or self._here.has_ended
        node = self._process.node
        return (
            self.target.node == node.name
            or node.send(self.target, message)
            or (node.elsewhere is None)
        )
