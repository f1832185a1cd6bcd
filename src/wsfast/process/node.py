"""All processes of this operating-system process, their names, and the way to each."""

import os
import re
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from wsfast.process.messages import NOCONNECTION, NOPROC, Message, Signal, SignalKind
from wsfast.process.pids import PID, Destination
from wsfast.process.processes import Process
from wsfast.protocol.errors import NameTaken, NoProcess

__all__ = ["Elsewhere", "Node", "node"]

P = TypeVar("P", bound=Process)

_ODD = re.compile(r"[^A-Za-z0-9_.-]")


class Elsewhere(Protocol):
    """The other nodes. Nothing here waits for the network, but for `claim`."""

    def send(self, to: PID, message: Message) -> bool:
        """Sends a message on its way; False if there is no way."""

    def signal(self, to: PID, signal: Signal) -> bool:
        """The same for a signal."""

    def cancel(self, to: PID, sender: PID | None, reason: str, grace: float | None) -> bool:
        """The same for a cancellation."""

    def lookup(self, name: str) -> PID | None:
        """Whose name it is there."""

    def claim(self, name: str, pid: PID) -> None:
        """Takes a name for all nodes. Raises `NameTaken`, `ConnectionError`."""

    def release(self, name: str, pid: PID) -> None:
        """Gives it back."""


