"""Processes: threads and tasks with a mailbox, that can be watched (seed 003).

    from wsfast import process

    async def counter():
        total = 0
        async for message in process.inbox():
            total += message.payload
            process.send(message.sender, "total", total)

    with process.attach():
        process.spawn(counter, name="counter", link=True)
        process.send("counter", "add", 5)
        message, _ = process.inbox().receive()
        print(message.payload)

A process is a function with a PID. Anyone who knows that, or a name it is registered under, may
`send` it messages, `monitor` it, `link` to it, `cancel` it. What it receives comes through
channels (see `wsfast.channel`): `inbox`, `listen` for one topic, `events`; the same code runs as a
task or as a thread, but for ``await`` and the ``a`` in front of `areceive`. A process that crashes
is logged, takes those down that are linked to it, and nobody else.

How one ends, and what the others are told of it as `Event.reason`:

==============================================  ===============================================
it returns                                      "normal", and what it has returned
an exception leaves it                          the exception, as ``ValueError: no such room``
it is cancelled                                 what was given to `cancel`, or "cancelled"
it is linked to one that ends, not normally     the reason of that one
it is not there any more when it is asked       "noproc"
its node is lost                                "noconnection"
==============================================  ===============================================

When a process has ended, nothing of it is left: its mailboxes with what is in them, its names and
ties are gone. After a fork the child has no processes. An interpreter that exits does not wait for
any.

With `join`, all of this reaches processes of other programs and machines, by Redis or Valkey.
"""

from wsfast.process import registry
from wsfast.process.api import (
    Overflow,
    attach,
    cancel,
    events,
    inbox,
    link,
    listen,
    monitor,
    pid,
    send,
    spawn,
    unlink,
    unmonitor,
)
from wsfast.process.joining import join, leave
from wsfast.process.mailboxes import Mailbox, Terminated
from wsfast.process.messages import (
    CANCEL,
    CANCELLED,
    EXIT,
    LINK_DOWN,
    NOCONNECTION,
    NOPROC,
    NORMAL,
    Event,
    EventKind,
    Message,
)
from wsfast.process.pids import PID, Destination
from wsfast.protocol.errors import NameTaken, NoContext, NoProcess

__all__ = [
    "CANCEL",
    "CANCELLED",
    "EXIT",
    "LINK_DOWN",
    "NOCONNECTION",
    "NOPROC",
    "NORMAL",
    "PID",
    "Destination",
    "Event",
    "EventKind",
    "Mailbox",
    "Message",
    "NameTaken",
    "NoContext",
    "NoProcess",
    "Overflow",
    "Terminated",
    "attach",
    "cancel",
    "events",
    "inbox",
    "join",
    "leave",
    "link",
    "listen",
    "monitor",
    "pid",
    "registry",
    "send",
    "spawn",
    "unlink",
    "unmonitor",
]
