"""The cases of benchmarks/micro work, and their contenders agree. How fast they are is not asked
here."""

import importlib.util
import subprocess
import sys

import pytest
from benchmark_modules import ROOT, load


@pytest.mark.skipif(
    importlib.util.find_spec("pytest_benchmark") is None, reason="needs pytest-benchmark"
)
def test_every_case_runs() -> None:
    command = [sys.executable, "-m", "pytest", "benchmarks/micro", "--benchmark-disable", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_table() -> None:
    ratios = load("micro/ratios.py")
    run = {
        "benchmarks": [
            {
                "group": "deflate",
                "extra_info": {"contender": name, "count": 2, "left": left},
                "stats": {"median": seconds},
            }
            for name, seconds, left in (
                ("wsfast, fast", 2e-6, 0.3),
                ("wsfast, small", 8e-6, 0.1),
                ("peer", 12e-6, 0.2),
                ("loose", 3e-6, 0.4),
                ("tight", 3e-3, 0.05),
            )
        ]
    }
    cases: dict = {}
    ratios.add(cases, run)
    run["benchmarks"][0]["stats"]["median"] = 9.0  # a slower pass changes nothing
    ratios.add(cases, run)
    text = "\n".join(ratios.table(cases))
    lines = {line.split()[0]: line.split() for line in text.split("\n") if line}
    assert [*lines] == ["deflate", "wsfast,", "loose", "peer", "tight"]
    assert lines["peer"] == ["peer", "6", "\u00b5s", "1.50x", "leaves", "0.200"]
    assert lines["loose"][3] == "1.50x"
    assert lines["tight"][3] == "-"
