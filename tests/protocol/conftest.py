"""Helpers for the protocol's tests."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis fails an example that takes longer than 200 ms, which says more about the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def _load_helper(name: str) -> None:
    # pytest's importlib mode gives test files no package to import their neighbours from.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_load_helper("protocol_wire")


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    """Which end of the connection is under test."""
    side: str = request.param
    return side
