"""The soak in small: every part of it, for a moment. `make soak` runs it for long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

SMALL = ["--connects", "300", "--messages", "20000", "--compressed", "8000", "--cycles", "8"]
GROWTH = ["--growth", "50"]
"""MiB: so few samples show only how memory gets to its size. Threads and descriptors are exact."""

PARTS = [
    "connects",
    "messages",
    "compressed",
    "kill",
    "reset",
    "half-close",
    "stall",
    "close-theirs",
    "close-ours",
    "close-crossing",
]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what processes use, on Linux")
@pytest.mark.parametrize("part", PARTS)
def test_in_small(part: str) -> None:
    paths = [str(HERE.parent / "hardening"), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.run(
        [sys.executable, HERE / "soak.py", part, *SMALL, *GROWTH],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for process in ("client", "server"):
        assert any(
            line.split()[:1] == [process] and line.endswith("flat")
            for line in run.stdout.splitlines()
        ), run.stdout
    assert not run.stderr
