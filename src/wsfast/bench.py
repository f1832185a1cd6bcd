"""`wsfast bench`: how fast a server is, as one client sees it."""

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wsfast._version import __version__
from wsfast.interactive import harmless
from wsfast.measure import Load, Pipelined, Times, connects
from wsfast.opening import FAILED, Opening, Problem, duration
from wsfast.opening import add_arguments as add_opening_arguments
from wsfast.protocol.connection import Message

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "main"]

HELP = "measure how fast a server is"
DESCRIPTION = (
    "Measure a server: round trips, echoes of many messages under way at once, and connections"
    " opened one after the other. If it does not echo, pings take the place of messages. It takes a"
    " few seconds and one connection, unless told otherwise. Measure only what you may: a server"
    " notices. The figures are those of this client and this machine too, so take several runs."
)
SIZES = "32,1K,64K"
MAX_SIZE = 64 * 1024 * 1024
MAX_CONNECTIONS = 1000
PERCENTILES = (50, 99, 99.9)

_SIZE = re.compile(r"([0-9]{1,9})([KkMm]?)(?:i?B)?", re.ASCII)
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    add_opening_arguments(command)
    command.add_argument(
        "--size", metavar="SIZES", type=_sizes, default=SIZES,
        help="bytes of a message, one size or several such as 32,1K,2M (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--duration", metavar="DURATION", type=duration, default="1s",
        help="how long each of the measurements takes (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--connections", metavar="N", type=_connections, default=1,
        help="how many at the same time, for messages (default: %(default)s)",
    )  # fmt: skip
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--text", action="store_true", help="send text messages")
    kind.add_argument("--binary", action="store_true", help="send binary messages (default)")
    command.add_argument("--json", action="store_true", help="print the figures as JSON")


def _sizes(text: str) -> list[int]:
    return [_size(part.strip()) for part in text.split(",")]


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2].upper()] if found is not None else -1
    if not 1 <= size <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r} is no size from 1 to 64M")
    return size


def _connections(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MAX_CONNECTIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_CONNECTIONS}")
    return int(text)


@dataclass
class Figures:
    """What was measured; by size in bytes where there are several."""

    round_trips: dict[int, Times] = field(default_factory=dict)
    pipelined: dict[int, Pipelined] = field(default_factory=dict)
    pings: Times | None = None
    connecting: Times = field(init=False)


def main(args: argparse.Namespace) -> int:
    """Measures, and prints what was found. Returns the exit status. Raises `Problem`."""
    largest = max(args.size)
    opening = Opening(
        args, ping_interval=None, read_limit=max(largest, 1 << 24), send_queue_bytes=2 * MAX_SIZE
    )
    if opening.warning:
        print(opening.warning, file=sys.stderr)
    figures = Figures()
    progress = _Progress(2 * len(args.size) + 1, args.duration)
    try:
        echoes = _measure_echoes(opening, args, figures, progress)
        if not echoes:
            progress.note("The server does not echo: pings take the place of messages")
            _measure_pings(opening, args, figures, progress)
        with progress.step("connecting"):
            figures.connecting = connects(opening, args.duration, progress.tick)
    finally:
        progress.end()
    if args.json:
        print(json.dumps(_as_json(opening, args, figures), indent=2))
    else:
        print("\n".join(_table(opening, args, figures)))
    return 0 if echoes else FAILED


def _measure_echoes(
    opening: Opening, args: argparse.Namespace, figures: Figures, progress: "_Progress"
) -> bool:
    """Whether the server echoes. If not, nothing was measured."""
    with Load(opening, args.connections) as load:
        payloads = {size: _payload(size, text=args.text) for size in args.size}
        if not load.echoes(payloads[args.size[0]], progress.tick):
            return False
        for size, payload in payloads.items():
            with progress.step(f"round trips of {_shown(size)}"):
                figures.round_trips[size] = load.round_trips(payload, args.duration, progress.tick)
        for size, payload in payloads.items():
            with progress.step(f"pipelined messages of {_shown(size)}"):
                figures.pipelined[size] = load.pipelined(payload, args.duration, progress.tick)
    return True


