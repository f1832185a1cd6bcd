"""Compressed messages of every kind, to and from those that nobody here wrote, in both roles."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from deflate_backends import BACKENDS, NAMES
from interop_common import Compression, Message, pieces
from interop_deflate import noise
from interop_link import OTHER, Linker
from interop_process import PATIENCE, Peer
from interop_tap import CONTINUATION, PING, PONG

PROGRAMS = Path(__file__).parent / "peers"

MIB = 1 << 20
MODES = ["CONTEXT_TAKEOVER", "NO_CONTEXT"]

CAN_FRAGMENT = ["websockets", "websockets-sync", "ws"]
"""aiohttp has no way to send a message in fragments."""

ALL: dict[str, Compression] = {"ws": {"threshold": 1}}
"""Where the options are such that peers compress everything, too."""

CLOSES = [(1000, ""), (1001, "é€😀"), (4999, "r" * 123)]


def quote(number: int) -> str:
    """One of many messages that are much alike."""
    fields = {"symbol": "ÅÄÖ€", "price": number / 7, "sizes": list(range(number % 9)), "n": number}
    return json.dumps(fields, ensure_ascii=False)


SAME = quote(4711) * 3
SMALL: list[Message] = [
    *["", b"", "é", b"\0", "", b""],
    *[quote(number) for number in range(60)],
    *[SAME] * 20,
    *[bytes(size) for size in (125, 126, 127, 65535, 65536, 100_000)],
    *[noise(size) for size in (1, 300, 32768, 70_000)],
    "aé€😀" * 7000,
    SAME.encode(),
]
# What is incompressible becomes a little longer, and websockets' limit of 1 MiB holds for that too.
LARGE: list[Message] = ["aé€😀" * (MIB // 10), noise(MIB - 8192), bytes(MIB)]


BOTH_FACES = pytest.mark.parametrize("face", ["threads", "aio"])
ON_THREADS = pytest.mark.parametrize("face", ["threads"])


@pytest.fixture(params=MODES)
def ours(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"compression": request.param, "compression_threshold": 1}


def size(message: Message) -> int:
    return len(message.encode() if isinstance(message, str) else message)


def check_repetition(found: list[tuple[bool, int]], *, takeover: bool) -> None:
    """The same message, twenty times, takes less from the second time on; or not."""
    first = SMALL.index(SAME)
    sizes = [size for _, size in found[first : first + 20]]
    assert sizes[0] < size(SAME)
    if takeover:
        assert max(sizes[1:]) < sizes[0] / 3
    else:
        assert set(sizes) == {sizes[0]}


@BOTH_FACES
@pytest.mark.parametrize("backend", BACKENDS, ids=NAMES)
def test_small_messages(
    peer: Peer, role: str, ours: dict[str, Any], backend: ModuleType, linker: Linker, monkeypatch
) -> None:
    monkeypatch.setattr("wsfast.protocol.deflate.zlib", backend)
    link = linker(peer, role, ours, ALL.get(peer.library))
    link.exchange(*SMALL)
    link.close(3000, "é€😀")
    takeover = ours["compression"] == "CONTEXT_TAKEOVER"
    sent = link.our_messages()
    assert [compressed for compressed, _ in sent] == [size(message) > 0 for message in SMALL]
    for found in (sent, link.peer_messages()):
        assert sum(size for _, size in found) < sum(map(size, SMALL)) / 2
        check_repetition(found, takeover=takeover)


@BOTH_FACES
def test_large_messages(peer: Peer, role: str, scheme: str, linker: Linker) -> None:
    link = linker(peer, role, {"compression": "CONTEXT_TAKEOVER"}, scheme=scheme)
    assert link.connection.compressed
    link.exchange(*LARGE)
    assert link.close()["deflate"] is not None
    for end in ("client", "server"):  # much less than all of it, whose noise is incompressible
        assert 0.9 * MIB < link.tap.bytes_from(end) < 1.1 * MIB


@pytest.mark.parametrize("peer", CAN_FRAGMENT, indirect=True, scope="session")
@pytest.mark.parametrize("sizes", ["small", "large"])
def test_fragments_from_the_peer(
    peer: Peer, role: str, ours: dict[str, Any], sizes: str, linker: Linker
) -> None:
    """With pings between them, and cut in the midst of characters."""
    messages = SMALL if sizes == "small" else LARGE
    link = linker(peer, role, ours, ALL.get(peer.library), way="ragged")
    link.exchange(*messages)
    link.close(4999, "r" * 123)
    theirs = link.tap.frames_from(OTHER[role])
    assert sum(frame.opcode == CONTINUATION for frame in theirs) >= 6 * len(messages)
    assert sum(frame.rsv1 for frame in theirs) > len(messages) / 2
    pings = sum(frame.opcode == PING for frame in theirs)
    assert pings >= 6 * len(messages)
    assert 0 < sum(frame.opcode == PONG for frame in link.tap.frames_from(role)) <= pings


@pytest.mark.parametrize("sizes", ["small", "large"])
def test_fragments_to_the_peer(
    peer: Peer, role: str, ours: dict[str, Any], sizes: str, linker: Linker
) -> None:
    """In turn with messages that are whole, which refer to what was in the fragments."""
    messages = SMALL if sizes == "small" else LARGE
    link = linker(peer, role, ours, ALL.get(peer.library))
    for number, message in enumerate(messages):
        if number % 3:
            link.connection.send_fragments(pieces(message))
        else:
            link.connection.send(message)
        link.sent.append(message)
        assert link.connection.receive(PATIENCE) == message
    link.close(4999, "r" * 123)
    found = link.our_messages()
    assert [rsv1 for rsv1, _ in found] == [
        number % 3 > 0 or size(message) > 0 for number, message in enumerate(messages)
    ]


@ON_THREADS
@pytest.mark.parametrize("peer", CAN_FRAGMENT, indirect=True, scope="session")
@pytest.mark.parametrize("compression", [*MODES, "DISABLED"])
@pytest.mark.parametrize("sizes", ["small", "large"])
def test_streams_there_and_back(
    peer: Peer, role: str, compression: str, sizes: str, linker: Linker
) -> None:
    """Sent in fragments, received piece by piece, of which the peer has cut some characters."""
    messages = SMALL if sizes == "small" else LARGE
    ours = {"compression": compression, "streaming": True, "read_limit": 1000}
    link = linker(peer, role, ours, ALL.get(peer.library), way="ragged")
    for message in messages:
        link.connection.send_fragments(pieces(message))
        link.sent.append(message)
        stream = link.connection.receive_stream(PATIENCE)
        assert stream.text == isinstance(message, str)
        got = list(stream)
        assert ("".join(got) if stream.text else b"".join(got)) == message
    link.close(4999, "r" * 123)


def test_pings_from_the_peer(
    peer: Peer, role: str, ours: dict[str, Any], scheme: str, linker: Linker
) -> None:
    # The peer answers only after it has got the right pong.
    link = linker(peer, role, ours, scheme=scheme, way="pings")
    for message in SMALL:
        link.exchange(message)
    link.close()


def test_pings_to_the_peer(peer: Peer, role: str, ours: dict[str, Any], linker: Linker) -> None:
    link = linker(peer, role, ours)
    for number in range(30):
        link.exchange(quote(number))
        assert link.connection.wait_pong(link.connection.ping(quote(number)[:9].encode()), PATIENCE)
    link.close()


@BOTH_FACES
@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_by_the_peer(
    peer: Peer, role: str, ours: dict[str, Any], code: int, reason: str, linker: Linker
) -> None:
    link = linker(peer, role, ours, way="close")
    link.connection.send(json.dumps([code, reason]))
    report = link.ended()
    assert (link.connection.close_code, link.connection.close_reason) == (code, reason)
    assert report["close"][0] == code
    assert link.our_messages()[0][0]


@pytest.mark.parametrize("threshold", [1, 128, 1000])
def test_our_threshold(peer: Peer, role: str, threshold: int, linker: Linker) -> None:
    ours = {"compression": "CONTEXT_TAKEOVER", "compression_threshold": threshold}
    link = linker(peer, role, ours)
    messages = [bytes(max(0, threshold + more)) for more in (-1, 0, 1, -1, 1)]
    link.exchange(*messages, *["é" * (threshold // 2), "é" * (threshold // 2 + 1)])
    link.close()
    compressed = [compressed for compressed, _ in link.our_messages()]
    assert compressed == [False, True, True, False, True, threshold > 1, True]


# ---------------------------------------------------------------- what else peers can be set to

LEVELS: list[dict[str, int]] = [
    *({"level": level} for level in (0, 1, 9)),
    *({"memLevel": level} for level in (1, 9)),
    *({"strategy": strategy} for strategy in (1, 2, 3, 4)),
]
SETTINGS: dict[str, list[Compression]] = {
    "websockets": [{"compress_settings": settings} for settings in LEVELS],
    "ws": [
        *({"threshold": 1, "zlibDeflateOptions": settings} for settings in LEVELS),
        {"zlibDeflateOptions": {"chunkSize": 64}},
        {"zlibInflateOptions": {"chunkSize": 64}},
        *({"threshold": threshold} for threshold in (0, 2000, MIB)),
    ],
    "aiohttp": [],
}


def test_other_settings(peer: Peer, role: str, ours: dict[str, Any], linker: Linker) -> None:
    for theirs in SETTINGS[peer.library]:
        link = linker(peer, role, ours, theirs)
        assert link.connection.compressed
        link.exchange(*SMALL[:100])
        link.close()


@pytest.mark.parametrize("peer", ["ws"], indirect=True, scope="session")
def test_ws_compresses_from_its_threshold_on(peer: Peer, role: str, linker: Linker) -> None:
    """Only without a context."""
    for mode in MODES:
        link = linker(peer, role, {"compression": mode}, {"threshold": 1000})
        link.exchange(bytes(999), bytes(1000))
        link.close()
        compressed = [compressed for compressed, _ in link.peer_messages()]
        assert compressed == [mode == "CONTEXT_TAKEOVER", True]


@pytest.mark.parametrize("peer", ["aiohttp"], indirect=True, scope="session")
def test_aiohttp_compresses_each_message_anew(
    peer: Peer, role: str, ours: dict[str, Any], linker: Linker
) -> None:
    # As it takes the size of its window with the message, all of it has to be agreed on.
    link = linker(peer, role, ours | {"compression_window_bits": 15}, way="anew")
    link.exchange(*SMALL)
    link.close()
    assert all(compressed for compressed, _ in link.peer_messages())
    check_repetition(link.peer_messages(), takeover=False)


def test_ws_compresses_one_message_at_a_time(
    certificate_files: Any, node_modules: Any, role: str, linker: Linker
) -> None:
    """Its `concurrencyLimit` counts for a process, from the first use on."""
    files = (certificate_files.server, certificate_files.authority)
    peer = Peer("node", PROGRAMS / "ws_peer.cjs", *files, node_modules)
    try:
        link = linker(peer, role, {"compression": "CONTEXT_TAKEOVER"}, {"concurrencyLimit": 1})
        link.exchange(*SMALL)
        link.close()
    finally:
        peer.stop()


# ---------------------------------------------------------------- by both of our faces


def test_both_faces(dial: Any, scheme: str) -> None:
    session = dial("echo", scheme, compression="CONTEXT_TAKEOVER", compression_window_bits=15)
    for message in [*SMALL, LARGE[0]]:
        session.ours.send(message)
    for message in [*SMALL, LARGE[0]]:
        assert session.ours.receive() == message
    session.ours.close(1000, "done")
    session.ours.wait_closed()
    assert session.report()["deflate"] is not None