class Node:
    """Finds processes by PID or name, here or elsewhere. Any method may be called by any thread.

    `_lock` guards the tables. It is held for as long as an entry takes, and under no other lock.
    They are read without it.
    """

    def __init__(self) -> None:
        # Anew each time, so that no PID comes again, and not to be guessed.
        self.name = secrets.token_hex(8)
        self.host = _ODD.sub("-", socket.gethostname())[:64] or "localhost"
        self.elsewhere: Elsewhere | None = None
        self._lock = threading.Lock()
        self._processes: dict[int, Process] = {}
        self._names: dict[str, PID] = {}
        self._last = 0

    # -------------------------------------------------------------- who is here

    def add(self, mailbox_size: int, drop_oldest: bool) -> Process:
        """A new process."""
        return self.enter(lambda pid: Process(self, pid, mailbox_size, drop_oldest))

    def enter(self, make: Callable[[PID], P]) -> P:
        """The same, of any kind: `make` is called with its PID, and must not call back."""
        with self._lock:
            self._last += 1
            number = self._last
            process = make(PID(self.name, self.host, number))
            self._processes[number] = process
        return process

    def remove(self, process: Process) -> None:
        """Forgets one that has ended, and its names."""
        with self._lock:
            self._processes.pop(process.pid.id, None)
            names = [name for name in process.names if self._names.pop(name, None)]
            process.names.clear()
        for name in names:
            self._release(name, process.pid)

    def find(self, pid: PID) -> Process | None:
        """A process that runs here."""
        return self._processes.get(pid.id) if pid.node == self.name else None

    def processes(self) -> list[Process]:
        """All that run here."""
        with self._lock:
            return [*self._processes.values()]

    def connect(self, elsewhere: Elsewhere) -> None:
        """Lets the others be reached. `RuntimeError` if they can be already."""
        with self._lock:
            if self.elsewhere is not None:
                raise RuntimeError("this node has joined others already")
            self.elsewhere = elsewhere

    def disconnect(self) -> None:
        """Undoes that."""
        self.elsewhere = None

    # -------------------------------------------------------------- names

    def register(self, name: str, pid: PID) -> None:
        """Gives a process of this node a name; see `registry.register`."""
        if pid.node != self.name:
            raise ValueError(f"{pid} is a process of another node, which has to register it")
        is_new = self._enter(name, pid)
        elsewhere = self.elsewhere
        if not is_new or elsewhere is None:
            return
        try:
            elsewhere.claim(name, pid)
        except BaseException:
            self.unregister(name)
            raise
        if self._names.get(name) != pid:  # the process has ended meanwhile
            elsewhere.release(name, pid)

    def _enter(self, name: str, pid: PID) -> bool:
        with self._lock:
            process = self._processes.get(pid.id)
            if process is None:
                raise NoProcess(f"there is no process {pid}")
            owner = self._names.get(name)
            if owner is not None and owner != pid:
                raise NameTaken(f"{name!r:.80} is the name of {owner}")
            self._names[name] = pid
            process.names.add(name)
            return owner is None

    def unregister(self, name: str, owner: PID | None = None) -> bool:
        """Takes a name back that a process of this node has; False if none has it, or not the
        `owner` that is meant."""
        with self._lock:
            pid = self._names.get(name)
            if pid is None or owner not in (None, pid):
                return False
            del self._names[name]
            self._processes[pid.id].names.discard(name)
        self._release(name, pid)
        return True

    def _release(self, name: str, pid: PID) -> None:
        elsewhere = self.elsewhere
        if elsewhere is not None:
            elsewhere.release(name, pid)

    def lookup(self, name: str) -> PID | None:
        """Whose name it is, here or elsewhere."""
        pid = self._names.get(name)
        if pid is None and self.elsewhere is not None:
            return self.elsewhere.lookup(name)
        return pid

    def names(self) -> dict[str, PID]:
        """The names of all processes that run here."""
        with self._lock:
            return dict(self._names)

    def resolve(self, destination: Destination) -> PID | None:
        """The PID that is meant; None for a name that nobody has."""
        if isinstance(destination, PID):
            return destination
        if not isinstance(destination, str):
            raise TypeError(
                f"a process is named by a PID or a str, not by {type(destination).__name__}"
            )
        return PID.parse(destination) if destination[:1] == "{" else self.lookup(destination)

    # -------------------------------------------------------------- the way

    def send(self, to: PID, message: Message) -> bool:
        """Delivers a message; False if it is known to be lost."""
        if to.node != self.name:
            return self.elsewhere is not None and self.elsewhere.send(to, message)
        process = self._processes.get(to.id)
        return process is not None and process.deliver(message)

    def signal(self, to: PID, signal: Signal) -> None:
        """Delivers a signal. Where there is nobody, who wants a tie is told of an end."""
        if to.node == self.name:
            process = self._processes.get(to.id)
            if process is None or not process.take(signal):
                self._refuse(to, signal, NOPROC)
        elif self.elsewhere is None or not self.elsewhere.signal(to, signal):
            self._refuse(to, signal, NOCONNECTION)

    def _refuse(self, to: PID, signal: Signal, reason: str) -> None:
        answer = _ANSWERS.get(signal.kind)
        if answer is not None:
            self.signal(signal.sender, Signal(answer, to, reason))

    def cancel(self, to: PID, sender: PID | None, reason: str, grace: float | None) -> bool:
        """Delivers a cancellation; False if it is known that there is nobody."""
        if to.node != self.name:
            elsewhere = self.elsewhere
            return elsewhere is not None and elsewhere.cancel(to, sender, reason, grace)
        process = self._processes.get(to.id)
        return process is not None and process.cancel(sender, reason, grace)

    # -------------------------------------------------------------- fork

    def before_fork(self) -> None:
        """Lets nobody be inside: without a GIL a dict has a lock of its own, which a thread that
        the child does not have would hold there for ever."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leaves all processes to the parent, and its connections."""
        self._lock = threading.Lock()
        self.elsewhere = None
        for process in self._processes.values():
            process.after_fork()
        self._processes.clear()
        self._names.clear()


_ANSWERS = {SignalKind.MONITOR: SignalKind.EXIT, SignalKind.LINK: SignalKind.DOWN}

_node = Node()


def node() -> Node:
    """The node of this operating-system process; the child of a fork is another."""
    return _node


def _before_fork() -> None:
    _node.before_fork()


def _after_fork_in_parent() -> None:
    _node.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _node
    left, _node = _node, Node()
    left.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
