"""What wsfast sets out to reach, as ratios within one run, and whether a run has reached it."""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass

from programs import LIMIT, REFERENCE

PEERS = "the best peer"
OURS = "wsfast"
ASYNCIO = "wsfast-aio"
ITERATED = "wsfast-aio-iterated"


@dataclass(frozen=True)
class Target:
    """At least `ratio` times as good as another, in a figure. The other may be a pattern: then the
    best of those is meant."""

    scenario: str
    ratio: float
    other: str = REFERENCE
    program: str = OURS
    figure: str = "rate"


@dataclass(frozen=True)
class Outcome:
    """What a run has to say to a target."""

    target: Target
    other: str
    ratio: float
    by_cpu: float  # the ratio of the processor's time

    @property
    def met(self) -> bool:
        return self.ratio >= self.target.ratio


ECHO = ("32B", "256B", "8KiB", "100kB", "1MiB")
LARGE = ("100kB", "1MiB")

CLIENTS = [
    *(Target(f"flood-received-{size}", ratio, other)
      for size in ("32B", "32B-text")
      for ratio, other in ((2.5, REFERENCE), (50, "websocket-client"))),
    Target("flood-received-32B", 5, program="wsfast-polled"),
    *(Target(f"flood-sent-{size}", ratio, other)
      for size, to_picows, to_websocket_client in (("32B", 10, 20), ("1KiB", 8, 15))
      for ratio, other in ((to_picows, REFERENCE), (to_websocket_client, "websocket-client"))),
    Target("flood-sent-64KiB", 1, PEERS),
    *(Target(f"echo-{size}", 0.88 if size in LARGE else 0.93, LIMIT) for size in ECHO),
    *(Target(f"echo-{size}", 1.15) for size in ECHO),
    *(Target(f"echo-{size}", 1, figure="p99") for size in ECHO),
    *(Target(f"request-{size}", ratio, other, "wsfast-receive")
      for size in ECHO
      for ratio, other in ((1.5, "websocket-client"), (1.05, REFERENCE))),
    Target("flood-received-1MiB", 0.95, LIMIT),
    *(Target(f"tls-echo-{size}", 1, PEERS, program)
      for size in ECHO
      for program in (OURS, ASYNCIO)),
    *(Target(f"tls-flood-received-{size}", 1, PEERS)
      for size in ("32B-text", "32B", "256B", "4KiB", "1MiB")),
    *(Target(f"tls-flood-sent-{size}", 1, PEERS) for size in ("32B", "1KiB", "64KiB")),
    *(Target(f"deflate-{way}-{size}", 1.5, PEERS, program)
      for way, program in (("received", OURS), ("sent", OURS), ("sent", "wsfast-level-1"))
      for size in ("1KiB", "64KiB")),
    *(Target(f"100-connections-{task}-256B", 1, PEERS, program)
      for task in ("echo", "flood-received", "flood-sent")
      for program in (OURS, ASYNCIO)),
    *(Target(f"echo-{size}", 1.05, program=ASYNCIO) for size in ECHO),
    *(Target(f"flood-{way}-{size}", 1.5, program=ASYNCIO)
      for way, sizes in (("received", ("32B-text", "32B", "256B", "4KiB", "1MiB")),
                         ("sent", ("32B", "1KiB", "64KiB")))
      for size in sizes),
]  # fmt: skip

CROWDS = ("50", "500")

SERVERS = [
    *(Target(f"server-echo-{size}-{crowd}x1", ratio, program=ASYNCIO)
      for size, ratio in (("64B", 1.05), ("16KiB", 1.2)) for crowd in CROWDS),
    *(Target(f"server-echo-{size}-{crowd}x16", 1 / 0.65, program=ASYNCIO, figure="cpu")
      for size in ("64B", "16KiB") for crowd in CROWDS),
    *(Target(f"server-echo-64B-{crowd}x{flight}", ratio, other, program)
      for program, other, ratio in (
          (ITERATED, "picows-websockets", 1.3),
          (ITERATED, "websockets", 2.5),
          ("wsfast-uvicorn", "uvicorn-*", 2))
      for crowd in CROWDS for flight in (1, 16)),
    *(Target(f"server-broadcast-{crowd}", 2, PEERS, ASYNCIO) for crowd in (1000, 5000)),
]  # fmt: skip

TARGETS = CLIENTS + SERVERS

IDLE_LIMITS = {
    ("idle", OURS): 64 * 1024,
    ("server-idle", ASYNCIO): 8 * 1024,
    ("server-idle", ITERATED): 8 * 1024,
}
"""Bytes that an idle connection may take, with its thread where it has one."""

SAME_WIRE = 1.03
"""A peer that leaves this many times as much on the wire does not compress as well."""


def _is_peer(name: str) -> bool:
    return name != LIMIT and not name.startswith(OURS)


def _value(figures: dict[str, float], figure: str) -> float:
    """The higher, the better."""
    return figures[figure] if figure == "rate" else 1 / figures[figure]


def outcomes(run: dict) -> Iterator[Outcome]:
    """Of the targets that the run has measured."""
    for target in TARGETS:
        results = run["scenarios"].get(target.scenario, {}).get("summary", {})
        if target.program not in results:
            continue
        mine = results[target.program]
        others = {
            name: each for name, each in results.items() if fnmatch.fnmatch(name, target.other)
        }
        if target.other == PEERS:
            wire = mine.get("wire", 0) * SAME_WIRE
            others = {
                name: each
                for name, each in results.items()
                if _is_peer(name) and (not wire or each.get("wire", 0) <= wire)
            }
        if others:
            best = max(others, key=lambda name: _value(others[name], target.figure))
            ratio = _value(mine, target.figure) / _value(others[best], target.figure)
            by_cpu = _value(mine, "cpu") / _value(others[best], "cpu")
            yield Outcome(target, best, ratio, by_cpu)


def rows(run: dict) -> list[dict[str, str]]:
    """All of that as text, by the names of the columns."""
    found = []
    for outcome in outcomes(run):
        target = outcome.target
        what = target.program if target.figure == "rate" else f"{target.program}, {target.figure}"
        measured = f"{outcome.ratio:.2f}"
        found.append(_row(target.scenario, what, outcome.other, f"{target.ratio:.3g}", measured,
                          f"{outcome.by_cpu:.2f}", met=outcome.met))  # fmt: skip
    for (scenario, program), limit in IDLE_LIMITS.items():
        idle = run["scenarios"].get(scenario, {}).get("summary", {}).get(program)
        if idle:
            wanted, used = f"≤ {limit / 1024:.0f} KiB", f"{idle['memory'] / 1024:.1f} KiB"
            met = idle["memory"] <= limit
            found.append(_row(scenario, program, "", wanted, used, "", met=met))
    return found


def _row(
    scenario: str, what: str, other: str, wanted: str, measured: str, by_cpu: str, *, met: bool
) -> dict[str, str]:
    return {
        "scenario": scenario,
        "what": what,
        "beside": other,
        "wanted": wanted,
        "measured": measured,
        "by CPU": by_cpu,
        "": "met" if met else "not met",
    }
