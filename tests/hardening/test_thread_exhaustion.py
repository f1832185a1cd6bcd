"""Thread exhaustion: the number of threads depends on connections, not on messages."""

import threading
from typing import Any

import pytest

import wsfast


def our_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("wsfast")}


@pytest.mark.parametrize("serve_by", ["threads"], indirect=True)
def test_a_burst_of_messages(start_server: Any) -> None:
    """Each end may have a reader, a writer and the one timer thread, and no more."""
    count = 5000
    most: set[str] = set()
    done = threading.Event()
    received = 0

    def on_message(data: str | bytes) -> None:
        nonlocal most, received
        received += 1
        most |= our_threads()
        if received == count:
            done.set()

    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    number = wsfast.connect(endpoint.url, on_message=on_message)
    opened = threading.Event()
    other = wsfast.connect(endpoint.url, on_open=opened.set)
    assert opened.wait(10)
    for i in range(count):
        while not wsfast.send(number, f"message {i}"):
            assert wsfast.get_state(number) in ("connecting", "connected")
    assert done.wait(60)
    kinds = [name.split()[0] for name in most]
    assert kinds.count("wsfast-serve") == 2
    assert set(kinds) <= {
        "wsfast-accept",
        "wsfast-serve",
        "wsfast-write",
        "wsfast-timers",
        "wsfast-stand-in",
        f"wsfast-{number}",
        f"wsfast-{other}",
    }
    assert threading.active_count() < 15


def test_connections_that_have_ended_leave_no_thread(start_server: Any, make_recorder: Any) -> None:
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    most = 0
    for _ in range(30):
        recorder = make_recorder()
        number = wsfast.connect(endpoint.url, **recorder.callbacks)
        assert recorder.opened.wait(10)
        for i in range(20):
            wsfast.send(number, str(i))
        recorder.wait_messages(20)
        wsfast.close(number)
        recorder.wait_closed()
        most = max(most, threading.active_count())
    assert most < 20
