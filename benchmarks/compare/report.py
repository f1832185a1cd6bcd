"""What the samples come to: figures, and rows of text to show them."""

import statistics
from collections.abc import Callable, Sequence

from measure import Sample
from programs import LIMIT, REFERENCE
from scenarios import Scenario

Figures = dict[str, float]
Statistic = Callable[[Sequence[float]], float]


def summary(samples: list[Sample], *, best: bool = False) -> Figures:
    """The middle of each figure over all repetitions, or the best."""
    low: Statistic = min if best else statistics.median
    high: Statistic = max if best else statistics.median
    if "memory" in samples[0]:
        return {"memory": low([sample["memory"] for sample in samples])}
    figures = {
        "rate": high([sample["count"] / sample["seconds"] for sample in samples]),
        "cpu": low([sample["cpu"] / sample["count"] for sample in samples]),
    }
    for name in ("p50", "p99", "p99.9", "wire"):
        if name in samples[0]:
            figures[name] = low([sample[name] for sample in samples])
    if "load" in samples[0]:
        for name, used in (("busy", "cpu"), ("load busy", "load")):
            shares = [sample[used] / sample["seconds"] for sample in samples]
            figures[name] = statistics.median(shares)  # none of them is the best
    return figures


def _time(seconds: float) -> str:
    if seconds < 1e-6:
        return f"{seconds * 1e9:.0f} ns"
    return f"{seconds * 1e6:,.{0 if seconds >= 1e-4 else 1}f} µs"


def _rate(rate: float, size: int) -> str:
    text = f"{rate / 1e6:.2f} M" if rate >= 1e6 else f"{rate:,.0f}"
    return f"{text} ({rate * size / 1e6:,.0f} MB/s)" if size >= 4096 else text


def _quotient(mine: float, results: dict[str, Figures], other: str, figure: str) -> float:
    """How many times better than another: what is small is good, but for rates."""
    theirs = results[other][figure]
    return mine / theirs if figure == "rate" else theirs / mine


def _cells(scenario: Scenario, results: dict[str, Figures], name: str) -> dict[str, str]:
    figures = results[name]

    def against(other: str, figure: str) -> str:
        if other not in results:
            return "-"
        return f"{_quotient(figures[figure], results, other, figure):.2f}"

    if "memory" in figures:
        return {
            "resident each": f"{figures['memory'] / 1024:.1f} KiB",
            f"x {REFERENCE}": against(REFERENCE, "memory"),
        }
    cells = {
        "per second": _rate(figures["rate"], scenario.size),
        f"x {REFERENCE}": against(REFERENCE, "rate"),
        f"x {LIMIT}": against(LIMIT, "rate"),
        "CPU each": _time(figures["cpu"]),
        f"CPU x {REFERENCE}": against(REFERENCE, "cpu"),
    }
    for percentile in ("p50", "p99", "p99.9"):
        if percentile in figures:
            cells[percentile] = _time(figures[percentile])
    for name in ("busy", "load busy"):
        if name in figures:
            cells[name] = f"{figures[name]:.0%}"
    if scenario.deflate and "wire" in figures:
        cells["on the wire"] = f"{figures['wire'] / scenario.size:.3f}"
    return cells


def rows(scenario: Scenario, results: dict[str, Figures]) -> list[dict[str, str]]:
    """The libraries of a scenario, the best first, each by the names of the columns."""
    order = sorted(
        results, key=lambda name: results[name].get("memory", -results[name].get("rate", 0))
    )
    return [{"library": name, **_cells(scenario, results, name)} for name in order]
