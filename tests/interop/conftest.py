"""Peers that nobody here wrote, each in a process of its own, and ours in the two roles."""

import contextlib
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aio_bridge
import pytest
from interop_common import listen
from interop_deflate import EVERY
from interop_link import Linker
from interop_process import PATIENCE, Peer, Process, authority, tokens

import wsfast
from wsfast.protocol.errors import ConnectionClosed
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, Server, serve
from wsfast.threads.client import connect

HERE = Path(__file__).parent
PROGRAMS = HERE / "peers"

AN_HOUR = 3600.0


# ---------------------------------------------------------------- peers


@pytest.fixture(scope="session")
def certificates(certificates: Any) -> Any:
    """With a server that gives out no TLS 1.3 tickets.

    The threaded client of websockets reads from its `SSLSocket` in one thread while it writes to it
    in another, which OpenSSL does not allow. While a ticket is being read, the request it writes is
    lost once in two hundred connections, to servers of its own as well.
    """
    server = certificates.issue("localhost", "127.0.0.1", "::1")
    server.num_tickets = 0
    return replace(certificates, server=server)


@dataclass(frozen=True)
class CertificateFiles:
    """For programs, what `certificates` holds for tests."""

    server: Path
    """Key and chain."""
    authority: Path


@pytest.fixture(scope="session")
def certificate_files(
    certificates: Any, tmp_path_factory: pytest.TempPathFactory
) -> CertificateFiles:
    folder = tmp_path_factory.mktemp("certificates")
    files = CertificateFiles(folder / "server.pem", folder / "authority.pem")
    leaf = certificates.authority.issue_cert("localhost", "127.0.0.1", "::1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(files.server))
    certificates.authority.cert_pem.write_to_path(str(files.authority))
    return files


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages for Node, which are downloaded once for each lock file."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("NOT TESTED against Node's ws: node and npm are not installed here")
    lock = HERE / "package-lock.json"
    name = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    kept = None if cache is None else Path(cache.mkdir("interop-node")) / name
    if kept is not None and kept.is_dir():
        return kept
    fresh = tmp_path_factory.mktemp("node")
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / file, fresh)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        command, cwd=fresh, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"npm ci ended with {done.returncode}:\n{done.stderr}")
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "")
        pytest.skip(f"NOT TESTED against Node's ws: npm ci ended with {done.returncode}: {said}")
    if kept is None:
        return fresh
    # Copied beside it first: whoever finds the folder finds it whole.
    beside = kept.with_name(f"{name}-{os.getpid()}")
    shutil.copytree(fresh, beside)
    try:
        beside.rename(kept)
    except OSError:  # another run was faster
        shutil.rmtree(beside)
    return kept


PEERS = {
    "websockets": "websockets_asyncio.py",
    "websockets-sync": "websockets_sync.py",
    "aiohttp": "aiohttp_peer.py",
    "ws": "ws_peer.cjs",
}


@pytest.fixture(scope="session", params=list(PEERS))
def peer(request: pytest.FixtureRequest, certificate_files: CertificateFiles) -> Iterator[Peer]:
    """Each peer in turn."""
    program = PROGRAMS / PEERS[request.param]
    files = (certificate_files.server, certificate_files.authority)
    if program.suffix == ".cjs":
        # Asked for here, so that it is skipped only for this peer.
        installed: Path = request.getfixturevalue("node_modules")
        peer = Peer("node", program, *files, installed)
    else:
        peer = Peer(sys.executable, program, *files)
    yield peer
    peer.stop()


