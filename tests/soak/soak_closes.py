"""Clean closes: nothing that was sent before them is lost, however slow the other side is.

Each part runs its cycles for the client and for the server, with and without TLS in turn.
"""

import random
import socket

from soak_faults import Progress
from soak_pool import messages
from soak_processes import Pair
from soak_raw import End
from soak_scene import SLACK, Scene, scenes

SENDS = 30
CODE = 4321

LARGE = 3000
"""Messages that do not fit into the buffers of the kernel."""

GULP = 4096
"""Bytes that a slow reader takes at once."""

STAND_IN = 0.02
"""Seconds, so that what reads for an application that does not is met here."""


def theirs(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer speaks and closes before an application that is slow has looked at anything."""
    _hurry_stand_ins(pair)
    received = 0
    for scene, first, size, turn in scenes(pair, cycles, source):
        how = ("waits", "half-closes", "goes")[turn % 3]
        plan = {"sends": 0 if how == "goes" else SENDS, "slow": True}
        # Every other time so few that reading stops until the application takes some.
        options = {"receive_queue_messages": 4} if turn % 2 else {}
        ends = scene.open(first, size, plan, options)
        for end in ends:
            _speak_and_close(end, how, secure=scene.secure)
        scene.worker.ask("release")
        for end in ends:
            if how != "goes":
                end.hear()
                end.leave()
        received += _clean(scene, ends, CODE)
        pair.rest()
        progress(first + size - 1)
    return f"all {received:,} messages received"


def _speak_and_close(end: End, how: str, *, secure: bool) -> None:
    end.open()
    for message in messages(end.number, SENDS):
        end.send(message)
    end.close(CODE)
    if how == "half-closes" and not secure:
        # Through TLS nothing could be received any more, as TLS takes this for an attack.
        end.sock.shutdown(socket.SHUT_WR)
    elif how == "goes":
        end.sock.close()


def ours(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """We speak and close before a peer that is slow has looked at anything."""
    received = 0
    for scene, first, size, turn in scenes(pair, cycles, source):
        sends = LARGE if turn % 4 == 3 else 10 * SENDS
        plan = {"sends": sends, "close": True}
        ends = scene.open(first, size, plan, {"close_timeout": "30s"})
        for end in ends:
            end.open()
            end.counted.gulp = GULP
        scene.worker.ask("said", count=size)
        for end in ends:
            end.hear()
            end.close(1000)
            end.leave()
            received += end.heard
        _clean(scene, ends, 1000)
        pair.rest()
        progress(first + size - 1)
    return f"all {received:,} messages received"


def crossing(pair: Pair, cycles: int, progress: Progress, source: random.Random) -> str:
    """The peer closes while we speak: what its kernel had acknowledged by then it can read."""
    _hurry_stand_ins(pair)
    acknowledged = received = answered = ended = 0
    for scene, first, size, _ in scenes(pair, cycles, source):
        options = {"send_queue_bytes": 256 * 1024}
        ends = scene.open(first, size, {"flood": True}, options)
        for end in ends:
            end.open()
            end.hear(source.randrange(300))
            before = end.counted.received + end.counted.waiting
            end.close(CODE)
            try:
                end.hear()
            except (EOFError, ConnectionError):
                pass  # it need not have answered
            assert end.counted.received >= before, (str(scene), end.number)
            acknowledged += before
            received += end.counted.received
            answered += end.code == CODE
            ended += 1
            end.sock.close()
        _clean(scene, ends, CODE)
        pair.rest()
        progress(first + size - 1)
    return (
        f"{acknowledged:,} bytes acknowledged before the close, {received:,} received, "
        f"{answered:,} of {ended:,} closes answered"
    )


def _hurry_stand_ins(pair: Pair) -> None:
    for process in pair.both:
        process.ask("stand_in", seconds=STAND_IN)


def _clean(scene: Scene, ends: list[End], code: int) -> int:
    """Checks all outcomes; returns how many messages the applications have received."""
    outcomes = scene.outcomes()
    for end in ends:
        outcome = outcomes[end.number]
        about = str(scene), outcome, end.sent, end.heard, end.code
        assert outcome["received"] == end.sent, about
        if end.code:  # it has stayed to hear our close frame
            assert end.code == code, about
            assert end.heard == outcome["sent"], about
        assert outcome["code"] == code, about
        assert not outcome["error"], about
        assert outcome["elapsed"] <= SLACK * 6, about
    return sum(outcome["received"] for outcome in outcomes.values())
