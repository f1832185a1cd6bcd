"""Names of processes: ``process.registry``.

A name belongs to one process at a time. A process may have several, and loses them when it ends.
Any function may be called from any thread.
"""

from wsfast.process.node import node
from wsfast.process.pids import PID, check_name
from wsfast.process.running import current

__all__ = ["lookup", "register", "unregister"]


def register(name: str, pid: PID | str | None = None) -> None:
    """Gives a process a name, by which it can be reached as by its PID (seed 003).

    Does nothing if the process has this name already. After `join` a name is for all nodes, and
    this waits until Redis has said that it is free.

    Args:
        name: 1 to 255 characters, of which the first is not ``{``.
        pid: a process of this node; None for the one that calls.

    Raises:
        ConnectionError: Redis, which knows the names of all nodes, is away.
        NameTaken: another process has it.
        NoContext: there is no `pid`, and the caller is no process.
        NoProcess: the process has ended.
        TypeError: an argument of a wrong type.
        ValueError: no name, no PID, or that of a process of another node.
    """
    check_name(name)
    if isinstance(pid, str):
        pid = PID.parse(pid)
    elif pid is not None and not isinstance(pid, PID):
        raise TypeError(f"pid must be a PID, a str or None, not {type(pid).__name__}")
    node().register(name, current().pid if pid is None else pid)


def lookup(name: str) -> PID | None:
    """Whose name it is; None if nobody has it."""
    return node().lookup(check_name(name))


def unregister(name: str) -> bool:
    """Takes a name from a process of this node; False if none has it."""
    return node().unregister(check_name(name))
