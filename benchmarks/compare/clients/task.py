"""What every client program here shares: its arguments, its clock, and the line that it prints."""

import argparse
import itertools
import json
import resource
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import payloads

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of a message that every client must take, and no more."""

DEFLATE_WINDOW_BITS = 15


@dataclass
class Task:
    """One measurement. `warm` and `count` are messages of each connection, or connections."""

    task: str
    url: str
    warm: int
    count: int
    size: int
    kind: str
    connections: int
    cafile: str | None
    deflate: bool
    level: int
    transport: str | None
    result: dict[str, object] = field(default_factory=dict)

    @property
    def rounds(self) -> tuple[int, int]:
        """The warm-up, and what is measured."""
        return self.warm, self.count

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.cafile) if self.cafile else None

    def messages(self) -> list[str] | list[str | bytes]:
        """What to send, over and over."""
        return payloads.messages(self.kind, self.size, deflate=self.deflate)

    def start(self) -> None:
        """The clock. The latest start counts, so that it can be called before each round."""
        self._cpu, self._start = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self.result["seconds"] = time.perf_counter() - self._start
        self.result["cpu"] = time.process_time() - self._cpu

    def latencies(self, stamps: Sequence[float]) -> None:
        """Takes the times at which answers came, where each answer caused the next question."""
        times = sorted(later - sooner for sooner, later in itertools.pairwise(stamps))
        for percent in (50, 99, 99.9):
            self.result[f"p{percent:g}"] = times[int((len(times) - 1) * percent / 100)]

    def arrived(self, answer: str | bytes) -> None:
        """Takes what the sink says at the end of a round: how much has arrived."""
        messages, size = map(int, answer.split())
        self.result["wire"] = size / messages


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main(tasks: dict[str, Callable[[Task], None]]) -> None:
    """Runs the program: one task, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=tasks, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--warm", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--kind", choices=["text", "binary"], default="binary")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--cafile")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--level", type=int, default=6)
    parser.add_argument("--transport", choices=["uvloop", "aiofastnet"])
    task = Task(**vars(parser.parse_args()))
    tasks[task.task](task)
    print(json.dumps({"count": task.count * task.connections, **task.result}))
