"""The messages of the soak: both ends make the same ones, so each can check what it gets."""

import itertools
import random
from collections.abc import Iterator, Sequence

Message = str | bytes

SIZE = 256
"""Messages in the pool."""

_LARGE = {17: 65_536, 80: 16_384, 145: 65_535, 201: 4096, 230: 1024}
_EDGES = [0, 1, 125, 126, 127]


def _make() -> list[Message]:
    source = random.Random(6455)
    pool: list[Message] = []
    for i in range(SIZE):
        size = _LARGE.get(i) or (_EDGES[i] if i < len(_EDGES) else source.randrange(200))
        if i % 2:
            pool.append(source.randbytes(size))
        else:
            # As JSON is: it compresses, and now and then a letter takes more than a byte.
            pool.append((f'{{"id":{i},"text":"{"wörd " * (size // 6)}😀"}}' * 2)[:size])
    return pool


POOL: Sequence[Message] = _make()


def messages(first: int, count: int | None = None) -> Iterator[Message]:
    """`count` messages, or without end, from place `first` of the pool on."""
    endless = (POOL[i % SIZE] for i in itertools.count(first))
    return endless if count is None else itertools.islice(endless, count)


class Tally:
    """Checks that messages come complete, in order and of the right type, from `first` on."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.count = 0
        self.wrong = ""

    def take(self, message: Message) -> None:
        expected = POOL[(self._first + self.count) % SIZE]
        if message != expected and not self.wrong:
            self.wrong = f"message {self.count}: {message[:40]!r} in place of {expected[:40]!r}"
        self.count += 1

    def take_all(self, taken: Sequence[Message]) -> None:
        for message in taken:
            self.take(message)
