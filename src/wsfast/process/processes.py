"""One process: its mailboxes, whom it is tied to, and its end."""

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from wsfast.process.mailboxes import Mailbox, Mailboxes
from wsfast.process.messages import (
    CANCEL,
    CANCELLED,
    EXIT,
    LINK_DOWN,
    NOCONNECTION,
    NORMAL,
    Event,
    EventKind,
    Message,
    Signal,
    SignalKind,
)
from wsfast.process.pids import PID
from wsfast.system.background import start_thread
from wsfast.threads.timers import Timer, nothing, timers

if TYPE_CHECKING:
    from wsfast.process.node import Node

__all__ = ["Process"]

logger = logging.getLogger("wsfast")

_LONGEST_REASON = 1000


class Process:
    """What its node knows of a process; the code that it runs has its PID and mailboxes only.

    `lock` guards all fields. It is held neither while other processes are told something nor while
    code of the user runs, so no two of these locks are ever held at once. Any method may be called
    from any thread.

    Ties (links and monitors) stand on both sides. Who makes one enters it on its own side first;
    the other side enters it too, or answers as if it had just ended. So whichever side ends, and
    whenever, the other is told once.
    """

    def __init__(self, node: "Node", pid: PID, mailbox_size: int, drop_oldest: bool) -> None:
        self.node = node
        self.pid = pid
        self.names: set[str] = set()  # guarded by the lock of the node
        self.stop: Callable[[], None] = nothing
        """Ends what runs, as far as that is possible from outside. Called once, by any thread."""
        self.ended: Callable[[], None] = nothing
        """Called when the process has ended, once."""
        self.overflowed: Callable[[], None] = self._warn
        """Called the first time that a mailbox is full."""
        self.lock = threading.Lock()
        self._mailboxes = Mailboxes(mailbox_size, drop_oldest, self.lock)
        self._has_ended = False
        self._terminated: str | None = None
        self._trapping = False
        self._links: set[PID] = set()
        self._monitored: set[PID] = set()
        self._monitors: set[PID] = set()
        self._tying: set[PID] = set()  # of `_links` and `_monitored` those not signalled yet
        self._cancelled = False
        self._deadline: Timer | None = None
        self._warned = False

    @property
    def has_ended(self) -> bool:
        """Whether its code has."""
        return self._has_ended

    @property
    def terminated(self) -> str | None:
        """Why it has to end, if it has to."""
        return self._terminated

    # -------------------------------------------------------------- for its own code

    @property
    def inbox(self) -> Mailbox[Message]:
        """Where every message goes that nobody listens for."""
        return self._mailboxes.inbox

    def listen(self, topic: str) -> Mailbox[Message]:
        """Where every message of a topic goes from now on."""
        with self.lock:
            return self._mailboxes.listen(topic)

    def events(self) -> Mailbox[Event]:
        """Where this process is told what would otherwise end it, from now on."""
        with self.lock:
            self._trapping = True
            return self._mailboxes.events()

    def monitor(self, other: PID) -> None:
        """Has the end of `other` told, once."""
        self._tie(self._monitored, other, SignalKind.MONITOR, SignalKind.UNMONITOR)

    def unmonitor(self, other: PID) -> None:
        """Takes that back; what has been told and nobody has received, too."""
        self._untie(self._monitored, other, EXIT, SignalKind.UNMONITOR)

    def link(self, other: PID) -> None:
        """Lets each of the two go down with the other."""
        if other != self.pid:
            self._tie(self._links, other, SignalKind.LINK, SignalKind.UNLINK)

    def unlink(self, other: PID) -> None:
        """Takes that back; what has been told and nobody has received, too."""
        self._untie(self._links, other, LINK_DOWN, SignalKind.UNLINK)

    def _tie(self, ties: set[PID], other: PID, make: SignalKind, undo: SignalKind) -> None:
        with self.lock:
            ties.add(other)
            self._tying.add(other)
        self.node.signal(other, Signal(make, self.pid))
        with self.lock:
            self._tying.discard(other)
            if not self._has_ended:
                return
            ties.clear()
        # What `finish` has said to the other side may have come before this tie.
        self.node.signal(other, Signal(undo, self.pid))

    def _untie(self, ties: set[PID], other: PID, told: EventKind, undo: SignalKind) -> None:
        with self.lock:
            ties.discard(other)
            self._mailboxes.untell(told, other)
        self.node.signal(other, Signal(undo, self.pid))

    def adopt(self, child: "Process", *, monitor: bool, link: bool) -> None:
        """Ties this process to one that does not run yet, with nobody being told."""
        with self.lock:
            if monitor:
                self._monitored.add(child.pid)
            if link:
                self._links.add(child.pid)
        if monitor:
            child.take(Signal(SignalKind.MONITOR, self.pid))
        if link:
            child.take(Signal(SignalKind.LINK, self.pid))

    def disown(self, child: PID) -> None:
        """Takes `adopt` back; the child will not run."""
        with self.lock:
            self._monitored.discard(child)
            self._links.discard(child)

    # -------------------------------------------------------------- for others

    def deliver(self, message: Message) -> bool:
        """Puts a message into its mailbox; False if it has ended, or there is no room."""
        with self.lock:
            taken = self._mailboxes.put(message)
            if not self._mailboxes.overflowed or self._warned:
                return taken
            self._warned = True
        self.overflowed()
        return taken

    def offer(self, message: Message) -> bool:
        """As `deliver`, for who tries again: what finds no room is neither counted nor logged."""
        with self.lock:
            return self._mailboxes.has_room(message.topic) and self._mailboxes.put(message)

    def take(self, signal: Signal) -> bool:
        """Learns what another process tells of itself; False if this one has ended."""
        with self.lock:
            if self._has_ended:
                return False
            reason = _REACTIONS[signal.kind](self, signal)
        if reason is not None:
            self.terminate(reason)
        return True

    def cancel(self, sender: PID | None, reason: str, grace: float | None) -> bool:
        """Wants the process to end, within `grace` seconds if it has asked to be told of that;
        False if it has ended."""
        with self.lock:
            if self._has_ended:
                return False
            if self._trapping:
                self._grant(Event(CANCEL, sender, None, reason), grace)
                return True
        self.terminate(reason)
        return True

    def terminate(self, reason: str) -> None:
        """Ends the process: a task is cancelled, and receiving from a mailbox raises."""
        with self.lock:
            if self._has_ended or self._terminated is not None:
                return
            self._terminated = reason
            self._mailboxes.end(reason)
        self.stop()

    # -------------------------------------------------------------- for what knows other nodes

    def is_linked(self, other: PID) -> bool:
        """Whether there is a link with `other`."""
        with self.lock:
            return other in self._links

    def ties(self, node: str) -> tuple[list[PID], list[PID]]:
        """Whom it monitors on a node, and to whom it is linked there, as far as they are told."""
        with self.lock:
            monitored, links = (
                [pid for pid in ties - self._tying if pid.node == node]
                for ties in (self._monitored, self._links)
            )
        return monitored, links

    def lose(self, node: str) -> None:
        """A node is lost: ends all ties with it."""
        with self.lock:
            monitored, links, monitors = (
                [pid for pid in ties if pid.node == node]
                for ties in (self._monitored, self._links, self._monitors)
            )
            self._monitors.difference_update(monitors)
        for pid in monitored:
            self.take(Signal(SignalKind.EXIT, pid, NOCONNECTION))
        for pid in links:
            self.take(Signal(SignalKind.DOWN, pid, NOCONNECTION))

    # -------------------------------------------------------------- with the lock held

    def _grant(self, event: Event, grace: float | None) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._mailboxes.tell(event)
        if grace is None:
            return
        when = time.monotonic() + grace
        if self._deadline is not None:
            if self._deadline.when <= when:
                return
            timers.cancel(self._deadline)
        self._deadline = timers.call_at(when, partial(self.terminate, event.reason))

    def _on_monitor(self, signal: Signal) -> None:
        self._monitors.add(signal.sender)

    def _on_unmonitor(self, signal: Signal) -> None:
        self._monitors.discard(signal.sender)

    def _on_link(self, signal: Signal) -> None:
        self._links.add(signal.sender)

    def _on_unlink(self, signal: Signal) -> None:
        self._links.discard(signal.sender)

    def _on_exit(self, signal: Signal) -> None:
        if signal.sender in self._monitored:
            self._monitored.discard(signal.sender)
            self._mailboxes.tell(Event(EXIT, signal.sender, signal.result, signal.reason))

    def _on_down(self, signal: Signal) -> str | None:
        if signal.sender not in self._links:
            return None
        self._links.discard(signal.sender)
        if not self._trapping:
            return signal.reason
        self._mailboxes.tell(Event(LINK_DOWN, signal.sender, None, signal.reason))
        return None

    # -------------------------------------------------------------- the end

    def finish(self, reason: str, result: Any = None) -> None:
        """Ends what is left of the process once its code has ended. Counts the first time."""
        # First, so that nobody is told of the end who could still find it.
        self.node.remove(self)
        with self.lock:
            if self._has_ended:
                return
            self._has_ended = True
            if self._terminated is not None:
                reason, result = self._terminated, None
            self._mailboxes.end(self._terminated)
            monitors, links, monitored = [*self._monitors], [*self._links], [*self._monitored]
            for ties in (self._monitors, self._links, self._monitored):
                ties.clear()
            deadline, self._deadline = self._deadline, None
        if deadline is not None:
            timers.cancel(deadline)
        self.ended()
        for pid in monitored:
            self.node.signal(pid, Signal(SignalKind.UNMONITOR, self.pid))
        down = SignalKind.UNLINK if reason == NORMAL else SignalKind.DOWN
        for pid in links:
            self.node.signal(pid, Signal(down, self.pid, reason))
        for pid in monitors:
            self.node.signal(pid, Signal(SignalKind.EXIT, self.pid, reason, result))

    def fail(self, error: BaseException) -> bool:
        """As `finish`, for code that an exception has ended. Whether that was a crash, not somebody
        else's wish."""
        if self._terminated is not None or isinstance(error, asyncio.CancelledError):
            self.finish(CANCELLED)
            return False
        self.finish(_described(error))
        return True

    def abandon(self) -> None:
        """As `finish`, for code that has been dropped: perhaps by the garbage collector, which may
        run in the middle of anything, under a lock that is needed for that, too."""
        if not self._has_ended:
            start_thread(partial(self.finish, CANCELLED), "wsfast-process-end")

    def after_fork(self) -> None:
        """In the child: the process is the parent's, and its code, if it runs here, is told so."""
        self.lock = threading.Lock()
        self._has_ended = True
        self._terminated = "the process was left behind by fork()"
        self._mailboxes.after_fork(self.lock, self._terminated)

    def _warn(self) -> None:
        logger.warning("the mailbox of %s is full: what finds no room is dropped", self.pid)


def _described(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(error)).strip()
    return text[:_LONGEST_REASON]


_REACTIONS: dict[SignalKind, Callable[[Process, Signal], str | None]] = {
    SignalKind.MONITOR: Process._on_monitor,
    SignalKind.UNMONITOR: Process._on_unmonitor,
    SignalKind.LINK: Process._on_link,
    SignalKind.UNLINK: Process._on_unlink,
    SignalKind.EXIT: Process._on_exit,
    SignalKind.DOWN: Process._on_down,
}
"""Those that return a reason end the process by it."""
