"""What can be set for compression at either end, and what has to come of it (RFC 7692, section 7).

A parameter is a list of choices, each of them a few options; `{}` leaves it unset.
"""

import itertools
import os
import random
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from deflate_backends import BACKENDS
from interop_common import Compression
from interop_pairs import pairs

Options = dict[str, Any]
Choices = list[Options]

EVERY = os.environ.get("INTEROP") == "every"
"""Whether to try each combination of the peer's options with each mode and some windows of ours, on
threads and on asyncio, and not only all pairs of values."""


def _choices(name: str, values: Iterable[Any], *, unset: bool = True) -> Choices:
    return [{}] * unset + [{name: value} for value in values]


MODES = _choices("compression", ["CONTEXT_TAKEOVER", "NO_CONTEXT"], unset=False)
WINDOWS = _choices("compression_window_bits", range(9, 16), unset=False)
LEVELS = _choices("compression_level", [1, 6, 9], unset=False)
FACES = ["threads", "aio"]

WEBSOCKETS_CONTEXT = [
    _choices("server_no_context_takeover", [True]),
    _choices("client_no_context_takeover", [True]),
]
WS_CONTEXT = [
    _choices("serverNoContextTakeover", [False, True]),
    _choices("clientNoContextTakeover", [False, True]),
]
WS_WINDOWS = [
    _choices("serverMaxWindowBits", [False, True, *range(8, 16)]),
    _choices("clientMaxWindowBits", [False, True, *range(8, 16)]),
]

PARAMETERS: dict[tuple[str, str], list[Choices]] = {
    ("websockets", "server"): [
        *WEBSOCKETS_CONTEXT,
        _choices("server_max_window_bits", range(9, 16)),
        [
            *_choices("client_max_window_bits", range(8, 16)),
            *(
                {"client_max_window_bits": bits, "require_client_max_window_bits": True}
                for bits in range(8, 16)
            ),
        ],
    ],
    ("websockets", "client"): [
        *WEBSOCKETS_CONTEXT,
        _choices("server_max_window_bits", range(8, 16)),
        # By default, that is True: the parameter without a value.
        _choices("client_max_window_bits", [None, *range(9, 16)]),
    ],
    ("aiohttp", "server"): [[{}]],  # it can be switched off only
    ("aiohttp", "client"): [_choices("compress", range(9, 16), unset=False)],
    ("ws", "server"): [*WS_CONTEXT, *WS_WINDOWS],
    ("ws", "client"): [*WS_CONTEXT, *WS_WINDOWS],
}
"""By library and role, the parameters of the peer."""

FOR_ALL: dict[str, Options] = {
    "websockets": {},
    "aiohttp": {},
    "ws": {"threshold": 1},  # or it does not compress what is short, without a context
}


class Combination(NamedTuple):
    """How both ends are set."""

    face: str
    """Of our end."""
    ours: Options
    backend: ModuleType
    theirs: Compression

    def __str__(self) -> str:
        ours = f"ours {self.ours} on {self.face}, by {self.backend.__name__}"
        return f"{ours}, and theirs {self.theirs}"


def combinations(library: str, role: str) -> Iterator[Combination]:
    """All there is to try with a library in a role."""
    theirs = PARAMETERS[library, role]

    def combine(row: list[Any]) -> Combination:
        *options, mode, window, face, level, backend = row
        merged = dict(FOR_ALL[library])
        for option in options:
            merged |= option
        ours = {**mode, **window, **level, "compression_threshold": 1}
        return Combination(face, ours, backend, merged)

    def rank(row: list[Any]) -> int:
        """The more comes of it, the better."""
        _, ours, _, theirs = combine(row)
        if not compresses(library, role, theirs):
            return 0
        return 1 if refusal(library, role, theirs, ours) else 2

    if EVERY:
        some_windows = [WINDOWS[0], WINDOWS[3], WINDOWS[6]]
        others = itertools.cycle(itertools.product(LEVELS, BACKENDS))
        rows: Iterable[list[Any]] = (
            [*row, *next(others)] for row in itertools.product(*theirs, MODES, some_windows, FACES)
        )
    else:
        rows = pairs([*theirs, MODES, WINDOWS, FACES, LEVELS, BACKENDS], rank)
    yield from map(combine, rows)
    for mode, face in itertools.product(MODES, FACES):
        yield Combination(face, mode, BACKENDS[0], False)


# ---------------------------------------------------------------- what has to come of it


def read(header: str) -> dict[str, int | bool]:
    """The parameters of a permessage-deflate; True stands for none."""
    name, *parameters = header.split(";")
    assert name == "permessage-deflate"
    found: dict[str, int | bool] = {}
    for parameter in parameters:
        key, equals, value = parameter.strip().partition("=")
        assert key not in found
        found[key] = int(value) if equals else True
    return found


