"""What is measured: each scenario is one row of the question "how fast, beside the others?"."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Scenario:
    """One thing that every library is asked to do."""

    name: str
    task: str  # of the client programs
    size: int = 0
    kind: str = "binary"
    tls: bool = False
    deflate: bool = False
    connections: int = 1
    fixed_count: int = 0  # instead of as many as fill the time
    short: bool = False  # belongs to the short set

    @property
    def same_core(self) -> bool:
        """A round trip waits for the other side: across cores, waking it costs more than the rest.
        A flood, and many round trips at once, keep both sides busy."""
        return self.task in ("echo", "request", "connects") and self.connections == 1

    @property
    def probe(self) -> int:
        """How many messages tell a first rate."""
        return max(4, min(1000, 4 * MIB // max(1, self.size)))

    @property
    def pattern(self) -> str:
        """The name of what a flood consists of."""
        return f"{self.kind}-{self.size}{'-deflate' if self.deflate else ''}"

    def path(self, warm: int, count: int) -> str:
        """What the load program is asked for."""
        if self.task == "received":
            return f"/flood/{self.pattern}/{warm}/{count}"
        if self.task == "sent":
            return f"/sink/{warm}/{count}"
        return "/echo"


SIZES = {"32B": 32, "256B": 256, "1KiB": KIB, "4KiB": 4 * KIB, "8KiB": 8 * KIB, "64KiB": 64 * KIB,
         "100kB": 100_000, "1MiB": MIB}  # fmt: skip


def _plain(prefix: str, *, tls: bool, short: tuple[str, ...]) -> list[Scenario]:
    """Round trips and floods, as they are in the clear and through TLS."""
    rows = [
        *((f"echo-{size}", "echo", size, "binary") for size in
          ("32B", "256B", "8KiB", "100kB", "1MiB")),
        *((f"request-{size}", "request", size, "binary") for size in
          ("32B", "256B", "8KiB", "100kB", "1MiB")),
        ("flood-received-32B-text", "received", "32B", "text"),
        *((f"flood-received-{size}", "received", size, "binary") for size in
          ("32B", "256B", "4KiB", "1MiB")),
        *((f"flood-sent-{size}", "sent", size, "binary") for size in ("32B", "1KiB", "64KiB")),
    ]  # fmt: skip
    return [
        Scenario(prefix + name, task, SIZES[size], kind, tls=tls, short=name in short)
        for name, task, size, kind in rows
    ]


def _deflated() -> list[Scenario]:
    return [
        Scenario(
            f"deflate-{task}-{size}", task, SIZES[size], "text", deflate=True, short=size == "1KiB"
        )
        for task in ("received", "sent")
        for size in ("1KiB", "64KiB")
    ]


def _many() -> list[Scenario]:
    return [
        Scenario(f"{count}-connections-{name}", task, SIZES[size], connections=count,
                 short=count == 100 and task == "echo")
        for count in (10, 100)
        for name, task, size in (
            ("echo-256B", "echo", "256B"),
            ("flood-received-256B", "received", "256B"),
            ("flood-sent-256B", "sent", "256B"),
        )
    ]  # fmt: skip


SCENARIOS = [
    *_plain("", tls=False, short=(
        "echo-256B", "echo-100kB", "request-256B", "flood-received-32B-text", "flood-received-32B",
        "flood-received-1MiB", "flood-sent-32B", "flood-sent-1KiB", "flood-sent-64KiB")),
    *_plain("tls-", tls=True, short=("echo-256B", "flood-received-4KiB", "flood-sent-1KiB")),
    *_deflated(),
    *_many(),
    Scenario("connects", "connects", short=True),
    Scenario("tls-connects", "connects", tls=True),
    Scenario("idle", "idle", fixed_count=300, short=True),
    Scenario("tls-idle", "idle", tls=True, fixed_count=300),
]  # fmt: skip


def select(wanted: list[str], among: Sequence[Any]) -> list[Any]:
    """Those whose names are among `wanted`, which may hold patterns such as `flood-*`.

    Raises `ValueError` for one that fits none.
    """
    chosen = set()
    for pattern in wanted:
        matching = fnmatch.filter([scenario.name for scenario in among], pattern)
        if not matching:
            raise ValueError(f"no scenario {pattern!r}; see --list")
        chosen.update(matching)
    return [scenario for scenario in among if scenario.name in chosen]
