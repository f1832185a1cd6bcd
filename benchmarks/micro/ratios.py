"""Runs the cases and prints, for each, how long every contender takes and how we compare.

    python benchmarks/micro/ratios.py                          all of it, some ten minutes
    python benchmarks/micro/ratios.py --time 0.05 -k masking   less of it
    python benchmarks/micro/ratios.py --read FILE              the table of an earlier run

Each case is run `--passes` times, all contenders in turn, and the least of a contender's medians
counts: what else runs on the machine can only make it slower.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

Row = dict[str, Any]
Cases = dict[str, dict[str, Row]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-k", metavar="EXPRESSION", help="which cases, as pytest takes it")
    parser.add_argument("--time", metavar="S", type=float, default=0.2, help="seconds for each")
    parser.add_argument("--passes", metavar="N", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", type=Path, help="keep the figures here")
    parser.add_argument("--read", metavar="FILE", type=Path, help="print the table of that file")
    args = parser.parse_args()
    if args.read is not None:
        cases: Cases = json.loads(args.read.read_text())
    else:
        cases = {}
        for number in range(args.passes):
            print(f"pass {number + 1} of {args.passes}", flush=True)
            add(cases, measured(args.k, args.time))
    if args.json is not None:
        args.json.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
    print("\n".join(table(cases)))
    return 0


def measured(expression: str | None, seconds: float) -> dict[str, Any]:
    """One run of pytest-benchmark, which shows its progress meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [
            sys.executable, "-m", "pytest", str(HERE), "--quiet", "--benchmark-only",
            "--benchmark-quiet", f"--benchmark-json={result}", f"--benchmark-max-time={seconds}",
            "--benchmark-min-time=0.0005", "--benchmark-disable-gc", "--timeout=0",
        ]  # fmt: skip
        if expression:
            command += ["-k", expression]
        subprocess.run(command, cwd=ROOT, check=True)
        loaded: dict[str, Any] = json.loads(result.read_text())
        return loaded


def add(cases: Cases, run: dict[str, Any]) -> None:
    for each in run["benchmarks"]:
        info = each["extra_info"]
        seconds = each["stats"]["median"] / info["count"]
        rows = cases.setdefault(each["group"], {})
        row = rows.setdefault(info["contender"], {"seconds": seconds, "left": info.get("left")})
        row["seconds"] = min(row["seconds"], seconds)


def table(cases: Cases) -> Iterator[str]:
    """A line for each contender: its time, and how many times ours goes into it.

    Where ours is in several forms, the ratio is to the fastest of them that leaves no more.
    """
    for case, rows in cases.items():
        yield f"\n{case}"
        for name, row in sorted(rows.items(), key=lambda item: item[1]["seconds"]):
            left = "" if row["left"] is None else f"  leaves {row['left']:.3f}"
            yield f"  {name:<36}{duration(row['seconds']):>10}{ratio(name, row, rows):>9}{left}"


def ratio(name: str, row: Row, rows: dict[str, Row]) -> str:
    if name.startswith("wsfast"):
        return ""
    ours = [
        each["seconds"]
        for other, each in rows.items()
        if other.startswith("wsfast") and (row["left"] is None or each["left"] <= row["left"])
    ]
    return f"{row['seconds'] / min(ours):.2f}x" if ours else "-"


def duration(seconds: float) -> str:
    for factor, unit in ((1e9, "ns"), (1e6, "\u00b5s"), (1e3, "ms")):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


if __name__ == "__main__":
    sys.exit(main())
