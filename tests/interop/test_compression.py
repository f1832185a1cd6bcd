"""Every way to agree on compression with those that nobody here wrote, in both roles.

What the two ends say to each other, what each of them believes then, and what is seen on the wire
have to be the same. `INTEROP=every` tries each combination; without it all pairs of values occur,
those of our own options included.
"""

import logging
from typing import Any

import pytest
from interop_deflate import (
    EVERY,
    Combination,
    Direction,
    agreed,
    check_memory,
    check_peers_answer,
    combinations,
    compresses,
    noise,
    our_answer,
    probes,
    read,
    refusal,
)
from interop_link import OTHER, Link, Linker
from interop_process import PATIENCE

from wsfast.protocol.errors import ConnectionClosed, HandshakeError

TEXTS = ["grün", '{"price": 1.5}', "", '{"price": 1.6}', "é€😀" * 5]


logger = logging.getLogger(__name__)


@pytest.fixture
def face() -> str:
    """Each combination has its own."""
    return "threads"


@pytest.mark.timeout(0 if EVERY else 120)
def test_every_combination(peer, role: str, linker: Linker, monkeypatch) -> None:
    counts = {"compressed": 0, "declined": 0, "refused": 0}
    for combination in combinations(peer.library, OTHER[role]):
        monkeypatch.setattr("wsfast.protocol.deflate.zlib", combination.backend)
        linker.face = combination.face
        try:
            counts[check(peer, role, linker, combination)] += 1
        except BaseException as error:
            error.add_note(str(combination))
            raise
    logger.info("%s as %s: %s", peer.version, OTHER[role], counts)
    assert counts["compressed"] > 0


def check(peer, role: str, linker: Linker, combination: Combination) -> str:
    """Connects, exchanges messages and closes; returns what came of it."""
    _, ours, _, theirs = combination
    expected = refusal(peer.library, OTHER[role], theirs, ours)
    if expected is not None:
        check_refused(peer, role, linker, combination, expected)
        return "refused"
    link = linker(peer, role, ours, theirs)
    if not compresses(peer.library, OTHER[role], theirs):
        check_declined(link)
        return "declined"
    check_agreed(link, ours, theirs)
    return "compressed"


def check_refused(peer, role: str, linker: Linker, combination: Combination, text: str) -> None:
    if role == "client":
        with pytest.raises(HandshakeError, match=text):
            linker(peer, role, combination.ours, combination.theirs)
        return
    link = linker(peer, role, combination.ours, combination.theirs)
    with pytest.raises(AssertionError, match=text):
        peer.report(link.token)
    with pytest.raises(ConnectionClosed):
        link.connection.receive(PATIENCE)
    link.let_go()


def check_declined(link: Link) -> None:
    assert not link.connection.compressed
    link.exchange(*TEXTS, noise(1000))
    report = link.close()
    assert report["deflate"] is None
    assert link.tap.extensions_from("server") is None
    for messages in (link.our_messages(), link.peer_messages()):
        assert [compressed for compressed, _ in messages] == [False] * 6


def check_agreed(link: Link, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert link.connection.compressed
    link.exchange(*TEXTS)
    offer = read(link.tap.extensions_from("client"))
    answer = read(link.tap.extensions_from("server"))
    if link.role == "server":
        assert answer == our_answer(offer, ours)
    else:
        check_peers_answer(offer, answer, theirs)
    to_peer, to_us = agreed(answer, link.role), agreed(answer, OTHER[link.role])
    keeps = ours["compression"] == "CONTEXT_TAKEOVER"
    we_send = Direction(
        min(to_peer.bits, ours["compression_window_bits"]), to_peer.takeover and keeps
    )
    assert we_read(link) == to_us

    sizes = probes(to_peer, to_us, we_send)
    link.exchange(*(noise(size) for size in sizes for _ in "12"))
    report = link.close()

    peer_sends = Direction(*report["deflate"]["sends"])
    assert peer_sends.within(to_us)
    assert to_peer.within(Direction(*report["deflate"]["reads"]))
    check_memory(sizes, link.our_messages()[len(TEXTS) :], we_send)
    check_memory(sizes, link.peer_messages()[len(TEXTS) :], peer_sends)


def we_read(link: Link) -> Direction:
    """What our end believes about the messages of the peer."""
    inflater = link.connection._protocol._inflater
    return Direction(inflater._window_bits, inflater._takeover)
