"""The other nodes, as this one sees them: what is sent to them, and what comes from them."""

import logging
from concurrent.futures import Future
from typing import Any

from wsfast.process.messages import NOCONNECTION, NOPROC, Message, Signal, SignalKind
from wsfast.process.node import Node
from wsfast.process.outgoing import NameChange, Outgoing
from wsfast.process.peers import Peers
from wsfast.process.pids import PID
from wsfast.process.wire import Malformed, pack, unpack
from wsfast.protocol.durations import MAX_SECONDS
from wsfast.protocol.errors import NameTaken

__all__ = ["Cluster"]

logger = logging.getLogger("wsfast")

_MESSAGE, _SIGNAL, _CANCEL, _LINKED = "message", "signal", "cancel", "linked"
_NAME, _LEFT = "name", "left"

_MAKES_TIES = (SignalKind.MONITOR, SignalKind.LINK)


class Cluster:
    """What a node asks of the others (see `Elsewhere`), and what they ask of it. Thread-safe, with
    no lock of its own: `outgoing` and `peers` have theirs.

    Ties are between processes, and each side's node keeps its own. What is told about them may be
    lost with a connection; so whenever two nodes meet anew, each tells the other once more whom its
    processes monitor, and asks whether their links still stand.

    Args:
        node: this one.
        queue_size: how many messages wait for the network at most.
        limit: of the bytes of one message.
        patience: seconds within which Redis has to answer.
    """

    def __init__(self, node: Node, queue_size: int, limit: int, patience: float) -> None:
        self.node = node
        self.limit = limit
        self.patience = patience
        self.outgoing = Outgoing(queue_size, 64 * limit)
        self.peers = Peers()
        self._warned = False

    # -------------------------------------------------------------- to them

    def send(self, to: PID, message: Message) -> bool:
        topic, payload, sender = message
        frame = pack((_MESSAGE, to.id, sender, topic, payload), self.limit)
        return self.outgoing.put_message(to.node, frame)

    def signal(self, to: PID, signal: Signal) -> bool:
        if signal.kind in _MAKES_TIES:
            self.peers.watch(to.node)
        if self.outgoing.put_signal(to.node, self._signal_frame(to, signal)):
            return True
        logger.warning("too much waits to be sent to other nodes: %s is not told", to)
        return False

    def _signal_frame(self, to: PID, signal: Signal) -> bytes:
        kind, sender, reason, result = signal
        try:
            return pack((_SIGNAL, to.id, sender, kind, reason, result), self.limit)
        except (TypeError, ValueError):
            # A result that cannot travel, or a reason that is no Unicode.
            reason = reason.encode("utf-8", "replace").decode()
            return pack((_SIGNAL, to.id, sender, kind, reason, None), self.limit)

    def cancel(self, to: PID, sender: PID | None, reason: str, grace: float | None) -> bool:
        frame = pack((_CANCEL, to.id, sender, reason, grace), self.limit)
        return self.outgoing.put_message(to.node, frame)

    def lookup(self, name: str) -> PID | None:
        return self.peers.lookup(name)

    def claim(self, name: str, pid: PID) -> None:
        """See `Elsewhere`. Also raises `ConnectionError`."""
        owner = self.peers.lookup(name)
        if owner is None:
            answer: Future[str | None] = Future()
            if not self.outgoing.put_change(NameChange(name, pid, answer)):
                raise ConnectionError("there is no connection to Redis, which knows the names")
            try:
                found = answer.result(self.patience)
            except TimeoutError:
                raise ConnectionError("Redis has not answered in time") from None
            if found is None:
                return
            raise NameTaken(f"{name!r:.80} is the name of {found}")
        raise NameTaken(f"{name!r:.80} is the name of {owner}")

    def release(self, name: str, pid: PID) -> None:
        self.outgoing.put_change(NameChange(name, pid, None))

    def name_frame(self, name: str, pid: PID | None) -> bytes:
        """What tells all nodes whose name it is from now on."""
        return pack((_NAME, name, pid), self.limit)

    def left_frame(self) -> bytes:
        """What tells all nodes that this one is going."""
        return pack((_LEFT, self.node.name), self.limit)

    # -------------------------------------------------------------- from them

    def receive(self, frame: bytes) -> None:
        """Does what another node wants; ignores what none would send."""
        try:
            self._do(unpack(frame, self.limit))
        except Malformed as error:
            if not self._warned:
                self._warned = True
                logger.warning("ignored what is no message of a node, the first of them: %s", error)

    def _do(self, value: Any) -> None:
        match value:
            case ["message", int(to), PID() | None as sender, str(topic), payload] if topic:
                self.node.send(self._pid(to), Message(topic, payload, sender))
            case ["signal", int(to), PID() as sender, str(kind), str(reason), result]:
                self._take(self._pid(to), kind, sender, reason, result)
            case ["cancel", int(to), PID() | None as sender, str(reason), grace]:
                self.node.cancel(self._pid(to), sender, reason, _checked_grace(grace))
            case ["linked", int(to), PID() as sender]:
                self._answer(self._pid(to), sender)
            case ["name", str(name), PID() | None as pid]:
                if pid is None or pid.node != self.node.name:
                    self.peers.learn(name, pid)
            case ["left", str(name)]:
                self.lose(name)
            case _:
                raise Malformed("a form that none has")

    def _pid(self, number: int) -> PID:
        return PID(self.node.name, self.node.host, number)

    def _take(self, to: PID, kind: str, sender: PID, reason: str, result: Any) -> None:
        try:
            signal = Signal(SignalKind(kind), sender, reason, result)
        except ValueError:
            raise Malformed("a signal that there is not") from None
        if signal.kind in _MAKES_TIES:
            self.peers.watch(sender.node)
        self.node.signal(to, signal)

    def _answer(self, to: PID, sender: PID) -> None:
        process = self.node.find(to)
        if process is None or not process.is_linked(sender):
            reason = NOPROC if process is None else NOCONNECTION
            self.node.signal(sender, Signal(SignalKind.DOWN, to, reason))

    # -------------------------------------------------------------- meeting and losing them

    def meet(self, node: str, session: str) -> None:
        """A node is there. If it was not before, or has a new connection, tells it of the ties."""
        if not self.peers.meet(node, session):
            return
        frames = []
        for process in self.node.processes():
            monitored, links = process.ties(node)
            for pid in monitored:
                told = Signal(SignalKind.MONITOR, process.pid)
                frames.append((node, self._signal_frame(pid, told)))
            asked = [pack((_LINKED, pid.id, process.pid), self.limit) for pid in links]
            frames.extend((node, frame) for frame in asked)
        self.outgoing.put_all(frames)

    def lose(self, node: str) -> None:
        """A node is lost: its names are free, and all ties with it are broken."""
        if node == self.node.name:
            return
        for name, pid in self.peers.lose(node).items():
            self.release(name, pid)
        for process in self.node.processes():
            process.lose(node)

    def lose_all(self) -> None:
        """This node is leaving: none of the others can be reached any more."""
        for node in self.peers.watched():
            for process in self.node.processes():
                process.lose(node)


def _checked_grace(grace: Any) -> float | None:
    if grace is None or (isinstance(grace, int | float) and 0 < grace <= MAX_SECONDS):
        return grace
    raise Malformed("no grace")
