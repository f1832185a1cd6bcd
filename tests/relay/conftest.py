"""Each kind of server once for all tests, with nothing left over after each of them."""

import gc
import os
from collections.abc import Iterator

import pytest
from process_helpers import until
from relay_helpers import PROTOCOLS, Running

from wsfast import process
from wsfast.process.node import node


@pytest.fixture(scope="session", params=PROTOCOLS)
def shared_server(request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(request.param)
    yield running
    running.stop()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture
def server(shared_server: Running) -> Iterator[Running]:
    """A server of each kind, with a stage on which the test puts its application."""
    before = _descriptors()
    yield shared_server
    shared_server.stage.app = None
    # The server closes its end when it has seen that the client has closed its own.
    until(lambda: _descriptors() <= before or gc.collect() < 0)


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    """After each test: no process, no name."""
    yield
    for each in node().processes():
        process.cancel(each.pid, grace="1ms")
    until(lambda: not node().processes())
    assert node().names() == {}


@pytest.fixture
def me() -> Iterator[process.PID]:
    """Makes the thread of the test a process, which is told of ends."""
    with process.attach() as pid:
        process.events()
        yield pid
