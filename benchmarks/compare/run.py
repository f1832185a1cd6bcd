"""Client programs side by side, in one run on one machine. See ../README.md.

python benchmarks/compare/run.py --scenario flood-received-32B --libraries wsfast,picows,c
"""

import argparse
import json
import sys
from pathlib import Path

import machine
import programs
import report
import scenarios
from measure import Bench, Failed, Sample, build
from programs import Program
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scenarios import Scenario

Results = dict[str, list[Sample]]


def compare(
    bench: Bench, scenario: Scenario, taking_part: list[Program], repeat: int, progress: Progress
) -> tuple[Results, dict[str, str]]:
    """The samples of each library, and why there are none. The order alternates, so that none
    always comes first, or after the same other."""
    samples: Results = {program.name: [] for program in taking_part}
    counts: dict[str, int] = {}
    failed: dict[str, str] = {}
    bar = progress.add_task(scenario.name, total=len(taking_part) * (repeat + 1))
    for turn in range(repeat + 1):
        order = taking_part[turn % 2 :: 2] + taking_part[1 - turn % 2 :: 2]
        for program in order if turn % 4 < 2 else reversed(order):
            progress.update(bar, description=f"{scenario.name}  {program.name}", refresh=True)
            try:
                if program.name in failed:
                    pass
                elif not turn:  # warms up files and caches too
                    counts[program.name] = bench.first_count(program, scenario)
                else:
                    sample = bench.run(program, scenario, counts[program.name])
                    samples[program.name].append(sample)
                    if not scenario.fixed_count:
                        counts[program.name] = bench.next_count(sample)
            except Failed as exc:
                failed[program.name] = str(exc)
                samples.pop(program.name)
            progress.update(bar, advance=1, refresh=True)
    progress.remove_task(bar)
    return samples, failed


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
    parser.add_argument("--full", action="store_true", help="every scenario")
    parser.add_argument(
        "--best",
        action="store_true",
        help="show the best of the repetitions, not the median: for a machine that "
        "has other things to do",
    )
    parser.add_argument("--json", type=Path, help="where to write all figures")
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


def chosen_scenarios(args: argparse.Namespace) -> list[Scenario]:
    if args.scenario:
        return scenarios.select(names(",".join(args.scenario)))
    return [scenario for scenario in scenarios.SCENARIOS if args.full or scenario.short]


def main() -> int:
    args = arguments()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if args.list:
        show_lists(console)
        return 0
    try:
        wanted = chosen_scenarios(args)
        chosen = programs.select(names(args.libraries))
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    build()
    for program in [program for program in chosen if program.missing]:
        console.print(f"[red]left out: {program.name}, without {', '.join(program.missing)}[/red]")
        chosen.remove(program)
    pair = tuple(map(int, args.cores.split(","))) if args.cores else machine.cores()
    if pair is None:
        console.print("[red]nothing is pinned to cores: expect noise[/red]")
    output: dict[str, object] = {
        "machine": machine.describe(),
        "cores": pair,
        "versions": {
            name: version for program in chosen for name, version in program.versions.items()
        },
        "repeat": args.repeat,
        "seconds": args.seconds,
        "scenarios": {},
    }
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    progress = Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False)
    with Bench(args.seconds, pair) as bench, progress:
        whole = progress.add_task("all", total=len(wanted))
        for scenario in wanted:
            taking_part = [program for program in chosen if program.takes(scenario)]
            samples, failed = compare(bench, scenario, taking_part, args.repeat, progress)
            figures = {name: report.summary(each, best=args.best) for name, each in samples.items()}
            if figures:
                console.print(report.table(scenario, figures))
            for reason in failed.values():
                console.print(f"[red]{reason}[/red]")
            output["scenarios"][scenario.name] = {
                "samples": samples, "summary": figures, "failed": failed,
            }  # fmt: skip
            progress.update(whole, advance=1, refresh=True)
    report.notes(console, chosen)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(output, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
