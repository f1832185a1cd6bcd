"""Joining other nodes, on this machine or others, through Redis or Valkey."""

import atexit
import os
import re

from wsfast.process.cluster import Cluster
from wsfast.process.keeper import Keeper
from wsfast.process.node import Node, node
from wsfast.process.redis_link import RedisServer
from wsfast.protocol.checks import integer, required_seconds
from wsfast.protocol.durations import Duration

__all__ = ["join", "leave"]

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_AT_EXIT = 1.0

_check_queue = integer(1, 10_000_000)
_check_size = integer(1024, 2**27)

_keepers: dict[Node, Keeper] = {}


def join(
    url: str,
    *,
    namespace: str = "wsfast",
    timeout: Duration = "10s",
    queue_size: int = 10_000,
    max_message_size: int = 1 << 22,
) -> None:
    """Lets processes of this program and of all others that have joined reach each other.

    Waits until there is a connection, so an event loop should be running others' code meanwhile:
    ``await asyncio.to_thread(process.join, url)``. After a fork each process has to join itself.
    From then on everything works with processes of other nodes as with one's own, but for this:

    - **Delivery.** Per-sender order holds; a message arrives at most once. It is lost, without the
      sender being told, if a connection to Redis breaks while it is on its way, or if the mailbox
      is full. `send` never waits: while Redis is away messages wait in a queue of `queue_size`, and
      with that full it returns False. True means: on its way.
    - **Payloads** are None, bool, int, finite float, str, bytes, PID, and lists, tuples and dicts
      with str keys of these. Others are a TypeError or ValueError at the call. Tuples arrive as
      lists. The result of a process which is none of these is None in EXIT events elsewhere.
    - **Names** are unique among all nodes. To register one waits for Redis, `timeout` at most, and
      raises ConnectionError while that is away. To look one up never waits; what has just been
      registered elsewhere may not be known yet. After Redis has lost its data the first who claims
      a name has it, and another who had it loses it, which is logged.
    - **Lost nodes.** A node that has not been heard of for `timeout` is lost: to those who monitor
      its processes, or are linked to them, these have ended with "noconnection". So they have, at
      once, when a node leaves or its program ends. As long as Redis itself is away nobody counts as
      lost; when it is back the nodes have `timeout` to come back as well.
    - **Trust.** Whoever may use this Redis may send anything to any process. Let the URL have a
      password, and TLS (``rediss://``) where others could listen.

    Args:
        url: what redis-py takes (extra ``wsfast[redis]``): ``redis://``, ``rediss://``,
            ``unix://``, with user and password; options for TLS as ``?ssl_ca_certs=...``.
        namespace: what every key and channel in Redis begins with: 1 to 64 of ``A-Z a-z 0-9 _ . :
            -``. Only nodes of the same one, and of the same Redis, reach each other.
        timeout: how long a node may be silent; half of it, how long Redis may take to answer before
            it is connected to again. Should be the same for all nodes.
        queue_size: how many messages may wait for the network. In bytes: 64 of the largest.
        max_message_size: in bytes, as they travel, 1 KiB to 128 MiB; by default 4 MiB. Redis
            disconnects who has 32 MiB waiting to be read, unless told otherwise. Larger ones are
            refused at the call, and ignored when they come.

    Raises:
        ConnectionError: there is no Redis, or it does not let this node in.
        ImportError: redis-py is not installed.
        NameTaken: a process of this node has the name of one of another.
        RuntimeError: this node has joined already, or there is no thread for it.
        TypeError, ValueError: an argument of a wrong type, or out of bounds.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    if not isinstance(namespace, str):
        raise TypeError(f"namespace must be a str, not {type(namespace).__name__}")
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError("namespace must be 1 to 64 of A-Z a-z 0-9 _ . : -")
    limit = required_seconds(timeout, "timeout")
    size = _check_size(max_message_size, "max_message_size")
    queue = _check_queue(queue_size, "queue_size")
    here = node()
    server = RedisServer(url, limit)
    cluster = Cluster(here, queue, size, limit)
    keeper = Keeper(server, cluster, namespace, limit)
    here.connect(cluster)
    try:
        keeper.start()
    except BaseException:
        here.disconnect()
        keeper.stop(0)
        raise
    _keepers[here] = keeper
    atexit.register(_leave_at_exit)


def leave(timeout: Duration = "5s") -> bool:
    """Undoes `join`, after what waits to be sent has been, if `timeout` allows.

    To either side the processes of the other have ended with "noconnection". Names are kept here,
    and free elsewhere. Called at the end of the program, for up to a second.

    Returns:
        Whether this node had joined.
    """
    return _leave(required_seconds(timeout, "timeout"))


def _leave(patience: float) -> bool:
    here = node()
    keeper = _keepers.pop(here, None)
    if keeper is None:
        return False
    here.disconnect()
    keeper.stop(patience)
    atexit.unregister(_leave_at_exit)
    return True


def _leave_at_exit() -> None:
    _leave(_AT_EXIT)


def _after_fork() -> None:
    for keeper in _keepers.values():
        keeper.after_fork()
    _keepers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