def refusal(library: str, role: str, theirs: Compression, ours: Options) -> str | None:
    """What stands in the peer's error, if it goes as far as to fail the handshake.

    `ws` does so where options that were set explicitly are not met exactly. As a server it ought
    to decline the offer, and the connection would be open without compression (RFC 7692, section
    5.1: "If a server doesn't accept any offer"); it answers 400.
    """
    if library != "ws" or not compresses(library, role, theirs):
        return None
    assert isinstance(theirs, dict)
    no_context = ours["compression"] == "NO_CONTEXT"
    if role == "client":
        refused = no_context and theirs.get("clientNoContextTakeover") is False
        return "Invalid Sec-WebSocket-Extensions header" if refused else None
    bits = ours["compression_window_bits"]
    offers_bits = bits < 15  # else there is no limit to the server's window
    server = theirs.get("serverMaxWindowBits")
    client = theirs.get("clientMaxWindowBits")
    refused = (
        (no_context and theirs.get("serverNoContextTakeover") is False)
        or (offers_bits and (server is False or (type(server) is int and server > bits)))
        or (type(client) is int and client > bits)
    )
    return "400" if refused else None


def compresses(library: str, role: str, theirs: Compression) -> bool:
    """Whether anything is to be agreed on."""
    if not isinstance(theirs, dict):
        return False
    # The parameter needs a value (RFC 7692, section 7.1.2.1); so the offer is to be declined.
    malformed = role == "client" and theirs.get("serverMaxWindowBits") is True
    return not (library == "ws" and malformed)


def our_answer(offer: dict[str, int | bool], ours: Options) -> dict[str, int | bool]:
    """What a server of ours has to answer."""
    bits = ours["compression_window_bits"]
    answer: dict[str, int | bool] = {}
    for side in ("server", "client"):
        name = f"{side}_no_context_takeover"
        if ours["compression"] == "NO_CONTEXT" or name in offer:
            answer[name] = True
    server = min(bits, offer.get("server_max_window_bits", 15))
    if server < 15 or "server_max_window_bits" in offer:
        answer["server_max_window_bits"] = server
    if "client_max_window_bits" in offer:
        asked = offer["client_max_window_bits"]
        client = bits if asked is True else min(bits, asked)
        if client < 15:
            answer["client_max_window_bits"] = client
    return answer


ASKED = {
    "server_no_context_takeover": ["server_no_context_takeover", "serverNoContextTakeover"],
    "client_no_context_takeover": ["client_no_context_takeover", "clientNoContextTakeover"],
    "server_max_window_bits": ["server_max_window_bits", "serverMaxWindowBits"],
    "client_max_window_bits": ["client_max_window_bits", "clientMaxWindowBits"],
}
"""The parameters, and the options of servers that ask for them."""


def check_peers_answer(
    offer: dict[str, int | bool], answer: dict[str, int | bool], theirs: Options
) -> None:
    """A server that is not ours has granted what it must, and asked for what it was told to."""
    if "server_no_context_takeover" in offer:
        assert "server_no_context_takeover" in answer
    if "server_max_window_bits" in offer:
        assert answer["server_max_window_bits"] <= offer["server_max_window_bits"]
    for parameter, names in ASKED.items():
        for value in (theirs[name] for name in names if name in theirs):
            if type(value) is int:
                assert answer[parameter] <= value
            elif value and parameter.endswith("takeover"):
                assert parameter in answer


class Direction(NamedTuple):
    """What one end compresses with, or the other inflates with."""

    bits: int
    takeover: bool

    def within(self, other: "Direction") -> bool:
        """Whether who reads like `other` can read it."""
        return self.bits <= other.bits and self.takeover <= other.takeover


def agreed(answer: dict[str, int | bool], side: str) -> Direction:
    """What the answer says about the messages of one side."""
    bits = answer.get(f"{side}_max_window_bits", 15)
    return Direction(bits, f"{side}_no_context_takeover" not in answer)


# ---------------------------------------------------------------- what is seen on the wire


def noise(size: int) -> bytes:
    """What cannot be compressed, unless it has come before; always the same for a size."""
    return random.Random(size).randbytes(size)


def probes(*directions: Direction) -> list[int]:
    """Sizes of messages such that a repetition lies just within, and just out of, each window."""
    sizes: set[int] = set()
    for bits, _ in directions:
        sizes |= {_within(bits), (1 << bits) + 1}
    return sorted(sizes)


def _within(bits: int) -> int:
    """zlib makes no use of 262 bytes of a window. One of 256 is to it the half of one of 512."""
    return (1 << max(bits, 9)) - 262 - 40


def check_memory(sizes: list[int], found: list[tuple[bool, int]], direction: Direction) -> None:
    """Of each of the messages that came twice, the second was small if it could be."""
    assert len(found) == 2 * len(sizes)
    for number, size in enumerate(sizes):
        (one, first), (two, second) = found[2 * number : 2 * number + 2]
        assert one, size
        assert two, size
        assert first >= size
        if direction.takeover and size <= _within(direction.bits):
            assert second < size / 2, (direction, size)
        elif not direction.takeover or size > 1 << direction.bits:
            assert second >= size, (direction, size)
