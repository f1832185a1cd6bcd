"""Peers that die, reset, half-close or stall, at any byte of a connection.

Each part runs its cycles for the client and for the server, with and without TLS in turn.
"""

import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from soak_pool import messages
from soak_processes import Pair
from soak_raw import End, Spent
from soak_scene import SLACK, Outcome, Scene, scenes

SENDS = 12
"""Messages that each side has to say in a conversation that nothing cuts short."""

SHORT = 250
"""Milliseconds: the timeouts of those whom a peer lets wait."""

LINGER = 1.0
"""Seconds that wsfast gives TCP to end."""

Progress = Callable[[int], None]
Judge = Callable[[End, Outcome], None]


def converse(end: End, sends: int, *, reads: bool) -> None:
    """Opens the connection and says each message, after which the peer may say the same."""
    end.open()
    for message in messages(end.number, sends):
        end.send(message)
        if reads:
            assert end.receive() == message


def in_handshake(scene: Scene) -> Callable[[int], int]:
    """Somewhere in TLS or HTTP."""
    size = handshake_size(scene)
    return lambda number: scene.random.randrange(size)


def in_messages(scene: Scene, *, reads: bool) -> Callable[[int], int]:
    """Somewhere between the handshake and the last message."""
    size = handshake_size(scene)

    def budget(number: int) -> int:
        # Frames take more than their payload, so that it is always spent before the end.
        payload = sum(len(message) for message in messages(number, SENDS))
        return size + scene.random.randrange(payload * (1 + reads))

    return budget


_sizes: dict[str, int] = {}


def handshake_size(scene: Scene) -> int:
    """Bytes both ways up to the end of the upgrade."""
    if str(scene) not in _sizes:
        (end,) = scene.open(1, 1, {}, {})
        end.open()
        _sizes[str(scene)] = end.counted.used
        end.close(1000)
        assert end.receive() is None
        end.leave()
        scene.outcomes()
    return _sizes[str(scene)]


class Findings:
    """What became of the connections of one part."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._latest = 0.0

    def judge(self, scene: Scene, ends: list[End], within: float, *more: Judge) -> None:
        """Checks all outcomes, of connections that should have ended `within` so many seconds."""
        outcomes = scene.outcomes()
        for end in ends:
            outcome = outcomes.get(end.number)
            if outcome is None:
                assert scene.role == "server", (str(scene), end.number)
                assert not end.opened, (str(scene), end.number)
                self._count["not open"] += 1
                continue
            about = str(scene), outcome, end.opened, end.sent
            assert outcome["elapsed"] <= within + SLACK, about
            assert outcome["opened"] or not end.opened, about
            assert outcome["received"] <= end.sent, about
            assert outcome["code"] in (1006, 1008, 1011), about
            assert outcome["error"], about
            for one in more:
                one(end, outcome)
            self._latest = max(self._latest, outcome["elapsed"] - within)
            self._count["open" if outcome["opened"] else "not open"] += 1
            self._count["too late to tell"] += not end.timely
            self._count["all received"] += outcome["received"] == end.sent

    def __str__(self) -> str:
        counts = ", ".join(f"{self._count[what]:,} {what}" for what in sorted(self._count))
        return f"{counts}; the latest {self._latest:.2f} s after its deadline"


def nothing_lost(end: End, outcome: Outcome) -> None:
    """All that was whole has been received."""
    assert outcome["received"] == end.sent or not end.timely, (outcome, end.sent)


# ---------------------------------------------------------------- kill -9


def kill(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer's process dies by SIGKILL in the middle of a message."""
    found = Findings()
    for scene, first, size, turn in scenes(pair, cycles, source):
        # Unread data makes the kernel reset the connection of the dead; without, it ends by FIN.
        reads = turn % 2 == 0
        budget = in_messages(scene, reads=reads)
        ends = scene.open(first, size, {"sends": SENDS if reads else 0}, {}, budget)
        _die(ends, reads=reads)
        found.judge(scene, ends, LINGER, *([] if reads else [nothing_lost]))
        pair.rest()
        progress(first + size - 1)
    return str(found)


def _die(ends: list[End], *, reads: bool) -> None:
    """Has each end played by a process that kills itself where its budget ends."""
    with mmap.mmap(-1, 2 * len(ends)) as told:
        children = []
        for place, end in enumerate(ends):
            child = os.fork()
            if child == 0:
                _play_and_die(end, told, 2 * place, reads=reads)
            children.append(child)
            end.sock.close()
        for place, (end, child) in enumerate(zip(ends, children, strict=True)):
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, (status, end.number)
            end.opened, end.sent = struct.unpack_from("?B", told, 2 * place)


