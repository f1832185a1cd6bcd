"""Channels and select, as Go has them, between threads, asyncio tasks, or both.

    from wsfast.channel import Channel, after, select

    prices: Channel[float] = Channel(100)
    quiet = after("30s")
    chosen = select([prices.case_receive(), quiet.case_receive()])
    if chosen.channel is quiet:
        ...

Every operation has an async twin (`asend`, `areceive`, `async for`, `aselect`) that works on the
same objects: what a thread sends, a task may receive. None may be used from a signal handler or a
`__del__`: these can interrupt an operation on the same channel, whose lock they would wait for.

How it works. A channel has a lock, a buffer, and a queue each of waiting receivers and senders. An
operation that can be done is done under the lock. One that cannot puts a waiter into the queue
before it lets go of the lock, so whatever makes it possible from then on happens under the same
lock and finds the waiter: no wake-up is lost, and nobody polls. `select` does so under the locks of
all its channels, taken in one order everywhere, so no two can wait for each other.

Whoever finds a waiter hands the value over itself: a value goes to exactly one waiter, and who has
waited longest is served first. A waiter that stands in the queues of several channels can be found
from several sides at once; handing over is one atomic step, which succeeds once. A timeout, Ctrl-C
and the cancelling of a task end the waiting by the same step, so either the value has been handed
over by then, or it never will be. A waiting thread sleeps on a lock of its own, a waiting task on a
future: neither needs another thread.
"""

from wsfast.channel.cases import Case
from wsfast.channel.channels import Channel
from wsfast.channel.selection import Selected, aselect, select
from wsfast.channel.timed import after
from wsfast.protocol.errors import ChannelClosed

__all__ = ["Case", "Channel", "ChannelClosed", "Selected", "after", "aselect", "select"]
