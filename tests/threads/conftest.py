"""Connections to peers that do what a test tells them, both ends of a connection, a TCP proxy."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import RawServerPeer, response

from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, serve
from wsfast.threads.client import connect

PATIENCE = 10.0
"""Seconds that anything may take. Only a failing test waits that long."""

DialRaw = Callable[..., tuple[Connection, RawServerPeer]]


@pytest.fixture
def dial_raw(raw_listener: Any) -> Iterator[DialRaw]:
    """Opens a client connection to a raw peer: `connection, peer = dial_raw(**options)`.

    `early` leaves in the same segment as the answer to the handshake, which has further `fields`.
    Closing is the fixture's business, unless the test is about that.
    """
    opened: list[tuple[Connection, RawServerPeer]] = []

    def accept(early: bytes, fields: tuple[bytes, ...]) -> RawServerPeer:
        peer: RawServerPeer = raw_listener.accept()
        peer.send(response(peer.read_head(), *fields) + early)
        return peer

    def dial(
        *, early: bytes = b"", fields: tuple[bytes, ...] = (), **options: Any
    ) -> tuple[Connection, RawServerPeer]:
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(accept, early, fields)
            connection = connect(parse_url(raw_listener.url), client_options(**options))
            opened.append((connection, accepted.result()))
        return opened[-1]

    yield dial
    for connection, peer in opened:
        peer.sock.close()
        connection.finish()
        assert connection.wait_ended(PATIENCE)


Pair = Callable[..., tuple[Connection, Connection]]


@pytest.fixture
def open_pair(certificates: Any) -> Iterator[Pair]:
    """Opens a connection to a server of ours and returns both ends, the client's first.

    `open_pair("wss", server={"read_limit": 10}, ping_interval=None)`
    """
    servers = []
    clients: list[Connection] = []
    release = threading.Event()

    def open_pair(
        scheme: str = "ws", *, server: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Connection, Connection]:
        arrived: queue.Queue[Connection] = queue.Queue()

        def handler(connection: Connection) -> None:
            arrived.put(connection)
            release.wait()

        theirs = dict(server or {})
        if scheme == "wss":
            theirs["ssl_context"] = certificates.server
            options["ssl_context"] = certificates.client
        running = serve(handler, "localhost", 0, **theirs)
        servers.append(running)
        url = parse_url(f"{scheme}://localhost:{running.port}/")
        client = connect(url, client_options(**options))
        clients.append(client)
        return client, arrived.get(timeout=PATIENCE)

    yield open_pair
    release.set()
    for client in clients:
        client.finish()
        assert client.wait_ended(PATIENCE)
    for running in servers:
        running.shutdown(timeout=5)


class Proxy:
    """Passes bytes on between a client and a server, as the functions it is given say.

    `to_client` and `to_server` get each chunk and return the pieces to send, one by one.
    """

    def __init__(
        self,
        port: int,
        to_client: Callable[[bytes], list[bytes]],
        to_server: Callable[[bytes], list[bytes]],
    ) -> None:
        self._listener = socket.create_server(("localhost", 0), family=socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self._target = port
        self._ends: list[socket.socket] = []
        self._how = to_client, to_server
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            client = self._listener.accept()[0]
        except OSError:
            return
        server = socket.create_connection(("localhost", self._target))
        self._ends += [client, server]
        for sock in self._ends:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        to_client, to_server = self._how
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._pump, client, server, to_server)
            self._pump(server, client, to_client)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, how: Callable[..., list[bytes]]) -> None:
        try:
            while data := source.recv(65536):
                for piece in how(data):
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has gone, or the test cut the line

    def cut(self) -> None:
        """Ends both connections with FIN, whatever was on its way."""
        for sock in self._ends:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not every system lets a listener be shut down
        self._listener.close()
        self.cut()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        for sock in self._ends:
            sock.close()


@pytest.fixture
def make_proxy() -> Iterator[Callable[..., Proxy]]:
    proxies: list[Proxy] = []

    def make(
        port: int,
        *,
        to_client: Callable[[bytes], list[bytes]] = lambda data: [data],
        to_server: Callable[[bytes], list[bytes]] = lambda data: [data],
    ) -> Proxy:
        proxies.append(Proxy(port, to_client, to_server))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def dial() -> Callable[..., Connection]:
    """Opens a client connection: `dial(url, **options)`."""

    def dial(url: str, **options: Any) -> Connection:
        return connect(parse_url(url), client_options(**options))

    return dial