def _measure_pings(
    opening: Opening, args: argparse.Namespace, figures: Figures, progress: "_Progress"
) -> None:
    with Load(opening, args.connections) as load, progress.step("pings"):
        figures.pings = load.pings(args.duration, progress.tick)


def _payload(size: int, *, text: bool) -> Message:
    noise = random.Random(size)
    return noise.randbytes((size + 1) // 2).hex()[:size] if text else noise.randbytes(size)


class _Progress:
    """On standard error: a bar on a terminal, a line for each step elsewhere.

    As a context, which `step` gives, it names the step in the text of a `Problem`.
    """

    def __init__(self, steps: int, duration: float) -> None:
        self._steps, self._duration = steps, duration
        self._done = 0
        self._name = ""
        self._began = 0.0
        self._bar = sys.stderr.isatty()

    def step(self, name: str) -> "_Progress":
        self._name, self._began = name, time.monotonic()
        if not self._bar:
            self.note(f"Measuring {name} ...")
        return self

    def __enter__(self) -> "_Progress":
        self.tick()
        return self

    def __exit__(self, _: object, error: object, trace: object) -> None:
        self._done += 1
        if isinstance(error, Problem):
            raise Problem(f"{self._name}: {error}", error.status) from None

    def tick(self) -> None:
        """Shows how far it is."""
        if not self._bar or not self._name:
            return
        part = min(1.0, (time.monotonic() - self._began) / self._duration)
        filled = int(30 * (self._done + part) / self._steps)
        bar = ("#" * filled).ljust(30, ".")
        print(f"\r\x1b[K[{bar}] {self._name}", end="", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Shows a line that stays."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Takes the bar away."""
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# -------------------------------------------------------------- what is shown


def _table(opening: Opening, args: argparse.Namespace, figures: Figures) -> Iterator[str]:
    many = f"{args.connections} connections" if args.connections > 1 else "1 connection"
    yield f"{harmless(opening.url.redacted)}, {many}, {_kind(args)} messages"
    yield ""
    heads = "".join(f"{f'p{percent:g}':>11}" for percent in PERCENTILES)
    yield f"{'round trips':<17}{heads}{'per second':>14}"
    for size, times in figures.round_trips.items():
        yield f"  {_shown(size):<15}{_cells(times)}"
    if figures.pings is not None:
        yield f"  {'ping':<15}{_cells(figures.pings)}"
    yield f"  {'connecting':<15}{_cells(figures.connecting)}"
    if figures.pipelined:
        yield ""
        yield f"{'pipelined':<17}{'under way':>11}{'messages/s':>25}{'MB/s':>11}"
    for size, found in figures.pipelined.items():
        rate = size * found.rate / 1e6
        yield f"  {_shown(size):<15}{found.in_flight:>11}{found.rate:>25,.0f}{rate:>11,.1f}"


def _cells(times: Times) -> str:
    cells = (f"{times.percentile(percent) * 1e6:>8,.0f} \u00b5s" for percent in PERCENTILES)
    return "".join(cells) + f"{times.rate:>14,.0f}"


def _shown(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def _kind(args: argparse.Namespace) -> str:
    return "text" if args.text else "binary"


def _as_json(opening: Opening, args: argparse.Namespace, figures: Figures) -> dict[str, Any]:
    """Times in seconds, sizes in bytes, rates per second."""
    return {
        "wsfast": __version__,
        "url": opening.url.redacted,
        "connections": args.connections,
        "messages": _kind(args),
        "duration": args.duration,
        "echoes": bool(figures.round_trips),
        "round_trips": [
            {"size": size} | _times_as_json(times) for size, times in figures.round_trips.items()
        ],
        "pipelined": [
            {"size": size, "in_flight": found.in_flight, "per_second": found.rate}
            for size, found in figures.pipelined.items()
        ],
        "pings": None if figures.pings is None else _times_as_json(figures.pings),
        "connecting": _times_as_json(figures.connecting),
    }


def _times_as_json(times: Times) -> dict[str, Any]:
    percentiles = {f"p{percent:g}": times.percentile(percent) for percent in PERCENTILES}
    return {"count": len(times.seconds), "per_second": times.rate} | percentiles
