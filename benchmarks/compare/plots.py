"""A run's figures as pictures: python benchmarks/compare/plots.py RUN.json FOLDER"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # needs no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from programs import LIMIT

OURS, PEERS, LEAST = "#0b7a75", "#b8bcc2", "#e9c46a"
COLUMNS = 3

FIGURES = {
    "overview": ("echo-256B", "flood-received-32B", "flood-sent-32B",
                 "request-256B", "flood-received-32B-text", "flood-sent-1KiB"),
    "round-trips": ("echo-32B", "echo-256B", "echo-8KiB", "echo-100kB", "echo-1MiB"),
    "requests": ("request-32B", "request-256B", "request-8KiB", "request-100kB", "request-1MiB"),
    "received": ("flood-received-32B", "flood-received-32B-text", "flood-received-256B",
                 "flood-received-4KiB", "flood-received-1MiB"),
    "sent": ("flood-sent-32B", "flood-sent-1KiB", "flood-sent-64KiB"),
    "tls": ("tls-echo-256B", "tls-echo-8KiB", "tls-echo-100kB",
            "tls-flood-received-32B", "tls-flood-received-4KiB", "tls-flood-sent-1KiB"),
    "deflate": ("deflate-received-1KiB", "deflate-received-64KiB",
                "deflate-sent-1KiB", "deflate-sent-64KiB"),
    "many": ("100-connections-echo-256B", "100-connections-flood-received-256B",
             "100-connections-flood-sent-256B"),
    "servers": ("server-echo-64B-50x1", "server-echo-64B-500x1", "server-echo-64B-5000x1",
                "server-echo-64B-50x16", "server-echo-64B-500x16", "server-echo-64B-5000x16"),
    "servers-large": (
        "server-echo-16KiB-50x1", "server-echo-16KiB-500x1", "server-echo-16KiB-5000x1",
        "server-echo-16KiB-50x16", "server-echo-16KiB-500x16", "server-echo-16KiB-5000x16"),
    "servers-many": ("server-broadcast-1000", "server-broadcast-5000", "server-accepts"),
}  # fmt: skip
"""The scenarios of each picture."""


def _short(rate: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.3g} {unit}"
    return f"{rate:.3g}"


def _label(figures: dict[str, float]) -> str:
    """A server's rate says little without what it takes: the load may be the slower of both."""
    cpu = f", {figures['cpu'] * 1e6:.3g} µs of CPU" if "busy" in figures else ""
    return _short(figures["rate"]) + cpu


def _color(library: str) -> str:
    return OURS if library.startswith("wsfast") else LEAST if library == LIMIT else PEERS


def _panel(axes: Axes, scenario: str, results: dict[str, dict[str, float]]) -> None:
    order = sorted(results, key=lambda name: results[name]["rate"])
    rates = [results[name]["rate"] for name in order]
    bars = axes.barh(order, rates, color=[_color(name) for name in order])
    axes.bar_label(bars, [_label(results[name]) for name in order], padding=3, fontsize=8)
    axes.set_title(f"{scenario}, per second", fontsize=9, loc="left")
    room = 1.5 if "busy" in results[order[0]] else 1.18
    axes.set_xlim(0, max(rates) * room)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.spines[:].set_visible(False)


def draw(run: dict, folder: Path) -> list[Path]:
    """The pictures of what the run has measured."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, scenarios in FIGURES.items():
        found = {
            scenario: run["scenarios"][scenario]["summary"]
            for scenario in scenarios
            if run["scenarios"].get(scenario, {}).get("summary")
        }
        if not found:
            continue
        columns = min(COLUMNS, len(found))
        lines = -(-len(found) // columns)
        figure, grid = plt.subplots(
            lines,
            columns,
            figsize=(4.2 * columns, 2.6 * lines),
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat[len(found) :]:
            axes.set_visible(False)
        for axes, (scenario, results) in zip(grid.flat, found.items(), strict=False):
            _panel(axes, scenario, results)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
        plt.close(figure)
    return written


if __name__ == "__main__":
    for path in draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])):
        print(path)
