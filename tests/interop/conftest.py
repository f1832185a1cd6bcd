"""Peers that nobody here wrote, each in a process of its own, and ours in the two roles."""

import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest

import wsfast
from wsfast.protocol.errors import ConnectionClosed
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, Server, serve
from wsfast.threads.client import connect

HERE = Path(__file__).parent
PROGRAMS = HERE / "peers"

PATIENCE = 30.0
"""Seconds for anything that a peer does. Only a failing test waits that long."""

AN_HOUR = 3600.0


def _load_helper(name: str) -> ModuleType:
    # pytest's importlib mode gives test files no package to import their neighbours from.
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_common = _load_helper("interop_common")


# ---------------------------------------------------------------- processes


class Process:
    """A program that reads and prints lines of JSON. Thread-safe."""

    def __init__(self, *command: str | Path) -> None:
        self._name = Path(command[1]).name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._changed = threading.Condition()
        self._lines: list[dict[str, Any]] = []
        self._over = False
        self._reader = threading.Thread(target=self._read, name=f"interop {self._name}")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def tell(self, **entry: Any) -> None:
        """Writes a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(entry) + "\n")
        self._process.stdin.flush()

    def take(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Waits for the first line that is wanted, and removes it."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self._lines if wanted(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: self._over or found(), PATIENCE)
            line = found()
            if line is None:
                what = "has ended" if self._over else f"said nothing in {PATIENCE} s"
                pytest.fail(f"{self._name} {what}; unread: {self._lines}")
            self._lines.remove(line)
            return line

    def stop(self) -> None:
        """Ends the program, by the end of its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(PATIENCE)
            self._process.stdout.close()


_tokens = map(str, itertools.count(1))


class Peer(Process):
    """A library that serves and connects; `peers/interop_common.py` says how."""

    def __init__(self, *command: str | Path) -> None:
        super().__init__(*command)
        try:
            ready = self.take(lambda line: "ports" in line)
        except BaseException:
            self.stop()
            raise
        self.version: str = ready["version"]
        self._ports: dict[str, int] = ready["ports"]

    def url(self, behaviour: str, token: str, scheme: str = "ws", host: str = "127.0.0.1") -> str:
        """Where its server does `behaviour`; the report will bear `token`."""
        address = "127.0.0.1" if host == "localhost" else host
        port = self._ports[f"{scheme} {address}"]
        return f"{scheme}://{_authority(host)}:{port}/{behaviour}?token={quote(token)}"

    def report(self, token: str) -> dict[str, Any]:
        """Waits for what it has seen of a connection."""
        line = self.take(lambda line: line.get("token") == token)
        if "error" in line:
            pytest.fail(f"{self.version}: {line['error']}")
        return line

    def run(self, url: str, **job: Any) -> dict[str, Any]:
        """Lets its client connect to `url`; returns the report. See `Job` for what it can do."""
        token = next(_tokens)
        defaults: dict[str, Any] = {
            "way": "whole",
            "messages": [],
            "close": (1000, ""),
            "subprotocols": None,
            "headers": {},
        }
        self.tell(token=token, url=url, **(defaults | job))
        return self.report(token)


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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
    kept = Path(request.config.cache.mkdir("interop-node")) / name
    if kept.is_dir():
        return kept
    fresh = tmp_path_factory.mktemp("node")
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / file, fresh)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"npm ci ended with {done.returncode}: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(f"NOT TESTED against Node's ws: {said}")
    # Another run may have been faster.
    if not kept.is_dir():
        shutil.copytree(fresh, kept, dirs_exist_ok=True)
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
    monkeypatch.setattr("wsfast.threads.connection.STAND_IN", AN_HOUR)


@pytest.fixture(params=["127.0.0.1", "::1", "localhost"])
def host(request: pytest.FixtureRequest) -> str:
    if request.param == "::1" and not _has_ipv6():
        pytest.skip("NOT TESTED over IPv6: ::1 cannot be listened on here")
    return str(request.param)


def _has_ipv6() -> bool:
    listeners = _common.listen()
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


class ThreadsClient:
    """A client by `wsfast.threads`."""

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


OurClient = IDClient | ThreadsClient
OUR_CLIENTS: dict[str, type[OurClient]] = {"id-api": IDClient, "threads": ThreadsClient}


@dataclass
class Session:
    """A connection of our client with a server of the peer."""

    ours: OurClient
    peer: Peer
    token: str

    def report(self) -> dict[str, Any]:
        """What the peer has seen of it, after the end."""
        return self.peer.report(self.token)


@pytest.fixture(params=["id-api", "threads"])
def dial(
    request: pytest.FixtureRequest, peer: Peer, certificates: Any
) -> Iterator[Callable[..., Session]]:
    """Connects a client of ours to the peer: `dial("echo", scheme, host, **options)`."""
    sessions: list[Session] = []

    def connect(
        behaviour: str, scheme: str = "ws", host: str = "127.0.0.1", **options: Any
    ) -> Session:
        token = next(_tokens)
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


@pytest.fixture
def start(certificates: Any) -> Iterator[Callable[..., str]]:
    """Starts a server of ours and returns its URL: `start(handler, scheme, host, **options)`."""
    servers: list[Server] = []

    def start(
        handler: Callable[[Connection], object],
        scheme: str = "ws",
        host: str = "127.0.0.1",
        **options: Any,
    ) -> str:
        options.setdefault("close_timeout", "1h")
        if scheme == "wss":
            options["ssl_context"] = certificates.server
        server = serve(handler, host, **options)
        servers.append(server)
        return f"{scheme}://{_authority(host)}:{server.port}/"

    yield start
    for server in servers:
        server.shutdown(timeout=5)


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
