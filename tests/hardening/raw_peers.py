"""Peers made of sockets and bytes alone, to say what no WebSocket library would.

They share no code with wsfast. Every wait is bounded by `TIMEOUT`.
"""

import base64
import contextlib
import hashlib
import os
import queue
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

TIMEOUT = 30.0
"""Seconds. Only a failing test waits that long."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = bytes.fromhex("37fa213d")


def mask(data: bytes, key: bytes) -> bytes:
    repeated = (key * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")
    return masked.to_bytes(len(data), "big")


def header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    """A frame header; `form` (0, 2 or 8 bytes of extended length) may be longer than needed."""
    if form is None:
        form = 0 if length < 126 else 2 if length < 65536 else 8
    first = fin << 7 | rsv << 4 | opcode
    masked = 0x80 if key is not None else 0
    if form == 0:
        head = bytes([first, masked | length])
    else:
        head = bytes([first, masked | (126 if form == 2 else 127)]) + length.to_bytes(form, "big")
    return head + (key or b"")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    head = header(opcode, len(payload), fin=fin, rsv=rsv, key=key, form=form)
    return head + (payload if key is None else mask(payload, key))


def close_frame(code: int, reason: bytes = b"", *, key: bytes | None = None) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason, key=key)


@dataclass(frozen=True)
class Frame:
    """A frame as it was received, unmasked."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    key: bytes | None

    @property
    def code(self) -> int:
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big")


class Wire:
    """A connected socket that speaks bytes and frames. Raises `EOFError` where it ends early."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the peer has closed the connection after {self._buffer[:200]!r}")
        self._buffer += data

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_head(self) -> bytes:
        """An HTTP head, with the empty line that ends it."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read_frame(self) -> Frame:
        first, second = self.read(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
        key = self.read(4) if second & 0x80 else None
        payload = self.read(length)
        if key is not None:
            payload = mask(payload, key)
        return Frame(first & 0xF, payload, bool(first & 0x80), first >> 4 & 7, key)

    def read_to_end(self) -> bytes:
        """All that comes before the peer closes or resets the connection."""
        with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError):
            while True:
                self._more()
        data, self._buffer = self._buffer, b""
        return data

    def read_close(self) -> Frame:
        """The next close frame; what comes before it is dropped."""
        while True:
            received = self.read_frame()
            if received.opcode == CLOSE:
                return received

    def reset(self) -> None:
        """Closes with RST rather than FIN."""
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


def field(head: bytes, name: bytes) -> bytes | None:
    """The first value of a header field."""
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == name.lower():
            return value.strip()
    return None


def status_lines(data: bytes) -> int:
    """How many responses seem to begin in the bytes."""
    return len(re.findall(rb"HTTP/1\.[01] [0-9]{3} ", data))


def accept_value(key: bytes) -> bytes:
    """RFC 6455, section 4.2.2, item 5.4."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def response(head: bytes, *further: bytes) -> bytes:
    """The answer to the request in `head` that upgrades the connection."""
    key = field(head, b"Sec-WebSocket-Key")
    assert key is not None
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept_value(key),
        *further,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class RawServerPeer(Wire):
    """The server's end of a connection."""

    def upgrade(self, *further: bytes) -> bytes:
        """Answers the request as a server should; returns it."""
        head = self.read_head()
        self.send(response(head, *further))
        return head


class RawClientPeer(Wire):
    """The client's end of a connection."""

    def ask(
        self,
        *further: bytes,
        line: bytes = b"GET / HTTP/1.1",
        without: tuple[bytes, ...] = (),
        host: bytes = b"localhost",
    ) -> None:
        """Sends a request; `without` names the usual fields to leave out."""
        usual = {
            b"Host": host,
            b"Upgrade": b"websocket",
            b"Connection": b"Upgrade",
            b"Sec-WebSocket-Key": base64.b64encode(os.urandom(16)),
            b"Sec-WebSocket-Version": b"13",
        }
        fields = [b"%s: %s" % pair for pair in usual.items() if pair[0] not in without]
        self.send(b"\r\n".join([line, *fields, *further]) + b"\r\n\r\n")

    def open(self, *further: bytes) -> None:
        self.ask(*further)
        head = self.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head

    def status(self) -> int:
        """Of the response that is to come."""
        head = self.read_head()
        assert head.startswith(b"HTTP/1.1 "), head
        return int(head[9:12])


Handler = Callable[[RawServerPeer], Any]


class RawServer:
    """Calls `handle(peer)` on a thread for each connection; `result` tells what it returned.

    Once a handler has returned its connection is closed.
    """

    def __init__(
        self, handle: Handler, context: ssl.SSLContext | None, receive_buffer: int | None
    ) -> None:
        self._handle = handle
        self._context = context
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'ws' if context is None else 'wss'}://localhost:{self.port}/"
        self._results: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
        self._peers: dict[threading.Thread, RawServerPeer] = {}
        self._accepted: queue.Queue[Any] = queue.Queue()
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name="raw-accept", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            sock, address = self._listener.accept()
            if self._stopping:
                sock.close()
                return
            peer = RawServerPeer(sock)
            thread = threading.Thread(target=self._serve, args=(peer,), name="raw", daemon=True)
            self._peers[thread] = peer
            thread.start()
            self._accepted.put(address)

    def _serve(self, peer: RawServerPeer) -> None:
        try:
            if self._context is not None:
                peer.sock = self._context.wrap_socket(peer.sock, server_side=True)
            self._results.put((self._handle(peer), None))
        except BaseException as exc:  # noqa: BLE001 - raised again where the result is asked for
            self._results.put((None, exc))
        finally:
            peer.sock.close()
            self._peers.pop(threading.current_thread())

    def result(self) -> Any:
        """What the next handler to end returned; raises what it raised."""
        value, exc = self._results.get(timeout=TIMEOUT)
        if exc is not None:
            raise exc
        return value

    def wait_idle(self) -> None:
        """Waits until all connections made so far have been accepted and their handlers ended."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as last:
            address = last.getsockname()
        while self._accepted.get(timeout=TIMEOUT) != address:
            pass
        self._join()

    def _join(self) -> None:
        for thread in list(self._peers):
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    def stop(self) -> None:
        """Raises what handlers raised that nobody asked for, but for a peer that went away."""
        self._stopping = True
        socket.create_connection(("127.0.0.1", self.port), TIMEOUT).close()
        self._thread.join(TIMEOUT)
        self._listener.close()
        for peer in list(self._peers.values()):
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        self._join()
        while not self._results.empty():
            _, exc = self._results.get()
            gone = isinstance(exc, EOFError | OSError) and not isinstance(exc, TimeoutError)
            if exc is not None and not gone:
                raise exc


@contextlib.contextmanager
def client_peer(port: int, context: ssl.SSLContext | None = None) -> Iterator[RawClientPeer]:
    """A raw connection to a server."""
    peer = RawClientPeer(socket.create_connection(("127.0.0.1", port), TIMEOUT))
    try:
        if context is not None:
            peer.sock = context.wrap_socket(peer.sock, server_hostname="localhost")
        yield peer
    finally:
        peer.sock.close()
