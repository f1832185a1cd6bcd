"""What many tests need: certificates, echo servers, and a check that nothing is left over."""

import gc
import os
import queue
import socket
import ssl
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_peers import Handler, RawServer, RawServerPeer, response

import wsfast
from wsfast.server import Connection, Server, serve

JOIN = 10.0
"""Seconds that a thread of ours gets to end. Only a failing test waits that long."""


@dataclass(frozen=True)
class Certificates:
    """A certificate authority made for this run, and what it issued for localhost."""

    authority: trustme.CA
    server: ssl.SSLContext
    client: ssl.SSLContext

    def issue(self, *names: str) -> ssl.SSLContext:
        """A server's context with a certificate for other names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certificates(authority, server, client)


@pytest.fixture(params=["ws", "wss"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass(frozen=True)
class Endpoint:
    """A server of ours and how to reach it."""

    server: Server
    url: str
    options: dict[str, Any]
    """For `wsfast.connect` and the like: the context that trusts the server."""


@pytest.fixture
def serve_by() -> Callable[..., Any]:
    """What starts servers: `serve_by(handler, host, port, **options)`."""
    return serve


@pytest.fixture
def start_server(
    certificates: Certificates, serve_by: Callable[..., Any]
) -> Iterator[Callable[..., Endpoint]]:
    """Starts servers that end with the test: `start_server(handler, "wss", **options)`."""
    servers: list[Server] = []

    def start(
        handler: Callable[[Connection], object], scheme: str = "ws", **options: Any
    ) -> Endpoint:
        client_options: dict[str, Any] = {}
        if scheme == "wss":
            options.setdefault("ssl_context", certificates.server)
            client_options["ssl_context"] = certificates.client
        server = serve_by(handler, "localhost", 0, **options)
        servers.append(server)
        return Endpoint(server, f"{scheme}://localhost:{server.port}/", client_options)

    yield start
    for server in servers:
        server.shutdown(timeout=5)


def echo(connection: Connection) -> None:
    """The handler of an echo server."""
    for message in connection:
        connection.send(message)


@pytest.fixture
def echo_server(start_server: Callable[..., Endpoint], scheme: str) -> Endpoint:
    """An echo server of ours, once over ws and once over wss."""
    return start_server(echo, scheme)


class Collector:
    """A server's handler that writes down what comes, and how each connection ended."""

    def __init__(self) -> None:
        self.messages: queue.Queue[str | bytes] = queue.Queue()
        self.ended: queue.Queue[tuple[int | None, str]] = queue.Queue()

    def __call__(self, connection: Connection) -> None:
        for message in connection:
            self.messages.put(message)
        self.ended.put((connection.close_code, connection.close_reason))


@pytest.fixture
def collector() -> Collector:
    return Collector()


