"""Clients of raw peers, and threads to use them from."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import RawServerPeer

from wsfast.client import Client, connect


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as executor:
        yield executor


@pytest.fixture
def dial_client(raw_listener: Any) -> Iterator[Callable[..., tuple[Client, RawServerPeer]]]:
    """Connects to a peer that does nothing by itself: `client, peer = dial_client(**options)`."""
    opened: list[tuple[Client, RawServerPeer]] = []

    def dial(**options: Any) -> tuple[Client, RawServerPeer]:
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(raw_listener.upgrade)
            opened.append((connect(raw_listener.url, **options), accepted.result()))
        return opened[-1]

    yield dial
    for client, peer in opened:
        peer.sock.close()
        client.close()
