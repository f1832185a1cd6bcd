"""Fuzzes one target with atheris: run.py TARGET SECONDS. `make fuzz` runs them all.

What it finds is written to build/fuzz/; once mended, it belongs into the target's corpus, which
every test run replays.
"""

import importlib
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} SECONDS")
    name, seconds = sys.argv[1:]
    found = HERE.parents[1] / "build" / "fuzz" / name
    found.mkdir(parents=True, exist_ok=True)
    sys.path += [str(HERE), str(HERE.parent / "protocol")]
    with atheris.instrument_imports(include=["wsfast", "h11"]):
        target = importlib.import_module(f"fuzz_{name}")
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={found}/found-",
        str(found),  # what is new is added to the first folder
        str(HERE / "corpus" / name),
    ]
    atheris.Setup(arguments, target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
