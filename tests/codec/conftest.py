"""Helpers for the codec's tests, which also run far from the source tree, against a wheel."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing about whether it is right.
settings.register_profile("codec", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("codec")

RunPython = Callable[..., str]


def _load_helper(name: str) -> None:
    # pytest's importlib mode gives test files no package to import their neighbours from.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_load_helper("codec_wire")
_load_helper("codec_reference")


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
