"""Each kind of server once for all tests, with nothing left over after each of them."""

from collections.abc import Iterator

import pytest
from process_fixtures import me, no_processes_left
from relay_helpers import PROTOCOLS, Running

__all__ = ["me", "no_processes_left"]  # fixtures for the tests here


@pytest.fixture(scope="session", params=PROTOCOLS)
def shared_server(request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(request.param)
    yield running
    running.stop()


@pytest.fixture
def server(shared_server: Running) -> Iterator[Running]:
    """A server of each kind, with a stage on which the test puts its application."""
    yield shared_server
    shared_server.stage.app = None
