"""Peers that misbehave, and what every failed opening must look like."""

import contextlib
import gc
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aio_bridge
import pytest
from raw_peers import TIMEOUT

import wsfast
from wsfast.protocol.errors import ConnectError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import serve
from wsfast.threads.client import connect
from wsfast.threads.connection import Connection


@pytest.fixture(scope="session", autouse=True)
def quick_collections() -> Iterator[None]:
    """Every test collects garbage twice; what pytest itself has made need not be looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class LazyLoop:
    """`loop()`: one for the test, made when it is needed."""

    def __init__(self) -> None:
        self._loop: aio_bridge.Loop | None = None

    def __call__(self) -> aio_bridge.Loop:
        if self._loop is None:
            self._loop = aio_bridge.Loop()
        return self._loop

    def settle(self) -> None:
        """Waits until servers on it have no connections."""
        if self._loop is not None:
            self._loop.settle()

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()


@pytest.fixture
def loop() -> Iterator[LazyLoop]:
    loop = LazyLoop()
    yield loop
    loop.close()


@pytest.fixture(params=["threads", "aio"])
def serve_by(request: pytest.FixtureRequest, loop: LazyLoop) -> Callable[..., Any]:
    """By each driver."""
    if request.param == "threads":
        return serve
    return lambda *args, **options: aio_bridge.Server(loop(), *args, **options)


@pytest.fixture(params=["id-api", "aio"])
def fails(request: pytest.FixtureRequest, make_recorder: Any, loop: LazyLoop) -> Callable[..., str]:
    """`fails(url, **options)`: the text of the error, after checks that hold for every opening
    that fails by the ID API: one on_error, then one on_close with 1006, and the state "error"."""

    def fail_aio(url: str, **options: Any) -> str:
        with pytest.raises(ConnectError) as caught:
            aio_bridge.connect(loop(), url, **options)
        return str(caught.value)

    if request.param == "aio":
        return fail_aio

    def fail(url: str, **options: Any) -> str:
        recorder = make_recorder()
        number = wsfast.connect(url, **recorder.callbacks, **options)
        assert number > 0
        code, reason = recorder.wait_closed()
        assert code == 1006
        (text,) = recorder.errors
        assert recorder.log == [("error", text), ("close", 1006, reason)]
        assert wsfast.get_state(number) == "error"
        assert not wsfast.is_connected(number)
        assert wsfast.get_url(number) == url
        assert number not in [entry["id"] for entry in wsfast.list()]
        assert wsfast.send(number, "too late") is False
        assert wsfast.close(number) is True
        assert wsfast.get_messages(number) == []
        assert isinstance(text, str)
        return text

    return fail


@pytest.fixture(params=["threads", "aio"])
def dial(
    request: pytest.FixtureRequest, loop: LazyLoop
) -> Iterator[Callable[..., Connection | aio_bridge.Connection]]:
    """`dial(url, **options)`: a connection by each driver, or the exception that says why there is
    none."""
    connections: list[Connection | aio_bridge.Connection] = []

    def open_(url: str, **options: Any) -> Connection | aio_bridge.Connection:
        connections.append(
            connect(parse_url(url), client_options(**options))
            if request.param == "threads"
            else aio_bridge.connect(loop(), url, **options)
        )
        return connections[-1]

    yield open_
    for connection in connections:
        connection.close()
        assert connection.wait_ended(TIMEOUT)


@pytest.fixture
def untouched_port() -> Iterator[int]:
    """A port on which somebody listens; the test fails if anybody has connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
        for thread in threading.enumerate():
            if thread.name.startswith("wsfast"):  # on_close is not the last that it does
                thread.join(TIMEOUT)
                assert not thread.is_alive()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that answers nothing: its queue of connections is full, so SYNs are dropped."""
    if sys.platform != "linux":
        pytest.skip("only Linux drops SYNs for a full queue")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        full = False
        while not full:
            sock = stack.enter_context(socket.socket())
            sock.settimeout(0.2)
            try:
                sock.connect(listener.getsockname())
            except TimeoutError:
                full = True
        yield listener.getsockname()[1]


def _status(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@pytest.fixture
def memory() -> Callable[[], Callable[[], int]]:
    """`grown = memory()`; later, `grown()` is by how many bytes RAM in use has grown at most."""
    if sys.platform != "linux":
        pytest.skip("/proc tells how much memory is in RAM, on Linux")

    def start() -> Callable[[], int]:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _status("VmRSS")
        return lambda: _status("VmHWM") - before

    return start


@pytest.fixture
def open_echo(start_server: Callable[..., Any], make_recorder: Any) -> Callable[..., Any]:
    """`open_echo(scheme="ws", **options)`: the id of a connection to an echo server that is open,
    and its recorder."""

    def echo(connection: Connection) -> None:
        for message in connection:
            connection.send(message)

    def open_(scheme: str = "ws", **options: Any) -> tuple[int, Any]:
        endpoint = start_server(echo, scheme)
        recorder = make_recorder()
        number = wsfast.connect(endpoint.url, **recorder.callbacks, **endpoint.options, **options)
        assert recorder.opened.wait(TIMEOUT), recorder.log
        return number, recorder

    return open_


@pytest.fixture
def secured(scheme: str, certificates: Any) -> dict[str, Any]:
    """`server` and `client`: what a raw server and wsfast need for ws and for wss."""
    secure = scheme == "wss"
    return {
        "server": {"context": certificates.server if secure else None},
        "client": {"ssl_context": certificates.client} if secure else {},
    }
