"""Keeps a node connected: one thread that writes, one that reads."""

import logging
import secrets
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from wsfast.process.cluster import Cluster
from wsfast.process.outgoing import LOST, NameChange
from wsfast.process.pids import PID
from wsfast.process.redis_link import Command, RedisLink, RedisServer
from wsfast.protocol.errors import NameTaken
from wsfast.system.background import start_thread

__all__ = ["Keeper"]

logger = logging.getLogger("wsfast")

# KEYS: the hash of names. ARGV: a name, its PID, that one's node, what the keys of nodes that are
# there begin with, the channel of all, and what to tell there. Returns who has the name instead.
_CLAIM = """
local owner = redis.call('HGET', KEYS[1], ARGV[1])
if owner and owner ~= ARGV[2] then
  local node = string.match(owner, '^{(%w+)@')
  if node and node ~= ARGV[3] and redis.call('EXISTS', ARGV[4] .. node) == 1 then
    return owner
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return false
"""

# KEYS: the hash of names. ARGV: a name, its PID, the channel of all, and what to tell there.
_RELEASE = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return false
"""


class Keeper:
    """Connects a node to the others, again whenever the connection is lost, until `stop`.

    All but `start` and `stop` is for the thread that writes, which starts one that reads for each
    connection. In Redis there are, with `space` in front: ``:node:NAME``, a key that expires unless
    it is renewed, one for each node, with the name of its connection as the value; ``:names``, a
    hash; the channel ``:to:NAME`` of each node, and ``:all`` of all.

    Args:
        server: where Redis is.
        cluster: what is to be sent, and who takes what comes.
        space: the namespace.
        timeout: seconds after which a node counts as lost that has not renewed its key.
    """

    def __init__(self, server: RedisServer, cluster: Cluster, space: str, timeout: float) -> None:
        self._server = server
        self._cluster = cluster
        self._timeout = timeout
        self._name = cluster.node.name
        self._alive = f"{space}:node:"
        self._names = f"{space}:names"
        self._to = f"{space}:to:".encode("ascii")
        self._all = f"{space}:all"
        self._ready: Future[None] = Future()
        self._stopping = threading.Event()
        self._writer: threading.Thread | None = None
        self._link: RedisLink | None = None
        self._session = ""
        self._is_again = False
        self._broken = False
        self._settled = False
        self._next_beat = 0.0

    # -------------------------------------------------------------- for others

    def start(self) -> None:
        """Connects. Raises `ConnectionError`, `NameTaken`, `RuntimeError`."""
        self._writer = start_thread(self._run, "wsfast-redis-write")
        if self._writer is None:
            raise RuntimeError("there is no thread for the connection to Redis")
        try:
            self._ready.result(2 * self._timeout)
        except TimeoutError:
            raise ConnectionError("Redis has not answered in time") from None

    def stop(self, patience: float) -> None:
        """Sends what waits, within `patience` seconds, says farewell, and disconnects."""
        self._stopping.set()
        self._cluster.outgoing.wake()
        if self._writer is None:
            return
        self._writer.join(patience)
        link = self._link
        if link is not None:
            link.interrupt()
        self._writer.join(patience)
        self._cluster.lose_all()

    def after_fork(self) -> None:
        """In the child: closes its copies of the parent's connections."""
        if self._link is not None:
            self._link.close()

    # -------------------------------------------------------------- connecting

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except (ConnectionError, NameTaken) as error:
                self._failed(error)
            except Exception as error:
                logger.exception("what other nodes need has failed")
                self._failed(error)
            # Well within the time after which the others would think that this node is lost.
            self._stopping.wait(min(1.0, self._timeout / 10))

    def _failed(self, error: Exception) -> None:
        if not self._ready.done():
            self._stopping.set()
            self._ready.set_exception(error)
        elif self._session:
            logger.warning("%s: %s", LOST, error)
        self._session = ""

    def _serve(self) -> None:
        link = RedisLink(self._server, [f"{self._to.decode()}{self._name}", self._all])
        reader = None
        try:
            self._link = link
            self._begin(link)
            reader = start_thread(partial(self._read, link), "wsfast-redis-read")
            if reader is None:
                raise ConnectionError("there is no thread to read from Redis")
            self._claim_all(link)
            self._is_again = self._ready.done()
            if self._is_again:
                logger.info("connected to Redis again")
            else:
                self._ready.set_result(None)
            self._write(link)
        finally:
            self._link = None
            self._cluster.outgoing.disconnected()
            link.interrupt()
            if reader is not None:
                reader.join()
            link.close()

    def _begin(self, link: RedisLink) -> None:
        """Says that this node is there, and learns the names of all others."""
        self._session = secrets.token_hex(8)
        self._broken = self._settled = False
        self._next_beat = 0.0
        self._cluster.peers.forget_meetings()
        key = f"{self._alive}{self._name}"
        _, names = link.call(
            [("SET", key, self._session, "PX", self._expiry), ("HGETALL", self._names)]
        )
        owners = dict(_read_names(names))
        mine = self._cluster.node.names()
        for name, pid in owners.items():
            if pid.node == self._name and mine.get(name) != pid:
                self._cluster.release(name, pid)
        others = {name: pid for name, pid in owners.items() if pid.node != self._name}
        self._cluster.peers.learn_all(others)
        self._cluster.outgoing.connected()

    @property
    def _expiry(self) -> int:
        return int(self._timeout * 1000) + 1

    def _claim_all(self, link: RedisLink) -> None:
        """Claims the names that processes of this node have already."""
        node = self._cluster.node
        mine = [*node.names().items()]
        for (name, pid), owner in zip(mine, self._claim(link, mine), strict=True):
            if owner is None:
                continue
            if not self._ready.done():
                raise NameTaken(f"{name!r:.80} is the name of {owner}")
            node.unregister(name, pid)
            logger.warning("%s has lost the name %r to %s", pid, name, owner)

    # -------------------------------------------------------------- reading

    def _read(self, link: RedisLink) -> None:
        try:
            while True:
                self._cluster.receive(link.next())
        except ConnectionError as error:
            logger.debug("reading from Redis has ended: %s", error)
        except Exception:
            logger.exception("reading from Redis has failed")
        self._broken = True
        self._cluster.outgoing.wake()

    # -------------------------------------------------------------- writing

    def _write(self, link: RedisLink) -> None:
        outgoing = self._cluster.outgoing
        while True:
            if time.monotonic() >= self._next_beat:
                self._beat(link)
            last = self._stopping.is_set()
            changes, frames = outgoing.take(0.0 if last else self._next_beat)
            if self._broken:
                raise ConnectionError("nothing comes from there any more")
            if outgoing.signals_lost:
                raise ConnectionError("there was too much to send, which has to be made good")
            self._change_names(link, changes)
            self._publish(link, frames)
            if last and not changes and not frames:
                self._farewell(link)
                return

    def _publish(self, link: RedisLink, frames: list[tuple[str, bytes]]) -> None:
        if not frames:
            return
        commands: list[Command] = [
            ("PUBLISH", self._to + _encoded(node), frame) for node, frame in frames
        ]
        if 0 in link.call(commands):
            # Somebody was not there: to be looked at soon, but not after every message.
            self._next_beat = min(self._next_beat, time.monotonic() + self._timeout / 50)

    def _change_names(self, link: RedisLink, changes: list[NameChange]) -> None:
        if not changes:
            return
        try:
            owners = link.call([self._changing(each) for each in changes])
        except BaseException:
            for each in changes:
                if each.owner is not None:
                    each.owner.set_exception(ConnectionError(LOST))
            raise
        for each, owner in zip(changes, owners, strict=True):
            if each.owner is not None:
                each.owner.set_result(_owner(owner))

    def _changing(self, change: NameChange) -> Command:
        name, pid, owner = change
        return self._releasing(name, pid) if owner is None else self._claiming(name, pid)

    def _claim(self, link: RedisLink, names: list[tuple[str, PID]]) -> list[str | None]:
        owners = link.call([self._claiming(name, pid) for name, pid in names])
        return [_owner(owner) for owner in owners]

    def _claiming(self, name: str, pid: PID) -> Command:
        told = self._cluster.name_frame(name, pid)
        rest = (name, str(pid), pid.node, self._alive, self._all, told)
        return ("EVAL", _CLAIM, 1, self._names, *rest)

    def _releasing(self, name: str, pid: PID) -> Command:
        told = self._cluster.name_frame(name, None)
        return ("EVAL", _RELEASE, 1, self._names, name, str(pid), self._all, told)

    # -------------------------------------------------------------- who is there

    def _beat(self, link: RedisLink) -> None:
        """Renews what expires, and looks whether the others have."""
        now = time.monotonic()
        self._next_beat = now + self._timeout / 5
        peers = self._cluster.peers
        nodes = [node for node in peers.watched() if node != self._name]
        mine = f"{self._alive}{self._name}"
        renewed, _, _, *sessions = link.call(
            [
                ("SET", mine, self._session, "XX", "PX", self._expiry),
                ("PEXPIRE", self._names, 4 * self._expiry),
                # What comes back proves that the subscription stands.
                ("PUBLISH", self._to + _encoded(self._name), b""),
                *(("GET", self._alive.encode() + _encoded(node)) for node in nodes),
            ]
        )
        if renewed is None:
            # The others may have thought that this node is lost; or Redis has forgotten everything.
            raise ConnectionError("this node was late, or Redis has lost its data")
        # When Redis comes back, so do the others, within that time.
        has_waited = not self._is_again or now - link.since > self._timeout
        for node, session in zip(nodes, sessions, strict=True):
            if session is not None:
                self._cluster.meet(node, session.decode("ascii", "replace"))
            elif has_waited or peers.has_met(node):
                self._cluster.lose(node)
        if has_waited and not self._settled:
            self._settled = True
            peers.settle()

    def _farewell(self, link: RedisLink) -> None:
        """Lets everything in Redis go that is this node's."""
        names = self._cluster.node.names().items()
        link.call(
            [
                *(self._releasing(name, pid) for name, pid in names),
                ("DEL", f"{self._alive}{self._name}"),
                ("PUBLISH", self._all, self._cluster.left_frame()),
            ]
        )


def _encoded(node: str) -> bytes:
    return node.encode("utf-8", "replace")  # a PID need not come from us


def _owner(answer: bytes | None) -> str | None:
    return None if answer is None else answer.decode("utf-8", "replace")


def _read_names(answer: Any) -> list[tuple[str, PID]]:
    """What a hash of names holds, but for what nobody of us has put there."""
    found = []
    for name, pid in zip(answer[::2], answer[1::2], strict=True):
        try:
            found.append((name.decode(), PID.parse(pid.decode())))
        except ValueError:
            logger.warning("ignored what is no name of a process in Redis: %.80r", name)
    return found
