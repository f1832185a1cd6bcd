"""Peers that do what a test tells them: a bare server, two ends of one connection, a TCP proxy."""

import base64
import hashlib
import queue
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, serve
from wsfast.threads.client import connect

PATIENCE = 10.0
"""Seconds that anything may take. Only a failing test waits that long."""

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class RawPeer:
    """The server's end of a connection, by hand and with bytes of our own making."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.request = b""

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.sock.recv(min(size - len(data), 1 << 20))
            if not chunk:
                raise EOFError(bytes(data))
            data += chunk
        return bytes(data)

    def read_request(self) -> None:
        while not self.request.endswith(b"\r\n\r\n"):
            self.request += self.read(1)

    def answer(self, *, extra: bytes = b"") -> None:
        """Upgrades; `extra` leaves in the same segment as the response."""
        match = re.search(rb"Sec-WebSocket-Key: (\S+)", self.request)
        assert match is not None
        digest = hashlib.sha1(match[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n" + extra
        )

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        self.sock.sendall(frame(opcode, payload, fin=fin))

    def receive(self) -> tuple[int, bytes]:
        """The opcode and the unmasked payload of the next frame."""
        first, second = self.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read(8))
        assert second & 0x80, "a client's frame must be masked"
        key, data = self.read(4), self.read(size)
        return first & 0x0F, bytes(b ^ key[i % 4] for i, b in enumerate(data))

    def expect_close(self) -> int:
        """Reads up to the client's close frame and returns its code."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def expect_end(self) -> None:
        """Reads until the client closes TCP."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def reset(self) -> None:
        """Ends TCP with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A server's frame."""
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += b"\x7e" + struct.pack("!H", size)
    else:
        head += b"\x7f" + struct.pack("!Q", size)
    return head + payload


@pytest.fixture
def make_frame() -> Callable[..., bytes]:
    return frame


class RawServer:
    """Listens on loopback; what it accepts is a `RawPeer` that has said nothing yet."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._sockets = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"

    def accept(self, *, buffer: int | None = None) -> RawPeer:
        """The next client; `buffer` shrinks how many bytes TCP takes for it unread."""
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock = self._listener.accept()[0]
        self._sockets.append(sock)
        return RawPeer(sock)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


DialRaw = Callable[..., tuple[Connection, RawPeer]]


@pytest.fixture
def dial_raw(raw_server: RawServer) -> Iterator[DialRaw]:
    """Opens a client connection to a raw peer: `connection, peer = dial_raw(**options)`.

    Closing them is the fixture's business, unless the test is about that.
    """
    opened: list[tuple[Connection, RawPeer]] = []

    def dial(*, extra: bytes = b"", **options: Any) -> tuple[Connection, RawPeer]:
        def accept() -> RawPeer:
            peer = raw_server.accept()
            peer.read_request()
            peer.answer(extra=extra)
            return peer

        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(accept)
            connection = connect(parse_url(raw_server.url), client_options(**options))
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
