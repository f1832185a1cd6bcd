"""Raw ends of a connection that stop after so many bytes on the wire, wherever that is.

`raw_peers.py` speaks HTTP and frames through the sockets made here, which count what TLS makes of
it. One thread, no wsfast: these processes may fork.
"""

import fcntl
import socket
import ssl
import struct
import termios
from typing import Any

from raw_peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    RawClientPeer,
    RawServerPeer,
    Wire,
    close_frame,
    frame,
)
from soak_pool import Message, messages

PEER_KEY = bytes.fromhex("a1b2c3d4")


class Spent(Exception):
    """All bytes that were allowed have passed."""


class Counted:
    """A TCP socket that raises `Spent` where more than `budget` bytes, both ways, would pass."""

    def __init__(self, sock: socket.socket, budget: int | None) -> None:
        self._sock = sock
        self._budget = budget
        self.gulp = 65536
        """Bytes to receive at once; few make a slow reader."""
        self.sent = self.received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @property
    def used(self) -> int:
        return self.sent + self.received

    def _allowed(self, size: int) -> int:
        if self._budget is None:
            return size
        allowed = min(size, self._budget - self.used)
        if allowed <= 0:
            raise Spent
        return allowed

    def sendall(self, data: bytes) -> None:
        while data:
            sent = self._sock.send(data[: self._allowed(len(data))])
            self.sent += sent
            data = data[sent:]

    def recv(self, size: int) -> bytes:
        data = self._sock.recv(self._allowed(min(size, self.gulp)))
        self.received += len(data)
        return data

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has acknowledged and nobody has received."""
        return int(struct.unpack("i", fcntl.ioctl(self._sock, termios.FIONREAD, bytes(4)))[0])


class Secured:
    """TLS over a `Counted` socket."""

    def __init__(self, below: Counted, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else "localhost"
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            else:
                self._flush()
                return

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.sendall(self._outgoing.read())

    def _feed(self) -> None:
        data = self._below.recv(65536)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self._tls.write(data) :]
        self._flush()

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""


class End:
    """The raw end of one connection: a peer of `raw_peers.py`, and what has happened on it."""

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        context: ssl.SSLContext | None = None,
        *,
        server_side: bool,
        budget: int | None = None,
    ) -> None:
        self.number = number
        self.server_side = server_side
        self.sock = sock
        self.counted = Counted(sock, budget)
        self.opened = False
        self.sent = 0
        """Messages of which every byte has been handed to the kernel."""
        self.timely = True
        """Whether this end did all it was to do before the other one could lose patience."""
        self.heard = 0
        """Messages received by `hear`."""
        self.code = 0
        """Of the close frame received."""
        self._secured = context and Secured(self.counted, context, server_side=server_side)
        kind = RawServerPeer if server_side else RawClientPeer
        over: Any = self._secured or self.counted
        self.peer: Wire = kind(over)

    def open(self) -> None:
        """TLS, if any, and the upgrade."""
        if self._secured:
            self._secured.shake_hands()
        if isinstance(self.peer, RawServerPeer):
            self.peer.upgrade()
        else:
            assert isinstance(self.peer, RawClientPeer)
            self.peer.ask(line=b"GET /%d HTTP/1.1" % self.number)
            assert self.peer.status() == 101
        self.opened = True

    @property
    def key(self) -> bytes | None:
        """What a frame of ours must be masked with."""
        return None if self.server_side else PEER_KEY

    def send(self, message: Message) -> None:
        self.peer.send(wire_of(message, self.key))
        self.sent += 1

    def receive(self) -> Message | None:
        """The next message, which must be in one frame; None if it is a close frame."""
        received = self.peer.read_frame()
        if received.opcode == CLOSE:
            self.code = received.code
            return None
        assert received.fin
        assert received.opcode in (TEXT, BINARY), received
        return received.payload.decode() if received.opcode == TEXT else received.payload

    def hear(self, count: int | None = None) -> None:
        """Checks messages, which must be those of the pool in order: so many, or all up to the
        close frame."""
        for expected in messages(self.number + self.heard, count):
            message = self.receive()
            if message is None:
                assert count is None, self.code
                return
            assert message == expected, self.heard
            self.heard += 1

    def close(self, code: int) -> None:
        """Sends a close frame."""
        self.peer.send(close_frame(code, key=self.key))

    def leave(self) -> None:
        """Ends TCP as a peer should that has sent and received a close frame (RFC 6455, 7.1.1)."""
        if not self.server_side:
            assert self.peer.read_to_end() == b""
        self.sock.close()


def wire_of(message: Message, key: bytes | None) -> bytes:
    """A message as it travels; every fifth or so in two frames."""
    opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    half = len(payload) // 2
    if half % 5 != 4:
        return frame(opcode, payload, key=key)
    first = frame(opcode, payload[:half], fin=False, key=key)
    return first + frame(CONTINUATION, payload[half:], key=key)
