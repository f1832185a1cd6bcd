"""Deflate bomb: 1 MiB of input that inflates to 1 GiB costs no more memory than `read_limit`."""

import os
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bomb_target import LARGE, LIMITS
from raw_peers import (
    BINARY,
    CONTINUATION,
    KEY,
    TEXT,
    RawServer,
    RawServerPeer,
    Wire,
    client_peer,
    frame,
)

EXTENSION = b"Sec-WebSocket-Extensions: permessage-deflate"
RSV1 = 4
MIB = 1 << 20
# Without a GIL each thread has a heap of its own, whatever the environment says.
TOLERANCE = 4 * MIB if sysconfig.get_config_var("Py_GIL_DISABLED") else 64 * 1024

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="/proc tells how much memory is in RAM, on Linux"
)


def make_bomb() -> bytes:
    state = zlib.compressobj(9, wbits=-15)
    return (state.compress(bytes(32 * MIB)) + state.flush(zlib.Z_FULL_FLUSH)) * 32


BOMB = make_bomb()
HARMLESS = zlib.compress(b"harmless" * 1000, wbits=-15) + b"\x00"


def bomb_frames(kind: str, key: bytes | None) -> bytes:
    if kind != "fragments":
        opcode = TEXT if kind == "text" else BINARY
        return frame(opcode, BOMB, rsv=RSV1, key=key)
    pieces = [BOMB[at : at + 1000] for at in range(0, len(BOMB), 1000)]
    return b"".join(
        [
            frame(BINARY, fin=False, rsv=RSV1, key=key),
            *(frame(CONTINUATION, piece, fin=False, key=key) for piece in pieces),
            frame(CONTINUATION, key=key),
        ]
    )


def throw(peer: Wire, kind: str, key: bytes | None) -> int:
    """Sends a harmless message, then the bomb; the code of the close frame that comes back."""
    peer.send(frame(BINARY, HARMLESS, rsv=RSV1, key=key))
    assert peer.read_frame().payload == b"ready"
    peer.send(bomb_frames(kind, key))
    return peer.read_close().code


@contextmanager
def target(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(Path(__file__).with_name("bomb_target.py")), *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One heap for all threads: otherwise how much each keeps for later is measured too.
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    ) as process:
        yield process
        process.stdin.close()
        assert process.wait() == 0


def check(lines: list[str]) -> None:
    codes, grown = zip(*(map(int, line.split()) for line in lines), strict=True)
    assert codes == (1009,) * len(LIMITS)
    assert grown[-1] <= LARGE + TOLERANCE


def test_the_bomb_is_one() -> None:
    assert 1_000_000 < len(BOMB) < 1.1 * MIB
    state = zlib.decompressobj(wbits=-15)
    inflated, rest = 0, BOMB
    while part := state.decompress(rest, 64 * MIB):
        inflated, rest = inflated + len(part), state.unconsumed_tail
    assert inflated == 1 << 30


@pytest.mark.parametrize("kind", ["one frame", "text", "fragments"])
@pytest.mark.parametrize("ours", ["client", "aio-client"])
def test_by_a_server(ours: str, kind: str, raw_server: Callable[..., RawServer]) -> None:
    def serve(peer: RawServerPeer) -> int:
        peer.upgrade(EXTENSION)
        return throw(peer, kind, None)

    server = raw_server(serve)
    with target(ours, server.url) as process:
        check([process.stdout.readline() for _ in LIMITS])


@pytest.mark.parametrize("kind", ["one frame", "text", "fragments"])
@pytest.mark.parametrize("ours", ["server", "aio-server"])
def test_by_a_client(ours: str, kind: str) -> None:
    with target(ours) as process:
        lines = []
        for port in map(int, process.stdout.readline().split()):
            with client_peer(port) as peer:
                peer.open(EXTENSION)
                assert throw(peer, kind, KEY) == 1009
            lines.append(process.stdout.readline())
        check(lines)
