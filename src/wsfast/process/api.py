"""What a process can do. Every function may be called from any thread, and none blocks; but for a
`name`, which after `join` waits for Redis."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVarTuple

from wsfast.process.mailboxes import Mailbox
from wsfast.process.messages import CANCELLED, Event, Message
from wsfast.process.node import node
from wsfast.process.pids import PID, Destination, check_name
from wsfast.process.processes import Process
from wsfast.process.running import current, current_or_none, run_attached, start
from wsfast.protocol.checks import choice, flag, integer
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import NoProcess

__all__ = [
    "Overflow",
    "attach",
    "cancel",
    "events",
    "inbox",
    "link",
    "listen",
    "monitor",
    "pid",
    "send",
    "spawn",
    "unlink",
    "unmonitor",
]

Overflow = Literal["drop_newest", "drop_oldest"]
"""What happens to a message for a mailbox that is full, or to the oldest in it instead."""

Arguments = TypeVarTuple("Arguments")

MAILBOX_SIZE = 10_000

_check_size = integer(1, 2**31 - 1)
_check_overflow = choice(("drop_newest", "drop_oldest"))


def spawn(
    fn: Callable[[*Arguments], Any],
    *args: *Arguments,
    name: str | None = None,
    monitor: bool = False,
    link: bool = False,
    mailbox_size: int = MAILBOX_SIZE,
    overflow: Overflow = "drop_newest",
) -> PID:
    """Starts a process that runs ``fn(*args)``, and returns its PID at once (seed 003).

    A coroutine function becomes a task of the running event loop; where none runs, of a loop that
    the library runs in a thread of its own as long as there are such processes. Any other function
    gets a thread. Either runs in a copy of the caller's context. Threads are daemons: the program
    does not wait for them at its exit.

    Args:
        name: registered for it before it starts.
        monitor: the caller, a process, is told by an EXIT event when this one ends.
        link: the caller, a process, goes down with this one, and this one with it.
        mailbox_size: how many messages its inbox holds, and each mailbox of a topic.
        overflow: what is lost of a full one: the message that comes, or the oldest in it. Either
            is counted (`Mailbox.dropped`), and the first is logged. The sender never waits.

    Raises:
        ConnectionError: Redis, which knows the names of all nodes, is away.
        NameTaken: another process has the name.
        NoContext: `monitor` or `link`, and the caller is no process.
        RuntimeError: there is no thread for it.
        TypeError: no function, or an argument of a wrong type.
        ValueError: an argument out of bounds.
    """
    if not callable(fn):
        raise TypeError(f"fn must be a function, not {type(fn).__name__}")
    parent = current() if flag(monitor, "monitor") | flag(link, "link") else None
    process = _new(name, mailbox_size, overflow)
    try:
        if parent is not None:
            parent.adopt(process, monitor=monitor, link=link)
        start(process, fn, args)
    except BaseException:
        if parent is not None:
            parent.disown(process.pid)
        process.finish(CANCELLED)
        raise
    return process.pid


@contextmanager
def attach(
    name: str | None = None,
    *,
    mailbox_size: int = MAILBOX_SIZE,
    overflow: Overflow = "drop_newest",
) -> Iterator[PID]:
    """Makes a process of the code inside, of a thread or a task that nobody has spawned.

    ::

        with process.attach() as me:
            process.spawn(work, me, monitor=True)
            event, _ = process.events().receive()

    The process ends with the block, by the exception that leaves it, if any. When it is cancelled
    or a link takes it down, the block is left by `Terminated`. Arguments and errors are those of
    `spawn`.
    """
    process = _new(name, mailbox_size, overflow)
    with run_attached(process):
        yield process.pid


def _new(name: str | None, mailbox_size: int, overflow: Overflow) -> Process:
    if name is not None:
        check_name(name)
    size = _check_size(mailbox_size, "mailbox_size")
    drop_oldest = _check_overflow(overflow, "overflow") == "drop_oldest"
    here = node()
    process = here.add(size, drop_oldest)
    if name is not None:
        try:
            here.register(name, process.pid)
        except BaseException:
            process.finish(CANCELLED)
            raise
    return process


def pid() -> PID:
    """The PID of the process that calls. `NoContext` outside of any.

    What a task starts by `asyncio.create_task` or `asyncio.to_thread` belongs to its process too,
    as it inherits the context; a `threading.Thread` does not, unless Python is told to let threads
    inherit.
    """
    return current().pid


def send(dest: Destination, topic: str, payload: Any = None) -> bool:
    """Sends a message; never waits (seed 003).

    What one process sends to another arrives in the order of sending, each message at most once.

    Args:
        dest: a PID, its str, or a registered name.
        topic: of one character or more.
        payload: handed over as it is, not copied; nobody should change it any more. To another
            node it travels as JSON, with bytes: see `join`.

    Returns:
        Whether the message is in the mailbox; to another node, whether it is on its way. False if
        nobody has the name, if the process has ended, or if its mailbox is full and it has not
        asked to lose the oldest instead; if too much waits to be sent to other nodes.

    Raises:
        TypeError: an argument of a wrong type, or a payload that cannot be sent to another node.
        ValueError: an empty topic, or what begins as a PID and is none; a payload as above.
    """
    if type(topic) is not str:
        _check_topic(topic)
    elif not topic:
        raise ValueError("topic must not be empty")
    here = node()
    to = here.resolve(dest)
    if to is None:
        return False
    sender = current_or_none()
    return here.send(to, Message(topic, payload, None if sender is None else sender.pid))


def _check_topic(topic: str) -> str:
    if not isinstance(topic, str):
        raise TypeError(f"topic must be a str, not {type(topic).__name__}")
    if not topic:
        raise ValueError("topic must not be empty")
    return topic


def inbox() -> Mailbox[Message]:
    """The mailbox of the process that calls, for all topics that it does not `listen` to.

    The same each time. `NoContext` outside of any process.
    """
    return current().inbox


def listen(topic: str) -> Mailbox[Message]:
    """A mailbox for one topic, whose messages do not come to the inbox any more.

    Those that wait there move here. The same each time, until it is closed: then they come to the
    inbox again. `NoContext` outside of any process; `TypeError`, `ValueError` for no topic.
    """
    return current().listen(_check_topic(topic))


def events() -> Mailbox[Event]:
    """What happens to others: EXIT, LINK_DOWN; and CANCEL, when somebody wants this process to end.

    Once a process has called this, links and cancellations do not end it any more: it is told, and
    decides. To be told of every one, call it first. `NoContext` outside of any process.
    """
    return current().events()


def monitor(dest: Destination) -> PID:
    """Has the process that calls told of the end of another: by one EXIT event, however often this
    is called.

    If that has ended already, the event comes at once, with the reason "noproc"; if its node is not
    known, with "noconnection".

    Returns:
        The PID, by which events tell what has ended.

    Raises:
        NoContext: the caller is no process.
        NoProcess: nobody has the name.
        TypeError, ValueError: no destination.
    """
    me = current()
    other = _known(dest)
    me.monitor(other)
    return other


def unmonitor(dest: Destination) -> None:
    """Takes `monitor` back: no EXIT of it will be received any more. Errors as there."""
    me = current()
    me.unmonitor(_known(dest))


def link(dest: Destination) -> PID:
    """Lets the process that calls and another go down with each other.

    If one of them ends, and not normally, so does the other, with the same reason; or if it has
    called `events`, it gets a LINK_DOWN event. A process that is gone already counts as one that
    has just ended, with the reason "noproc" or "noconnection". Returns and raises as `monitor`.
    """
    me = current()
    other = _known(dest)
    me.link(other)
    return other


def unlink(dest: Destination) -> None:
    """Takes `link` back, whoever has made it: neither goes down with the other, and no LINK_DOWN of
    it will be received any more. Errors as there."""
    me = current()
    me.unlink(_known(dest))


def cancel(dest: Destination, reason: str = CANCELLED, grace: Duration | None = "5s") -> bool:
    """Has another process end, or this one.

    If it has called `events`, it gets a CANCEL event and `grace` to end by itself. After that, or
    else at once, a task is cancelled, and what receives from the mailboxes raises `Terminated`. A
    thread that never receives cannot be ended. To its monitors and links a process that ends so,
    other than by itself, has ended with `reason`.

    Args:
        reason: what monitors and links are told.
        grace: milliseconds, a Go duration string or a timedelta; None for as long as it takes.

    Returns:
        Whether there is such a process, as far as this node knows.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: no duration, or what begins as a PID and is none.
    """
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {type(reason).__name__}")
    limit = seconds(grace, "grace")
    here = node()
    to = here.resolve(dest)
    sender = current_or_none()
    origin = None if sender is None else sender.pid
    return to is not None and here.cancel(to, origin, reason, limit)


def _known(dest: Destination) -> PID:
    other = node().resolve(dest)
    if other is None:
        raise NoProcess(f"nobody has the name {dest!r:.80}")
    return other
