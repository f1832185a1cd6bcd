"""Proxies made of sockets and bytes alone. They share no code with wsfast.

Each is a handler for `RawServer`. It takes names for this machine: that shows who looked them up.
"""

import base64
import contextlib
import ipaddress
import select
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

from raw_peers import TIMEOUT, RawServerPeer, Wire
from raw_peers import field as header_field

Credentials = tuple[str, str] | None


@dataclass
class Asked:
    """What clients have asked a proxy for."""

    targets: list[tuple[str, int]] = field(default_factory=list)
    """Hosts as they were given, and ports."""
    heads: list[bytes] = field(default_factory=list)
    """HTTP heads, of a proxy that speaks HTTP."""
    kinds: list[str] = field(default_factory=list)
    """How a SOCKS proxy was asked: 4, 4a, 5, and the form of the address."""


def connect(host: str, port: int) -> socket.socket:
    """To the server that a client asked for."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = "localhost"
    return socket.create_connection((host, port), TIMEOUT)


def relay(peer: Wire, server: socket.socket, granted: bytes) -> None:
    """Says that it is granted, and passes bytes on, both ways, until one end closes."""
    with server, contextlib.suppress(ConnectionError):
        peer.send(granted)
        other: dict[Any, Any] = {peer.sock: server, server: peer.sock}
        while True:
            ready = [s for s in other if isinstance(s, ssl.SSLSocket) and s.pending()]
            ready = ready or select.select(list(other), [], [], TIMEOUT)[0]
            if not ready:
                raise TimeoutError("nothing to relay")
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                other[source].sendall(data)


class HTTPProxy:
    """CONNECT (RFC 9110, section 9.3.6). `answer` stands in for the answer that grants it."""

    def __init__(
        self,
        credentials: Credentials = None,
        answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
    ) -> None:
        self.asked = Asked()
        self._answer = answer
        self._expected = None
        if credentials is not None:
            self._expected = b"Basic " + base64.b64encode(":".join(credentials).encode())

    def __call__(self, peer: RawServerPeer) -> None:
        head = peer.read_head()
        method, target, version = head.split(b"\r\n")[0].split(b" ")
        assert (method, version) == (b"CONNECT", b"HTTP/1.1"), head
        assert header_field(head, b"Host") == target
        self.asked.heads.append(head)
        if header_field(head, b"Proxy-Authorization") != self._expected:
            peer.send(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.decode().rpartition(":")
        self.asked.targets.append((host, int(port)))
        try:
            server = connect(host.strip("[]"), int(port))
        except ConnectionRefusedError:
            peer.send(b"HTTP/1.1 502 connection refused\r\n\r\n")
            return
        relay(peer, server, self._answer)


class SOCKSProxy:
    """SOCKS4, 4a (no RFC), 5 (RFC 1928) with a user and password (RFC 1929)."""

    def __init__(self, credentials: Credentials = None) -> None:
        self.asked = Asked()
        self._credentials = credentials

    def __call__(self, peer: RawServerPeer) -> None:
        version = peer.read(1)[0]
        host, granted, refused = (self._five if version == 5 else self._four)(peer)
        if not host:
            return
        try:
            server = connect(host, self.asked.targets[-1][1])
        except ConnectionRefusedError:
            peer.send(refused)
            return
        relay(peer, server, granted)

    def _four(self, peer: RawServerPeer) -> tuple[str, bytes, bytes]:
        assert peer.read(1) == b"\x01"
        port = int.from_bytes(peer.read(2), "big")
        address, kind = peer.read(4), "4"
        user = self._text(peer)
        if address[:3] == bytes(3) and address[3]:
            host, kind = self._text(peer), "4a"
        else:
            host = str(ipaddress.ip_address(address))
        self._note(kind, host, port)
        if self._credentials is not None and user != self._credentials[0]:
            peer.send(b"\x00\x5d" + bytes(6))
            return "", b"", b""
        return host, b"\x00\x5a" + bytes(6), b"\x00\x5b" + bytes(6)

    def _five(self, peer: RawServerPeer) -> tuple[str, bytes, bytes]:
        methods = peer.read(peer.read(1)[0])
        wanted = 0 if self._credentials is None else 2
        if wanted not in methods:
            peer.send(b"\x05\xff")
            return "", b"", b""
        peer.send(bytes([5, wanted]))
        if self._credentials is not None:
            assert peer.read(1) == b"\x01"
            given = tuple(peer.read(peer.read(1)[0]).decode() for _ in range(2))
            peer.send(bytes([1, given != self._credentials]))
            if given != self._credentials:
                return "", b"", b""
        assert peer.read(3) == b"\x05\x01\x00"
        form = peer.read(1)[0]
        if form == 3:
            kind, host = "5 name", peer.read(peer.read(1)[0]).decode()
        else:
            kind, size = {1: ("5 IPv4", 4), 4: ("5 IPv6", 16)}[form]
            host = str(ipaddress.ip_address(peer.read(size)))
        self._note(kind, host, int.from_bytes(peer.read(2), "big"))
        bound = bytes([0, 4]) + bytes(18)
        return host, b"\x05\x00" + bound, b"\x05\x05" + bound

    def _note(self, kind: str, host: str, port: int) -> None:
        self.asked.kinds.append(kind)
        self.asked.targets.append((host, port))

    @staticmethod
    def _text(peer: RawServerPeer) -> str:
        text = b""
        while not text.endswith(b"\0"):
            text += peer.read(1)
        return text[:-1].decode()
