"""A soak: wsfast's client and server for as long as it takes for a leak or a hang to show.

Each part runs with two fresh processes under test, and ends with a table of what they used. The
exit status is 1 if that was not flat, or as soon as anything went wrong.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import soak_bulk
import soak_closes
import soak_faults
from soak_figures import MIB, table
from soak_processes import Certificates, Pair

EVERY = 5.0
"""Seconds between two lines that tell how far it has come."""


class Log:
    """Says how far a part has come, now and then."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._began = self._said = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def progress(self, done: int) -> None:
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            rate = done / self.elapsed
            say(f"{self._name}: {done:,} of {self._total:,}, {rate:,.0f}/s")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    arguments = _arguments()
    source = random.Random(arguments.seed)
    cycles = arguments.cycles
    faults = {
        "kill": soak_faults.kill,
        "reset": soak_faults.reset,
        "half-close": soak_faults.half_close,
        "stall": soak_faults.stall,
        "close-theirs": soak_closes.theirs,
        "close-ours": soak_closes.ours,
        "close-crossing": soak_closes.crossing,
    }
    parts: dict[str, tuple[int, Callable[..., str]]] = {
        "connects": (arguments.connects, soak_bulk.connects),
        "messages": (arguments.messages, soak_bulk.messages),
        "compressed": (
            arguments.compressed,
            partial(soak_bulk.messages, compression="CONTEXT_TAKEOVER"),
        ),
    } | {name: (cycles, partial(part, source=source)) for name, part in faults.items()}
    wanted = arguments.part or list(parts)
    say(f"seed {arguments.seed}; parts: {' '.join(wanted)}")
    flat = True
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.make(Path(folder))
        for name in wanted:
            with Pair(certificates, int(arguments.growth * MIB)) as pair:
                flat &= _run(name, *parts[name], pair)
    return 0 if flat else 1


def _run(name: str, total: int, part: Callable[..., str], pair: Pair) -> bool:
    log = Log(name, total)
    summary = part(pair, total, log.progress)
    samples = [process.samples for process in pair.both]
    say(f"\n{name}: {total:,} in {log.elapsed:.1f} s; {summary}")
    for line in table(samples):
        say(f"  {line}")
    say("")
    return not any(one.faults for one in samples)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help="which parts to run; all of them by default")
    parser.add_argument("--connects", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--compressed", type=int, default=1_000_000, help="messages, beside those")
    parser.add_argument("--cycles", type=int, default=1000, help="of each fault, for each role")
    parser.add_argument(
        "--growth", type=float, default=4, help="MiB by which memory may seem to grow, for noise"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