class Recorder:
    """Callbacks for `wsfast.connect` that write down what they are called with.

    `log` holds ("open",), ("message", data), ("error", text), ("close", code, reason) and
    ("reconnect", attempt, delay, code, reason).
    """

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.opened = threading.Event()
        self.closed = threading.Event()
        self._changed = threading.Condition()

    @property
    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_open": self.on_open,
            "on_message": self.on_message,
            "on_error": self.on_error,
            "on_close": self.on_close,
            "on_reconnect": self.on_reconnect,
        }

    def _add(self, *entry: Any) -> None:
        with self._changed:
            self.log.append(entry)
            self._changed.notify_all()

    def on_open(self) -> None:
        self._add("open")
        self.opened.set()

    def on_message(self, data: str | bytes) -> None:
        self._add("message", data)

    def on_error(self, text: str) -> None:
        self._add("error", text)

    def on_close(self, code: int, reason: str) -> None:
        self._add("close", code, reason)
        self.closed.set()

    def on_reconnect(self, attempt: int, delay: float, code: int, reason: str) -> None:
        self._add("reconnect", attempt, delay, code, reason)

    @property
    def messages(self) -> list[str | bytes]:
        return [entry[1] for entry in self.log if entry[0] == "message"]

    @property
    def errors(self) -> list[str]:
        return [entry[1] for entry in self.log if entry[0] == "error"]

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        """The entries of a kind, without it."""
        return [entry[1:] for entry in self.log if entry[0] == kind]

    def wait(self, kind: str, count: int = 1, timeout: float = JOIN) -> list[tuple[Any, ...]]:
        """As `of`, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, timeout), self.log
        return self.of(kind)

    def wait_messages(self, count: int, timeout: float = JOIN) -> list[str | bytes]:
        self.wait("message", count, timeout)
        return self.messages

    def wait_closed(self, timeout: float = JOIN) -> tuple[int, str]:
        assert self.closed.wait(timeout), self.log
        code, reason = self.log[-1][1:]
        return code, reason


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def join_connection() -> Callable[[int], None]:
    """Waits for the thread of an id: `on_close` is not the last that it does."""

    def join(number: int) -> None:
        for thread in _our_threads():
            if thread.name == f"wsfast-{number}":
                thread.join(JOIN)

    return join


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets environment variables about proxies: `environment(http_proxy="http://proxy")`. No other
    that means anything for proxies is set."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_them


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


class RawListener:
    """Listens on loopback; what it accepts has not been answered yet."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(JOIN)
        self._sockets = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"

    def shrink(self) -> None:
        """Lets TCP take as little as possible for those who connect from now on."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def accept(self) -> RawServerPeer:
        """The next client."""
        peer = RawServerPeer(self._listener.accept()[0])
        self._sockets.append(peer.sock)
        return peer

    def upgrade(self, early: bytes = b"") -> RawServerPeer:
        """The next client, connected; `early` leaves with the answer."""
        peer = self.accept()
        peer.send(response(peer.read_head()) + early)
        return peer

    def expect_nobody(self) -> None:
        """Fails if somebody else has connected."""
        self._listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            self._listener.accept()

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def raw_listener() -> Iterator[RawListener]:
    """Where a test accepts connections itself, and speaks bytes to them from its own thread."""
    listener = RawListener()
    yield listener
    listener.close()


@pytest.fixture
def raw_servers() -> Iterator[list[RawServer]]:
    """Those that the test has started with `raw_server`."""
    servers: list[RawServer] = []
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def raw_server(raw_servers: list[RawServer]) -> Callable[..., RawServer]:
    """Starts servers that speak bytes: `raw_server(handle, context=None)`."""

    def start(handle: Handler, context: Any = None, receive_buffer: int | None = None) -> RawServer:
        raw_servers.append(RawServer(handle, context, receive_buffer))
        return raw_servers[-1]

    return start


@pytest.fixture
def stalled_url() -> Iterator[str]:
    """A server that lets TCP connect and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def black_hole_url() -> Iterator[str]:
    """A server that does not even let TCP connect: its backlog is full."""
    if sys.platform != "linux":
        pytest.skip("only Linux drops SYNs for a full queue")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        for caller in callers:
            caller.close()


ENDS_WITHIN = 30.0
"""Seconds for a whole script, the start of the interpreter included."""

SCRIPT_PRELUDE = """
import os, signal, ssl, sys, threading
import wsfast

def connect(url, **arguments):
    # The id of a connection that is open.
    opened = threading.Event()
    context = ssl.create_default_context(cafile=sys.argv[1]) if url.startswith("wss") else None
    number = wsfast.connect(url, on_open=opened.set, ssl_context=context, **arguments)
    assert opened.wait(10)
    return number

def wait_message(number):
    tick = threading.Event()
    while not (messages := wsfast.get_messages(number)):
        assert wsfast.is_connected(number), wsfast.get_state(number)
        tick.wait(0.001)
    return messages

def check_echo(number, text):
    assert wsfast.send(number, text), wsfast.get_state(number)
    assert wait_message(number) == [text]
"""


@pytest.fixture
def run_script(tmp_path: Path, certificates: Any) -> Callable[..., str]:
    """Runs a script, which must exit with 0 and write nothing to stderr; returns its stdout."""
    authority = tmp_path / "authority.pem"
    certificates.authority.cert_pem.write_to_path(authority)

    def run(script: str, *arguments: str) -> str:
        path = tmp_path / "script.py"
        path.write_text(SCRIPT_PRELUDE + textwrap.dedent(script))
        # From Python 3.12 on, fork warns if there are threads, which is what is tested here.
        warnings = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
        done = subprocess.run(
            [sys.executable, *warnings, str(path), str(authority), *arguments],
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()


def _our_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("wsfast")]


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """After each test: no thread of ours, no descriptor more than before."""
    before = _descriptors()
    yield
    wsfast.disconnect_all()
    deadline = time.monotonic() + JOIN
    while (threads := _our_threads()) and time.monotonic() < deadline:
        threads[0].join(JOIN)  # which may have started another before it ended
    assert threads == []
    tick = threading.Event()
    while len(_descriptors()) > len(before) and time.monotonic() < deadline:
        gc.collect()  # which takes longer than most tests, so only if it may find something
        tick.wait(0.01)  # a server that outlives the test closes its side on a thread of its own
    assert len(_descriptors()) <= len(before), "descriptors left open"


def has_gil() -> bool:
    """Whether this interpreter runs one thread at a time."""
    return not hasattr(sys, "_is_gil_enabled") or bool(sys._is_gil_enabled())


@pytest.fixture(scope="session", autouse=True)
def gil_stays_off() -> Iterator[None]:
    """On a free-threaded Python, at the end: nothing that was imported has turned the GIL on."""
    yield
    assert has_gil() is not bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
