"""Helpers for the protocol's tests."""

import pytest
from hypothesis import settings

# Hypothesis fails an example that takes longer than 200 ms, which says more about the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    """Which end of the connection is under test."""
    side: str = request.param
    return side
