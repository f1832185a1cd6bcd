"""Helpers for the codec's tests, which also run far from the source tree, against a wheel."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing about whether it is right.
settings.register_profile("codec", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("codec")

RunPython = Callable[..., str]


@pytest.fixture
def run_python() -> RunPython:
    """Runs a script in an interpreter of its own and returns what it printed."""

    def run(script: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    return run
