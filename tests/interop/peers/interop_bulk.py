"""Ten thousand messages each way at the same time: what they are, and what both ends do.

Both ends make the same messages from a seed, and compare what arrives with them. Either end stops
reading at some of them, until the sends of the other end block. How the ends tell each other:

    peer prints {"paused": true}     it has stopped reading
    test writes {"resume": true}     our sends have blocked: read on
    test writes {"watch": true}      we have stopped reading
    peer prints {"blocked": true}    its sends have blocked; false if it has sent everything
    peer prints {"done": ...}        after the end
"""

import random
import threading
from collections.abc import Callable
from typing import Any

from interop_common import Message

COUNT = 10_000
MIB = 1 << 20

PAUSES = (1000, 3500, 6000)
"""Messages before which an end stops reading. Much more is to come after the last of them than
all queues and socket buffers hold, so that the other end's sends must block."""

TO_SERVER, TO_CLIENT = 1, 2
"""Seeds."""

STALL = 0.1
"""Seconds after which a send that is still waiting counts as blocked."""

OPTIONS: dict[str, Any] = {
    # A send that has waited that long says so, and is tried again.
    "write_timeout": "100ms",
    "send_queue_bytes": 4 * MIB,
    "receive_queue_bytes": MIB,
}
"""For ends of ours."""

_EDGES = (0, 1, 125, 126, 65535, 65536)


def _sizes(rng: random.Random) -> list[int]:
    """About 155 MB in all: most of it in the large messages, most of the messages small."""
    sizes = [size for size in _EDGES for _ in range(40)]
    sizes += [MIB] * 10
    sizes += [rng.randint(MIB - (1 << 16), MIB) for _ in range(50)]
    sizes += [int(2 ** rng.uniform(16, 20)) for _ in range(100)]
    sizes += [int(2 ** rng.uniform(0, 16)) for _ in range(COUNT - len(sizes))]
    rng.shuffle(sizes)
    return sizes


class Messages:
    """The messages of one direction, text and binary mixed; `messages[i]` is made when asked."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self._binary = rng.randbytes(2 * MIB)
        alphabet = [chr(rng.randint(*span)) for span in _SPANS for _ in range(64)]
        # 2.6 MB: a message may begin anywhere in the first MiB.
        self._text = "".join(rng.choices(alphabet, k=MIB // 4)).encode() * 4
        self._made_of = [(size, rng.random() < 0.5, rng.randrange(MIB)) for size in _sizes(rng)]

    def __getitem__(self, index: int) -> Message:
        size, text, start = self._made_of[index]
        if not text:
            return self._binary[start : start + size]
        start = self._boundary(start)
        end = max(start, self._boundary(start + size - 3)) if size >= 3 else start
        return self._text[start:end].decode() + "." * (size - (end - start))

    def _boundary(self, index: int) -> int:
        """Where the next character begins."""
        while self._text[index] & 0xC0 == 0x80:
            index += 1
        return index


_SPANS = ((0x20, 0x7E), (0xA0, 0x7FF), (0x800, 0xD7FF), (0x10000, 0x10FFFF))
"""Code points of 1, 2, 3 and 4 bytes."""


class Check:
    """Compares what arrives with what was sent."""

    def __init__(self, expected: Messages) -> None:
        self._expected = expected
        self.count = 0
        self.fault: str | None = None
        self.over = threading.Event()
        """Everything has arrived, or something wrong."""

    def got(self, message: Message) -> None:
        """The next message has arrived."""
        if self.fault is not None:
            return
        if self.count == COUNT:
            self.fault = "a message too many"
        elif message != self._expected[self.count]:
            self.fault = f"message {self.count}: not what was sent, {len(message)} long"
        else:
            self.count += 1
        if self.fault is not None or self.count == COUNT:
            self.over.set()

    def result(self) -> dict[str, Any]:
        """For the test to look at."""
        return {"count": self.count, "fault": self.fault}


class Sender:
    """Sends all messages on a thread of its own. `send` returns False when it was blocked."""

    def __init__(self, messages: Messages, send: Callable[[Message], bool]) -> None:
        self._messages = messages
        self._send = send
        self._stalled = threading.Event()
        self._done = False
        self.thread = threading.Thread(target=self._run, name="interop sender", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for index in range(COUNT):
                message = self._messages[index]
                while not self._send(message):
                    self._stalled.set()
        finally:
            self._done = True
            self._stalled.set()

    def wait_blocked(self, timeout: float | None = None) -> bool:
        """Waits until a send blocks, from now on; False if all has been sent."""
        self._stalled.clear()
        return not self._done and self._stalled.wait(timeout) and not self._done
