"""Instructions per message, counted by callgrind: a regression that noise cannot hide, nor feign.

    python benchmarks/instructions/run.py            measure, and compare with figures.json
    python benchmarks/instructions/run.py --update   measure, and write figures.json

How many instructions something takes depends on the interpreter's version and build and on the kind
of processor that valgrind plays, and hardly on anything else. So there are figures for each, and
each has the count of a loop in plain Python beside it: where that differs, the interpreter is
another build, and there is nothing to compare with.

System calls count nothing here but the way into them. A copy of some KiB counts about one
instruction for a byte, far more than it costs, because of how the C library does it.

Needs Linux, valgrind with its headers, and a C compiler. Exit status: 0, or 1 if something takes
more instructions than its figure and the tolerance allow, or 2 if it cannot be measured here.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
FIGURES = HERE / "figures.json"
TOLERANCE = 0.05
"""What the same build takes differs by some percent with how memory happens to be laid out."""

INTERPRETER = "interpreter"
"""The scenario without code of ours."""

TIMEOUT = 300.0
"""Seconds for all scenarios, which take a tenth of it."""

Counts = dict[str, float]


class CannotMeasure(Exception):
    """Something that it takes is not here; the text says what."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="make these counts the figures")
    args = parser.parse_args()
    try:
        counts = measure()
    except CannotMeasure as problem:
        print(f"cannot measure: {problem}", file=sys.stderr)
        return 2
    if args.update:
        update(counts)
    lines, worse = compare(counts, read_figures())
    print("\n".join(lines))
    return 1 if worse else 0


# -------------------------------------------------------------- measuring


def measure() -> Counts:
    """Instructions per message of each scenario. Raises `CannotMeasure`."""
    with tempfile.TemporaryDirectory() as folder:
        library = _compile(Path(folder))
        with _peer() as port:
            return per_message(_counted(Path(folder), library, port))


def per_message(totals: dict[tuple[str, int], int]) -> Counts:
    """From what so many and twice as many messages took, what one more of them takes."""
    counts: Counts = {}
    for (name, messages), total in totals.items():
        if (name, 2 * messages) in totals:
            counts[name] = round((totals[name, 2 * messages] - total) / messages, 1)
    return counts


def _compile(folder: Path) -> Path:
    if sys.platform != "linux" or shutil.which("valgrind") is None:
        raise CannotMeasure("it takes Linux and valgrind (Debian: apt-get install valgrind)")
    library = folder / "marks.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / "marks.c")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotMeasure(f"no C compiler: {error}") from None
    if done.returncode:
        raise CannotMeasure(f"marks.c cannot be compiled, perhaps for lack of:\n{done.stderr}")
    return library


@contextmanager
def _peer() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "peer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _counted(folder: Path, library: Path, port: int) -> dict[tuple[str, int], int]:
    """What each scenario took in all, by its name and how many messages it handled."""
    command = [
        "valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
        sys.executable, str(HERE / "measured.py"), str(library), str(port),
    ]  # fmt: skip
    # What the hashes of strings are decides how often they collide.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT, env=environment, check=False
    )
    if done.returncode:
        raise CannotMeasure(f"the measured program has failed:\n{done.stdout}{done.stderr}")
    totals = {_split(name): sys.maxsize for name in done.stdout.splitlines()}  # in their order
    for scenario, total in filter(None, map(_dump, folder.glob("out.*"))):
        totals[scenario] = min(totals[scenario], total)
    return totals


def _dump(path: Path) -> tuple[tuple[str, int], int] | None:
    """The name and the total of one dump; None for the one that is made at the end."""
    trigger = "desc: Trigger: Client Request: "
    found = None
    for line in path.read_text().splitlines():
        if line.startswith(trigger):
            found = _split(line.removeprefix(trigger))
        elif line.startswith("totals: ") and found is not None:
            return found, int(line.split()[1])
    return None


def _split(name: str) -> tuple[str, int]:
    scenario, _, messages = name.rpartition(" ")
    return scenario, int(messages)


# -------------------------------------------------------------- the figures


def here() -> str:
    """The interpreter and the processor, as far as a name tells them."""
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}{threads}"
    return f"{sys.implementation.name}-{version}-{platform.machine()}"


def read_figures() -> dict[str, Counts]:
    figures: dict[str, Counts] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return figures


def update(counts: Counts) -> None:
    figures = read_figures()
    figures[here()] = counts
    FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")


def compare(counts: Counts, figures: dict[str, Counts]) -> tuple[list[str], list[str]]:
    """A table as lines, and those scenarios that take more than they may."""
    known: Counts = figures.get(here(), {})
    lines: list[str] = []
    if not known:
        lines.append(f"NO FIGURES FOR {here()}: nothing is compared")
    elif _differ(counts[INTERPRETER], known[INTERPRETER]):
        lines.append(
            f"ANOTHER BUILD of {here()}: plain Python takes {counts[INTERPRETER]:.0f} instructions"
            f" where it took {known[INTERPRETER]:.0f}. Nothing is compared"
        )
        known = {}
    worse: list[str] = []
    for name, count in counts.items():
        remark = ""
        if name in known:
            remark = f"{count / known[name] - 1:+7.1%}"
            if count > known[name] * (1 + TOLERANCE):
                remark += "  MORE THAN ALLOWED"
                worse.append(name)
            elif count < known[name] * (1 - TOLERANCE):
                remark += "  better: make bench-instructions UPDATE=1 keeps it so"
        lines.append(f"  {name:<34}{count:>10,.1f}  {remark}".rstrip())
    return lines, worse


def _differ(one: float, other: float) -> bool:
    return abs(one / other - 1) > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
