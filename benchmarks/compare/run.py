"""Client programs side by side, in one run on one machine. See ../README.md.

python benchmarks/compare/run.py --scenario flood-received-32B --libraries wsfast,picows,c
"""

import argparse
import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import machine
import programs
import report
import scenarios
import targets
import terminal
from measure import Bench, Failed, Sample, build, has_tls
from programs import Program
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scenarios import Scenario


@dataclass
class Comparison:
    """One scenario with all who take part in it."""

    bench: Bench
    scenario: Scenario
    taking_part: list[Program]
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

    def _try(self, program: Program, *, first: bool) -> None:
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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
    parser.add_argument(
        "--count", type=int, default=0, help="messages, instead of as many as fill the time"
    )
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
    parser.add_argument("--cores", help="CLIENT,LOAD: which to pin to")
    parser.add_argument("--list", action="store_true", help="list scenarios and libraries")
    return parser.parse_args()  # fmt: skip


def show_lists(console: Console) -> None:
    for scenario in scenarios.SCENARIOS:
        console.print(f"{scenario.name}{'  (short set)' if scenario.short else ''}")
    console.print()
    for program in programs.PROGRAMS:
        missing = f"  (not installed: {', '.join(program.missing)})" if program.missing else ""
        console.print(f"{program.name}: {program.about}{missing}")


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def choose(args: argparse.Namespace, console: Console) -> tuple[list[Scenario], list[Program]]:
    """What can be measured of what is wanted; what cannot be is said aloud."""
    wanted = [each for each in scenarios.SCENARIOS if args.full or each.short]
    if args.scenario:
        wanted = scenarios.select(names(",".join(args.scenario)))
    chosen = programs.select(names(args.libraries), variants=args.full)
    build()
    if not has_tls():
        console.print("[red]left out: TLS. Install OpenSSL's headers (Debian: libssl-dev)[/red]")
        wanted = [scenario for scenario in wanted if not scenario.tls]
    for program in [program for program in chosen if program.missing]:
        console.print(f"[red]left out: {program.name}, without {', '.join(program.missing)}[/red]")
        chosen.remove(program)
    return wanted, chosen


def measure_all(
    bench: Bench, wanted: list[Scenario], chosen: list[Program], args, console: Console
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


def main() -> int:
    args = arguments()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if args.list:
        show_lists(console)
        return 0
    if sys.platform != "linux":
        print("error: the load program needs epoll: Linux", file=sys.stderr)
        return 2
    try:
        wanted, chosen = choose(args, console)
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    cores = machine.cores()
    if args.cores:
        client, load = map(int, args.cores.split(","))
        cores = client, load
    if args.real_time:
        with machine.scheduled(None, real_time=True):
            pass  # it is allowed
    if cores is None:
        console.print("[red]nothing is pinned to cores: expect noise[/red]")
    with Bench(args.seconds, cores, args.real_time, args.count) as bench:
        results = measure_all(bench, wanted, chosen, args, console)
    terminal.notes(console, chosen)
    run = {
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
    if reached := targets.rows(run):
        console.print(terminal.table("targets", reached))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(run, indent=1) + "\n")
    if args.plots:
        import plots

        for path in plots.draw(run, args.plots):
            console.print(str(path))
    return 1 if any(result["failed"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
