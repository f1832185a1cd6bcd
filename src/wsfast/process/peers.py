"""What a node knows of the others: their names, and whether they are there."""

import threading

from wsfast.process.pids import PID

__all__ = ["Peers"]


class Peers:
    """Tables about the other nodes. Thread-safe; `_lock` guards all fields.

    The names are a copy of what Redis has, kept up by what every change tells all nodes, so that
    nobody waits for the network to look one up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[str, PID] = {}
        self._doubtful: set[str] = set()
        self._watched: set[str] = set()
        self._met: dict[str, str] = {}

    # -------------------------------------------------------------- names

    def lookup(self, name: str) -> PID | None:
        """Whose name it is."""
        return self._names.get(name)

    def learn(self, name: str, pid: PID | None) -> None:
        """Enters the owner of a name; None for nobody."""
        with self._lock:
            self._doubtful.discard(name)
            if pid is None:
                self._names.pop(name, None)
            else:
                self._names[name] = pid

    def learn_all(self, names: dict[str, PID]) -> None:
        """Enters all names that are known to Redis now. It may have been started anew, with its
        nodes just coming back; so other names are not forgotten yet."""
        with self._lock:
            self._doubtful = self._names.keys() - names.keys()
            self._names.update(names)

    def settle(self) -> None:
        """Forgets the names that nobody has claimed again."""
        with self._lock:
            for name in self._doubtful:
                self._names.pop(name, None)
            self._doubtful = set()

    # -------------------------------------------------------------- nodes

    def watch(self, node: str) -> None:
        """There is a tie with a process of this node, or there may be."""
        with self._lock:
            self._watched.add(node)

    def watched(self) -> list[str]:
        """All nodes of which it matters whether they are there."""
        with self._lock:
            return [*(self._watched | {pid.node for pid in self._names.values()})]

    def meet(self, node: str, session: str) -> bool:
        """A node is there; whether that is news."""
        with self._lock:
            is_new = self._met.get(node) != session
            self._met[node] = session
        return is_new

    def has_met(self, node: str) -> bool:
        """Whether it has been there since `forget_meetings`."""
        return node in self._met

    def forget_meetings(self) -> None:
        """The connection is a new one: whatever has been told may have been lost."""
        with self._lock:
            self._met.clear()

    def lose(self, node: str) -> dict[str, PID]:
        """Forgets a node. Returns the names that its processes had."""
        with self._lock:
            self._watched.discard(node)
            self._met.pop(node, None)
            lost = {name: pid for name, pid in self._names.items() if pid.node == node}
            for name in lost:
                del self._names[name]
        return lost
