"""What a process uses, sampled while it works, and whether that stays flat."""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")

WARM_UP = 1 / 3
"""The part of the samples that comes before pools and arenas have reached their size."""


@dataclass(frozen=True)
class Figures:
    """Of one process at one time."""

    memory: int
    """Bytes in RAM."""
    threads: int
    descriptors: int


def figures(pid: int) -> Figures:
    """What the process `pid` uses now."""
    proc = Path("/proc", str(pid))
    return Figures(
        memory=int((proc / "statm").read_text().split()[1]) * PAGE,
        threads=len(os.listdir(proc / "task")),
        descriptors=len(os.listdir(proc / "fd")),
    )


@dataclass
class Samples:
    """Of one process: some while it works, for the maxima, and some at rest, for the verdict."""

    name: str
    allowed_growth: int
    """Bytes."""
    resting: list[Figures] = field(default_factory=list)
    peak: Figures = Figures(0, 0, 0)

    def working(self, now: Figures) -> None:
        self.peak = Figures(
            max(self.peak.memory, now.memory),
            max(self.peak.threads, now.threads),
            max(self.peak.descriptors, now.descriptors),
        )

    def rest(self, now: Figures) -> None:
        self.resting.append(now)
        self.working(now)

    @property
    def growth(self) -> float:
        """Bytes by which memory grew at rest after the warm-up, by the line that fits best."""
        settled = [sample.memory for sample in self.resting[int(len(self.resting) * WARM_UP) :]]
        if len(settled) < 2:
            return 0.0
        slope = statistics.linear_regression(range(len(settled)), settled).slope
        return slope * (len(settled) - 1)

    @property
    def faults(self) -> list[str]:
        """Why these samples are not flat; empty if they are."""
        found = []
        if self.growth > self.allowed_growth:
            found.append(f"memory grew by {self.growth / MIB:.1f} MiB")
        for what in ("threads", "descriptors"):
            counts = [getattr(sample, what) for sample in self.resting]
            if max(counts) != min(counts):
                found.append(f"{what} at rest: {min(counts)} to {max(counts)}")
        return found


def table(samples: Sequence[Samples]) -> list[str]:
    """The lines of a table: at rest first and last, the most at any time, the verdict."""
    lines = [
        f"{'':8}{'memory, MiB':^30}{'threads':^19}{'descriptors':^19}",
        f"{'':8}{'first':>7}{'last':>7}{'max':>7}{'slope':>9}"
        + f"{'first':>7}{'last':>6}{'max':>6}" * 2,
    ]
    for one in samples:
        first, last = one.resting[0], one.resting[-1]
        row = f"{one.name:8}{first.memory / MIB:7.1f}{last.memory / MIB:7.1f}"
        row += f"{one.peak.memory / MIB:7.1f}{one.growth / MIB:+9.2f}"
        row += f"{first.threads:7}{last.threads:6}{one.peak.threads:6}"
        row += f"{first.descriptors:7}{last.descriptors:6}{one.peak.descriptors:6}"
        lines.append(f"{row}  {'; '.join(one.faults) or 'flat'}")
    return lines
