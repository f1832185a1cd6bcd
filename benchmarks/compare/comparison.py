"""What every comparison does: its arguments, its order, and what it shows and writes."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import programs
import report
import scenarios
import targets
import terminal
from measure import Failed, Sample, build
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@dataclass
class Suite:
    """What can be compared. Scenarios and programs are of one kind; a bench measures both."""

    name: str
    scenarios: list[Any]
    programs: list[Any]
    open_bench: Callable[[argparse.Namespace, tuple[int, int] | None], AbstractContextManager[Any]]
    possible: Callable[[list[Any], Console], list[Any]]
    """Those of the scenarios that this machine can run. Raises `ValueError` with what is wrong."""


@dataclass
class Comparison:
    """One scenario with all who take part in it."""

    bench: Any
    scenario: Any
    taking_part: list[Any]
    repeat: int
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def run(self, progress: Progress) -> None:
        """The order alternates, so that none always comes first, or after the same other."""
        total = len(self.taking_part) * (self.repeat + 1)
        bar = progress.add_task(self.scenario.name, total=total)
        for turn in range(self.repeat + 1):
            order = self.taking_part[turn % 2 :: 2] + self.taking_part[1 - turn % 2 :: 2]
            for program in order if turn % 4 < 2 else reversed(order):
                description = f"{self.scenario.name}  {program.name}"
                progress.update(bar, description=description, refresh=True)
                if program.name not in self.failed:
                    self._try(program, first=not turn)
                progress.update(bar, advance=1, refresh=True)
        progress.remove_task(bar)

    def _try(self, program: Any, *, first: bool) -> None:
        name = program.name
        try:
            if first:  # which warms up files and caches too
                self._counts[name] = self.bench.first_count(program, self.scenario)
                return
            sample = self.bench.run(program, self.scenario, self._counts[name])
        except Failed as exc:
            self.failed[name] = str(exc)
            self.samples.pop(name, None)
            return
        self.samples.setdefault(name, []).append(sample)
        if not self.scenario.fixed_count:
            self._counts[name] = self.bench.next_count(sample)

    def figures(self, *, best: bool) -> dict[str, dict[str, float]]:
        return {name: report.summary(each, best=best) for name, each in self.samples.items()}


def _measure_all(
    bench: Any, wanted: list[Any], chosen: list[Any], args: argparse.Namespace, console: Console
) -> dict[str, dict[str, object]]:
    """By the scenarios' names; a table of each is shown at once."""
    results = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    progress = Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False)
    with progress:
        whole = progress.add_task("all", total=len(wanted))
        for scenario in wanted:
            taking_part = [program for program in chosen if program.takes(scenario)]
            comparison = Comparison(bench, scenario, taking_part, args.repeat)
            comparison.run(progress)
            figures = comparison.figures(best=args.best)
            if figures:
                console.print(terminal.table(scenario.name, report.rows(scenario, figures)))
            for reason in comparison.failed.values():
                console.print(f"[red]{reason}[/red]")
            results[scenario.name] = {
                "summary": figures,
                "failed": comparison.failed,
                "samples": comparison.samples,
            }
            progress.update(whole, advance=1, refresh=True)
    return results


def parser(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAMES",
        help="names or patterns, with commas between; the short set by default",
    )
    parser.add_argument(
        "--libraries", default="", metavar="NAMES", help="with commas between; all by default"
    )
    parser.add_argument("--repeat", type=int, default=3, help="times each (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.7, help="for each (default: 0.7)")
    parser.add_argument("--full", action="store_true", help="every scenario and library")
    parser.add_argument(
        "--best",
        action="store_true",
        help="show the best of the repetitions, not the median: for a machine that "
        "has other things to do",
    )
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="run what is measured before everything else on the machine (needs root)",
    )
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--plots", type=Path, help="the folder to draw them in")
    parser.add_argument("--cores", help="MEASURED,LOAD: which to pin to")
    parser.add_argument("--list", action="store_true", help="list scenarios and libraries")
    return parser


def _show_lists(suite: Suite, console: Console) -> None:
    for scenario in suite.scenarios:
        console.print(f"{scenario.name}{'  (short set)' if scenario.short else ''}")
    console.print()
    for program in suite.programs:
        missing = f"  (not installed: {', '.join(program.missing)})" if program.missing else ""
        console.print(f"{program.name}: {program.about}{missing}")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _choose(
    suite: Suite, args: argparse.Namespace, console: Console
) -> tuple[list[Any], list[Any]]:
    """What can be measured of what is wanted; what cannot be is said aloud."""
    wanted = [each for each in suite.scenarios if args.full or each.short]
    if args.scenario:
        wanted = scenarios.select(_names(",".join(args.scenario)), suite.scenarios)
    chosen = programs.select(_names(args.libraries), suite.programs, variants=args.full)
    build()
    wanted = suite.possible(wanted, console)
    for program in [program for program in chosen if program.missing]:
        console.print(f"[red]left out: {program.name}, without {', '.join(program.missing)}[/red]")
        chosen.remove(program)
    return wanted, chosen


def _cores(args: argparse.Namespace, console: Console) -> tuple[int, int] | None:
    cores = machine.cores()
    if args.cores:
        measured, load = map(int, args.cores.split(","))
        cores = measured, load
    if cores is None:
        console.print("[red]nothing is pinned to cores: expect noise[/red]")
    return cores


def main(suite: Suite, args: argparse.Namespace) -> int:
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if args.list:
        _show_lists(suite, console)
        return 0
    if sys.platform != "linux":
        print("error: the load program needs epoll: Linux", file=sys.stderr)
        return 2
    try:
        wanted, chosen = _choose(suite, args, console)
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    cores = _cores(args, console)
    if args.real_time:
        with machine.scheduled(None, real_time=True):
            pass  # it is allowed
    with suite.open_bench(args, cores) as bench:
        results = _measure_all(bench, wanted, chosen, args, console)
    terminal.notes(console, chosen)
    run = {
        "suite": suite.name,
        "command": f"python benchmarks/compare/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
        "machine": machine.describe(),
        "cores": cores,
        "real_time": args.real_time,
        "versions": {name: value for each in chosen for name, value in each.versions.items()},
        "repeat": args.repeat,
        "seconds": args.seconds,
        "statistic": "best" if args.best else "median",
        "scenarios": results,
    }
    _show(run, args, console)
    return 1 if any(result["failed"] for result in results.values()) else 0


def _show(run: dict[str, Any], args: argparse.Namespace, console: Console) -> None:
    if reached := targets.rows(run):
        console.print(terminal.table("targets", reached))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(run, indent=1) + "\n")
    if args.plots:
        import plots

        for path in plots.draw(run, args.plots):
            console.print(str(path))
