"""Knowing what a client's threads are at."""

import threading
import time
from collections.abc import Callable

from channel_waiting import WAIT

from wsfast.client import Client


def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds."""
    tick = threading.Event()
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        tick.wait(0.001)


def reads(client: Client) -> bool:
    """Whether somebody waits for bytes."""
    receiver = client._connection.reader.receiver
    return receiver is not None and receiver.in_recv


def pushes_back(client: Client) -> bool:
    """Whether somebody would read, but does not, because too much waits to be received."""
    reader = client._connection.reader
    return reader.reading and reader.inbox.full and not reads(client)