def _play_and_die(end: End, told: mmap.mmap, place: int, *, reads: bool) -> None:
    try:
        converse(end, SENDS, reads=reads)
    except Spent:
        struct.pack_into("?B", told, place, end.opened, end.sent)
        os.kill(os.getpid(), signal.SIGKILL)
    except BaseException:  # noqa: BLE001 - this copy of the program must not go on
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)


# ---------------------------------------------------------------- reset


def reset(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer resets the connection in the handshake."""
    found = Findings()
    for scene, first, size, _ in scenes(pair, cycles, source):
        ends = scene.open(first, size, {"sends": SENDS}, {}, in_handshake(scene))
        for end in ends:
            try:
                converse(end, SENDS, reads=True)
                raise AssertionError("the budget was not spent")
            except Spent:
                end.peer.reset()
        found.judge(scene, ends, LINGER)
        pair.rest()
        progress(first + size - 1)
    return str(found)


# ---------------------------------------------------------------- half-close


def half_close(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer ends its half in the handshake or in a message, and listens to the end."""
    found = Findings()
    for scene, first, size, turn in scenes(pair, cycles, source):
        budget = in_messages(scene, reads=True) if turn % 2 else in_handshake(scene)
        ends = scene.open(first, size, {"sends": SENDS}, {}, budget)
        for end in ends:
            try:
                converse(end, SENDS, reads=True)
                raise AssertionError("the budget was not spent")
            except Spent:
                end.sock.shutdown(socket.SHUT_WR)
            _hear_the_end(end)
        found.judge(scene, ends, LINGER, nothing_lost)
        pair.rest()
        progress(first + size - 1)
    return str(found)


def _hear_the_end(end: End) -> None:
    """Raises `TimeoutError` if the other side keeps the connection."""
    try:
        while end.sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    end.sock.close()


# ---------------------------------------------------------------- stall


def stall(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer falls silent, in the handshake or in a message, or does not read any more."""
    found = Findings()
    kinds = [_silent_handshake, _silent_message, _no_pong, _unread]
    for scene, first, size, turn in scenes(pair, cycles, source):
        kind = kinds[turn % len(kinds)]
        ends, within = kind(scene, first, size)
        judges = [] if kind is _silent_handshake else [nothing_lost]
        found.judge(scene, ends, within, *judges)
        for end in ends:
            _hear_the_end(end)
        pair.rest()
        progress(first + size - 1)
    return str(found)


def _play_in_time(ends: list[End], *, reads: bool, since: float | None = None) -> None:
    """The conversations; a machine that is so busy that they last too long may cut them off.

    `since`: when patience began to run out, if that was not with the conversation.
    """
    for end in ends:
        began = since or time.monotonic()
        failed: Exception | None = None
        try:
            converse(end, SENDS, reads=reads)
        except Spent:
            pass  # and nothing more, though the socket stays open
        except (EOFError, OSError) as exc:
            failed = exc
        end.timely = time.monotonic() - began < SHORT / 2000
        if failed is not None and end.timely:
            raise failed


def _silent(
    scene: Scene, first: int, size: int, budget: Callable[[int], int], **options: Any
) -> list[End]:
    began = time.monotonic()
    ends = scene.open(first, size, {"sends": SENDS}, options, budget)
    _play_in_time(ends, reads=True, since=began if "dial_timeout" in options else None)
    return ends


def _silent_handshake(scene: Scene, first: int, size: int) -> tuple[list[End], float]:
    # A server whose whole answer is on its way takes the connection for open.
    options = {"dial_timeout": SHORT, "read_timeout": SHORT, "close_timeout": SHORT}
    ends = _silent(scene, first, size, in_handshake(scene), **options)
    return ends, 3 * SHORT / 1000


def _silent_message(scene: Scene, first: int, size: int) -> tuple[list[End], float]:
    budget = in_messages(scene, reads=True)
    ends = _silent(scene, first, size, budget, read_timeout=SHORT, close_timeout=SHORT)
    return ends, 2 * SHORT / 1000


def _no_pong(scene: Scene, first: int, size: int) -> tuple[list[End], float]:
    budget = in_messages(scene, reads=True)
    options = {"ping_interval": SHORT, "pong_timeout": SHORT, "close_timeout": SHORT}
    ends = _silent(scene, first, size, budget, **options)
    return ends, 3 * SHORT / 1000


def _unread(scene: Scene, first: int, size: int) -> tuple[list[End], float]:
    """The other direction: the peer speaks, and takes nothing of what is sent without end."""
    options = {"write_timeout": SHORT, "close_timeout": SHORT, "send_queue_bytes": 65536}
    ends = scene.open(first, size, {"flood": True, "close": True}, options)
    _play_in_time(ends, reads=False)
    return ends, 2 * SHORT / 1000 + LINGER
