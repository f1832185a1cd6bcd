"""The thread of an id, and those who ask it from others."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import wsfast

WAIT = 10.0


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can, so that they meet everywhere."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_what_has_come_before_the_end_can_be_taken_while_it_ends(
    start_server: Any, hasty_threads: None
) -> None:
    """Also right after on_close, when the thread of the id is about to let go of all it has."""
    endpoint = start_server(lambda connection: connection.send("last words"))
    for _ in range(100):
        closed = threading.Event()
        number = wsfast.connect(
            endpoint.url, on_close=lambda code, reason, closed=closed: closed.set()
        )
        assert closed.wait(WAIT)
        assert wsfast.get_messages(number) == ["last words"]
