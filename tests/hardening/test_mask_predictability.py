"""Mask predictability: keys come from the operating system, a new one for each frame, and none
twice: not on other connections, in other processes, or on either side of a fork."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import CLOSE, PING, TEXT, RawServer, RawServerPeer, close_frame, field, frame

import wsfast


def collect(peer: RawServerPeer) -> tuple[bytes, list[bytes]]:
    """The nonce of the handshake and the keys of all frames."""
    nonce = field(peer.upgrade(), b"Sec-WebSocket-Key")
    assert nonce is not None
    peer.send(frame(PING, b"a pong is masked, too") + frame(TEXT, b"go on"))
    keys = []
    opcode = -1
    while opcode != CLOSE:
        received = peer.read_frame()
        opcode = received.opcode
        assert received.key is not None
        keys.append(received.key)
    peer.send(close_frame(1000))
    return nonce, keys


def test_keys_and_nonces_differ(raw_server: Callable[..., RawServer], make_recorder: Any) -> None:
    server = raw_server(collect)
    nonces: list[bytes] = []
    keys: list[bytes] = []
    for _ in range(3):
        recorder = make_recorder()
        number = wsfast.connect(server.url, **recorder.callbacks)
        recorder.wait_messages(1)  # after it the pong has been queued
        for _ in range(500):
            assert wsfast.send(number, "always the same")
        wsfast.close(number)
        nonce, of_frames = server.result()
        assert len(of_frames) == 502
        nonces.append(nonce)
        keys += of_frames
        recorder.wait_closed()
    assert len(set(nonces)) == 3
    # Two of 1506 random keys are the same once in some 4000 runs; more are never.
    assert len(set(keys)) >= len(keys) - 2
    # Each bit is set about half of the time: 753 times, and 200 are ten standard deviations.
    for bit in range(32):
        ones = sum(int.from_bytes(key, "big") >> bit & 1 for key in keys)
        assert 553 < ones < 953


def test_keys_and_nonces_are_what_the_operating_system_drew(
    raw_server: Callable[..., RawServer], recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bytes] = []
    urandom = os.urandom

    def record(size: int) -> bytes:
        drawn.append(urandom(size))
        return drawn[-1]

    monkeypatch.setattr(os, "urandom", record)
    server = raw_server(collect)
    number = wsfast.connect(server.url, **recorder.callbacks)
    recorder.wait_messages(1)
    for _ in range(100):
        wsfast.send(number, "always the same")
    wsfast.close(number)
    _, keys = server.result()
    recorder.wait_closed()
    supply = b"".join(drawn)
    at = 0
    for key in keys:
        at = supply.index(key, at) + 4  # in order, and none twice


FORKING = """
import os, sys
from wsfast.codec import Outbox

def keys(outbox, count):
    for _ in range(count):
        outbox.text("")
    wire = outbox.take()
    return [wire[i + 2 : i + 6].hex() for i in range(0, len(wire), 6)]

outbox = Outbox()
print("before", *keys(outbox, 3))
sys.stdout.flush()
for child in "first", "second":
    if os.fork() == 0:
        print(child, *keys(outbox, 20), *keys(Outbox(), 20))
        sys.stdout.flush()
        os._exit(0)
    os.wait()
print("parent", *keys(outbox, 20), *keys(Outbox(), 20))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_keys_differ_across_a_fork() -> None:
    """The buffered ones that are left are not used by both."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKING],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    keys = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert {name: len(found) for name, found in keys.items()} == {
        "before": 3,
        "first": 40,
        "second": 40,
        "parent": 40,
    }
    everything = [key for found in keys.values() for key in found]
    assert len(set(everything)) == len(everything)


def test_keys_differ_between_processes() -> None:
    script = 'from wsfast.codec import Outbox; o = Outbox(); o.text(""); print(o.take()[2:].hex())'
    keys = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for _ in range(3)
    }
    assert len(keys) == 3
