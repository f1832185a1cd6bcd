"""The crowds in small: every part of it, for a moment. `make soak` runs it with thousands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

GROWTH = ["--growth", "50"]
"""MiB: so few samples show only how memory gets to its size. Descriptors are exact."""

PARTS = {
    "cycles": ["--connections", "200", "--rounds", "3"],
    "sigterm": ["--connections", "40"],
    "stalled": ["--connections", "40", "--rounds", "2", "--messages", "5000"],
    "idle": ["--connections", "100", "--rounds", "3"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what processes use, on Linux")
@pytest.mark.parametrize("part", PARTS)
def test_in_small(part: str) -> None:
    paths = [str(HERE.parent / "hardening"), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.run(
        [sys.executable, HERE / "soak_crowd.py", part, *PARTS[part], *GROWTH],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"{part}: ")
    assert not run.stderr
