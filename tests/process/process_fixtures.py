"""For tests of everything that is made of processes."""

from collections.abc import Iterator

import pytest
from process_helpers import until

from wsfast import process
from wsfast.process.node import node


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    """After each test: no process, and no name."""
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
