"""Messages never are in the hands of one thread while another is told that there are none."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from raw_peers import TEXT, close_frame, frame

from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

WAIT = 10.0


@pytest.fixture(autouse=True)
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can, so that they meet everywhere."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_what_came_before_the_close_is_found_while_a_stand_in_reads(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.0)
    words = [str(i) for i in range(10)]
    last = b"".join(frame(TEXT, word.encode()) for word in words) + close_frame(4000)
    for _ in range(50):
        connection, peer = dial_raw()
        peer.send(last)
        assert all_that_comes(connection) == words
        assert connection.close_code == 4000
        peer.sock.close()


def all_that_comes(connection: Connection) -> list[str | bytes]:
    """What an application gets that looks now and then."""
    came: list[str | bytes] = []
    while True:
        try:
            came.append(connection.receive(0))
        except TimeoutError:
            continue
        except ConnectionClosed:
            return came
