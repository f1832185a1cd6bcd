"""Messages never are in the hands of one thread while another is told that there are none."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


def test_who_takes_what_came_after_our_close_gets_all_of_it(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.reader.TAKE", WAIT)
    options = {"receive_queue_bytes": 1, "ping_interval": None, "close_timeout": "1h"}
    connection, peer = dial_raw(**options)
    words = [str(i) * 20_000 for i in range(60)]
    with ThreadPoolExecutor(1) as pool:
        connection.close()
        sending = pool.submit(
            peer.send, b"".join(frame(TEXT, word.encode()) for word in words) + close_frame(1000)
        )
        while connection._reader.inbox.count == 0:
            pass
        assert all_that_comes(connection) == words
        sending.result(WAIT)
    assert connection.close_code == 1000


def test_what_nobody_takes_after_our_close_does_not_hold_it_up(
    dial_raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.reader.TAKE", 0.0)
    connection, peer = dial_raw(receive_queue_bytes=1, close_timeout="1h")
    words = [str(i) * 20_000 for i in range(60)]
    connection.close()
    peer.read_frame()
    peer.send(b"".join(frame(TEXT, word.encode()) for word in words) + close_frame(1000))
    peer.sock.close()
    assert connection.wait_ended(WAIT)
    assert connection.close_code == 1000
    taken = all_that_comes(connection)
    assert 0 < len(taken) < len(words)
    assert taken == words[: len(taken)]


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
