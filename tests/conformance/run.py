"""Runs Autobahn|Testsuite against wsfast; `make conformance` calls it."""

import argparse
import shutil
import sys
import time

from conformance_commands import Unavailable
from conformance_install import CACHE, install
from conformance_suite import (
    ROLES,
    Results,
    SuiteFailed,
    differences,
    run,
    select,
    table,
)


class Progress:
    """Shows which case runs: in one line on a terminal, otherwise a line for each group."""

    def __init__(self, role: str, total: int) -> None:
        self._role = role
        self._total = total
        self._begun = 0
        self._group = ""

    def __call__(self, case: str) -> None:
        self._begun += 1
        text = f"{self._role}: case {case} ({self._begun} of {self._total})"
        group = case.rpartition(".")[0]
        if sys.stdout.isatty():
            print(f"\r{text:60}", end="", flush=True)
        elif group != self._group:
            print(text, flush=True)
        self._group = group

    def end(self) -> None:
        if sys.stdout.isatty():
            print(f"\r{'':60}\r", end="")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cases",
        default="all",
        help="quick (all but compression), most (all but the largest of that), all (default), or"
        " patterns: 6.4.*,7.1.6",
    )
    parser.add_argument(
        "--roles", nargs="+", choices=ROLES, default=ROLES, metavar="ROLE",
        help=f"of {', '.join(ROLES)}; default: each in turn",
    )  # fmt: skip
    arguments = parser.parse_args()
    try:
        selection = select(arguments.cases)
        suite = install()
    except ValueError as exc:
        parser.error(str(exc))
    except Unavailable as exc:
        print(f"error: Autobahn|Testsuite cannot be had here: {exc}", file=sys.stderr)
        print("docs/conformance.md says how to run it in a container", file=sys.stderr)
        return 1
    results: dict[str, Results] = {}
    good = True
    for role in arguments.roles:
        folder = CACHE / "reports" / role
        shutil.rmtree(folder, ignore_errors=True)
        progress = Progress(role, len(selection.cases))
        started = time.monotonic()
        try:
            results[role] = run(role, suite, selection, folder, progress)
        except SuiteFailed as exc:
            progress.end()
            print(f"{role}: {exc}")
            good = False
            continue
        progress.end()
        wrong = differences(selection, results[role], folder)
        good = good and not wrong
        print(f"{role}: {time.monotonic() - started:.0f} s, {len(wrong)} cases not as expected")
        for line in wrong:
            print(f"  {line}")
    print()
    print(table(results))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
