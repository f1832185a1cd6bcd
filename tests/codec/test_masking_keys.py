"""Masking keys: from the operating system, one for each frame, never the same in two processes."""

import os

import pytest
from codec_wire import parse_frames

from wsfast.codec import Outbox

FRAMES = 200  # the chance that two of so many random keys are equal is 1 in 200 000


def keys_of(stream: bytes) -> list[bytes]:
    keys = [sent.key for sent in parse_frames(stream)]
    assert None not in keys
    return keys


def draw(outbox: Outbox, count: int) -> list[bytes]:
    for _ in range(count):
        outbox.ping()
    return keys_of(outbox.take())


def test_differ_between_frames() -> None:
    outbox = Outbox()
    for send in (outbox.text, outbox.message):
        for _ in range(FRAMES // 4):
            send("same")
    for _ in range(FRAMES // 4):
        outbox.ping(b"same")
        outbox.frame(1, b"same")
    assert len(set(keys_of(outbox.take()))) == FRAMES


def test_differ_between_outboxes() -> None:
    assert len({key for _ in range(FRAMES) for key in draw(Outbox(), 1)}) == FRAMES


def test_server_uses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "urandom")
    outbox = Outbox(server=True)
    outbox.text("plain")
    assert parse_frames(outbox.take())[0].key is None


class TestSource:
    def test_is_the_operating_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn = bytearray()
        real = os.urandom

        def urandom(size: int) -> bytes:
            drawn.extend(real(size))
            return bytes(drawn[-size:])

        monkeypatch.setattr(os, "urandom", urandom)
        outbox = Outbox()
        keys = b"".join(draw(outbox, 7) + draw(outbox, 500))
        assert keys == drawn[: len(keys)]

    def test_is_not_asked_before_it_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        real = os.urandom

        def urandom(size: int) -> bytes:
            sizes.append(size)
            return real(size)

        monkeypatch.setattr(os, "urandom", urandom)
        outbox = Outbox()
        assert sizes == []
        draw(outbox, 1)
        assert len(sizes) == 1

    def test_that_fails_adds_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def urandom(size: int) -> bytes:
            raise OSError("no entropy")

        outbox = Outbox()
        with monkeypatch.context() as patch:
            patch.setattr(os, "urandom", urandom)
            for _ in range(2):
                with pytest.raises(OSError, match="no entropy"):
                    outbox.text("secret")
                assert (outbox.pending, outbox.frames) == (0, 0)
        outbox.text("secret")
        assert outbox.frames == 1


def test_all_kinds_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x01\x00\x00\x00"):
        monkeypatch.setattr(os, "urandom", lambda size, key=key: key * (size // 4))
        outbox = Outbox()
        outbox.text("same")
        (sent,) = parse_frames(outbox.take())
        assert sent.key == key
        assert sent.payload == b"same"


DRAW = """
import os, sys
from wsfast.codec import Outbox

def draw(outbox):
    for _ in range(16):
        outbox.ping()
    sent = outbox.take()
    return [sent[at + 2 : at + 6].hex() for at in range(0, len(sent), 6)]
"""

# A line of keys from each process. The grandchild and both children start from one outbox, which
# has keys left that it drew before the first fork.
FORK = (
    DRAW
    + """
outbox = Outbox()
lines = [" ".join(draw(outbox))]

def in_child(work):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with open(writer, "w") as pipe:
                pipe.write("\\n".join(work()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader) as pipe:
        answer = pipe.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0
    return answer

def drawn():
    return [" ".join(draw(outbox))]

def drawn_twice_deep():
    return in_child(drawn) + drawn()

lines += in_child(drawn)
lines += in_child(drawn_twice_deep)
lines += drawn()
lines += in_child(lambda: [" ".join(draw(Outbox()))])
print("\\n".join(lines))
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_differ_across_fork(run_python) -> None:
    lines = run_python(FORK).splitlines()
    assert len(lines) == 6
    keys = [key for line in lines for key in line.split()]
    assert len(keys) == 6 * 16
    assert len(set(keys)) == len(keys)


def test_differ_between_processes(run_python) -> None:
    script = DRAW + "print(*draw(Outbox()))"
    keys = [key for _ in range(3) for key in run_python(script).split()]
    assert len(set(keys)) == len(keys) == 3 * 16