@pytest.fixture(autouse=True)
def no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer of ours ends a connection here, so that nothing passes because one does."""
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", AN_HOUR)
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", AN_HOUR)
    monkeypatch.setattr("wsfast.aio.driver.ANSWER", AN_HOUR)


@pytest.fixture(params=["127.0.0.1", "::1", "localhost"])
def host(request: pytest.FixtureRequest) -> str:
    if request.param == "::1" and not _has_ipv6():
        pytest.skip("NOT TESTED over IPv6: ::1 cannot be listened on here")
    return str(request.param)


def _has_ipv6() -> bool:
    listeners = listen()
    for at in listeners:
        at.sock.close()
    return any(at.host == "::1" for at in listeners)


# ---------------------------------------------------------------- ours


class IDClient:
    """A client by the ID API."""

    def __init__(self, url: str, **options: Any) -> None:
        self._messages: queue.Queue[str | bytes] = queue.Queue()
        self._opened = threading.Event()
        self._closed: queue.Queue[tuple[int, str]] = queue.Queue()
        self.errors: list[str] = []
        self.number = wsfast.connect(
            url,
            on_open=self._opened.set,
            on_message=self._messages.put,
            on_error=self.errors.append,
            on_close=lambda code, reason: self._closed.put((code, reason)),
            **options,
        )
        assert self._opened.wait(PATIENCE), self.errors

    def send(self, message: str | bytes) -> None:
        assert wsfast.send(self.number, message)

    def receive(self) -> str | bytes:
        return self._messages.get(timeout=PATIENCE)

    def close(self, code: int, reason: str) -> None:
        assert wsfast.close(self.number, code, reason)

    def wait_closed(self) -> tuple[int, str]:
        """The code and reason of the end."""
        ending = self._closed.get(timeout=PATIENCE)
        assert self.errors == []
        return ending

    def release(self) -> None:
        """What is left is done by itself."""


class ThreadsClient:
    """A client by `wsfast.threads`."""

    connection: Any

    def __init__(self, url: str, **options: Any) -> None:
        self.connection = connect(parse_url(url), client_options(**options))

    def send(self, message: str | bytes) -> None:
        self.connection.send(message)

    def receive(self) -> str | bytes:
        return self.connection.receive(PATIENCE)

    def close(self, code: int, reason: str) -> None:
        self.connection.close(code, reason)

    def wait_closed(self) -> tuple[int, str]:
        """The code and reason of the end."""
        with contextlib.suppress(ConnectionClosed):
            while True:  # what came before the end
                self.connection.receive(PATIENCE)
        assert self.connection.wait_ended(PATIENCE)
        assert self.connection.error is None
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason

    def release(self) -> None:
        """What is left is done by itself."""


class AioClient(ThreadsClient):
    """A client by `wsfast.aio`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = aio_bridge.Loop()
        try:
            self.connection = aio_bridge.connect(self._loop, url, **options)
        except BaseException:
            self._loop.close()
            raise

    def release(self) -> None:
        self.connection.wait_ended(PATIENCE)
        self._loop.close()


OurClient = IDClient | ThreadsClient
OUR_CLIENTS: dict[str, type[OurClient]] = {
    "id-api": IDClient,
    "threads": ThreadsClient,
    "aio": AioClient,
}


@dataclass
class Session:
    """A connection of our client with a server of the peer."""

    ours: OurClient
    peer: Peer
    token: str

    def report(self) -> dict[str, Any]:
        """What the peer has seen of it, after the end."""
        return self.peer.report(self.token)


@pytest.fixture(params=["id-api", "threads", "aio"])
def dial(
    request: pytest.FixtureRequest, peer: Peer, certificates: Any
) -> Iterator[Callable[..., Session]]:
    """Connects a client of ours to the peer: `dial("echo", scheme, host, **options)`."""
    sessions: list[Session] = []

    def connect(
        behaviour: str, scheme: str = "ws", host: str = "127.0.0.1", **options: Any
    ) -> Session:
        token = next(tokens)
        options.setdefault("close_timeout", "1h")
        if scheme == "wss":
            options["ssl_context"] = certificates.client
        ours = OUR_CLIENTS[request.param](peer.url(behaviour, token, scheme, host), **options)
        session = Session(ours, peer, token)
        sessions.append(session)
        return session

    yield connect
    for session in sessions:
        session.ours.close(1000, "the test is over")
        session.ours.release()


@pytest.fixture(params=["threads", "aio"])
def start(request: pytest.FixtureRequest, certificates: Any) -> Iterator[Callable[..., str]]:
    """Starts a server of ours and returns its URL: `start(handler, scheme, host, **options)`."""
    servers: list[Server | aio_bridge.Server] = []
    loop = aio_bridge.Loop() if request.param == "aio" else None

    def start(
        handler: Callable[[Connection], object],
        scheme: str = "ws",
        host: str = "127.0.0.1",
        **options: Any,
    ) -> str:
        options.setdefault("close_timeout", "1h")
        if scheme == "wss":
            options["ssl_context"] = certificates.server
        server = (
            serve(handler, host, **options)
            if loop is None
            else aio_bridge.Server(loop, handler, host, **options)
        )
        servers.append(server)
        return f"{scheme}://{authority(host)}:{server.port}/"

    yield start
    for server in servers:
        server.shutdown(timeout=5)
    if loop is not None:
        loop.close()


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    """Of our end."""
    return str(request.param)


@pytest.fixture(params=["threads", "aio"] if EVERY else ["threads"])
def face(request: pytest.FixtureRequest) -> str:
    """Of our end, where it is watched."""
    return str(request.param)


@pytest.fixture
def linker(certificates: Any, face: str) -> Iterator[Linker]:
    """Makes connections that are watched; see `interop_link.py`."""
    linker = Linker(certificates, face)
    yield linker
    linker.close()


@pytest.fixture
def make_process() -> Iterator[Callable[..., Process]]:
    """Starts programs written in Python, which end with the test."""
    processes: list[Process] = []

    def make(program: str, *args: str | Path) -> Process:
        process = Process(sys.executable, PROGRAMS / program, *args)
        processes.append(process)
        return process

    yield make
    for process in processes:
        process.stop()
