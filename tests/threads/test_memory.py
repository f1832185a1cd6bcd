"""What a connection holds in memory is free when it is not needed, not at some later time."""

import gc
import os
import queue
import socket
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wsfast
from wsfast.server import Connection
from wsfast.threads.stream import TLSStream

WAIT = 10.0
LARGE = 8 * 1024 * 1024


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Nothing is freed here but what nobody refers to."""
    gc.disable()
    yield
    gc.enable()


def test_connections_that_have_ended_are_no_garbage(
    start_server: Any, dial: Callable[..., Connection], scheme: str, no_collection: None
) -> None:
    served: queue.Queue[weakref.ref[Connection]] = queue.Queue()

    def handler(connection: Connection) -> None:
        served.put(weakref.ref(connection))
        for message in connection:
            connection.send(message)

    endpoint = start_server(handler, scheme)
    client = dial(endpoint.url, **endpoint.options)
    client.send("x")
    assert client.receive(WAIT) == "x"
    client.finish()
    client_left = weakref.ref(client)
    del client
    assert client_left() is None
    endpoint.server.shutdown(WAIT)
    server_left = served.get(timeout=WAIT)
    assert server_left() is None


def test_neither_are_those_of_the_id_api(
    echo_server: Any, recorder: Any, join_connection: Callable[[int], None], no_collection: None
) -> None:
    before = living_connections()
    number = wsfast.connect(echo_server.url, **recorder.callbacks, **echo_server.options)
    assert recorder.opened.wait(WAIT)
    assert living_connections() > before
    wsfast.close(number)
    recorder.wait_closed()
    join_connection(number)
    echo_server.server.shutdown(WAIT)
    assert living_connections() == before


def living_connections() -> int:
    return sum(isinstance(one, Connection) for one in gc.get_objects())


def test_what_has_been_sent_is_not_kept(
    open_pair: Any, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.threads.writer.IDLE", 0)
    client, server = open_pair(scheme)
    tracemalloc.start()
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(server.receive, WAIT)
        client.send(bytes(LARGE))
        assert len(receiving.result(WAIT)) == LARGE
        del receiving
    for thread in threading.enumerate():
        if thread.name == "wsfast-write":
            thread.join(WAIT)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < LARGE / 4


def test_encrypting_much_at_once_leaves_no_large_buffer(certificates: Any) -> None:
    if sys.platform != "linux":
        pytest.skip("/proc tells how much memory is in RAM, on Linux")
    pairs = [tls_pair(certificates) for _ in range(16)]
    before = in_ram()
    for client, _ in pairs:
        assert len(client.encode(bytes(LARGE))) > LARGE
    assert in_ram() - before < LARGE * len(pairs) / 2
    for pair in pairs:
        for stream in pair:
            stream.close()


def in_ram() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tls_pair(certificates: Any) -> tuple[TLSStream, TLSStream]:
    """Both ends of TLS, ready for use."""
    near, far = socket.socketpair()
    client = TLSStream(near, certificates.client, peer="s", server_hostname="localhost")
    server = TLSStream(far, certificates.server, peer="c", server_side=True)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(server.open, None)
        client.open(None)
        opening.result(WAIT)
    return client, server
