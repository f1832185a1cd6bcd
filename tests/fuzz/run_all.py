"""Fuzzes each target in turn: run_all.py SECONDS. Says at the end how often each was executed."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))

# libFuzzer's lines about each new input; what else it says is progress, or a finding.
CHATTER = re.compile(r"#\d+\s+(NEW|REDUCE|RELOAD)\b|\s*NEW_FUNC")
EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def fuzz(target: str, seconds: str) -> tuple[int, int]:
    """Runs one target; returns its exit status and how often it was executed."""
    executions = 0
    command = [sys.executable, str(HERE / "run.py"), target, seconds]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            if not CHATTER.match(line):
                print(line, end="", flush=True)
            if found := EXECUTIONS.match(line):
                executions = int(found[1])
    return process.returncode, executions


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} SECONDS")
    table = []
    failed = []
    for target in TARGETS:
        print(f"==> {target}, {sys.argv[1]} seconds", flush=True)
        status, executions = fuzz(target, sys.argv[1])
        table.append(f"{target:16} {executions:12}")
        if status:
            failed.append(target)
    print(f"\n{'target':16} {'executions':>12}", *table, sep="\n")
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main()
