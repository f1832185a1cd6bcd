"""The other end, outside of valgrind: a server that does what the path of the URL says.

    /flood?kind=text&size=32&count=1000   sends so many messages, then closes; in blocks, each of
                                          them once the one before has been read, so that every run
                                          of the other end finds the same in every read
    /sink?count=1000                      takes so many messages, then closes; but it does not begin
                                          before another connection has said READ
    /echo?count=1000                      sends so many messages back, then closes

It prints its port, and ends when its standard input does.
"""

import base64
import hashlib
import socket
import struct
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY = 1, 2
CLOSE_FRAME = b"\x88\x02\x03\xe8"
BLOCK = 1 << 16
FLOOD_BLOCK = 32 << 10

Query = dict[str, str]


def messages(sock: socket.socket) -> Callable[[], tuple[bytes, bytes]]:
    """What reads one frame of a client's after the other: its key, and its masked payload."""
    file = sock.makefile("rb", BLOCK)

    def read() -> tuple[bytes, bytes]:
        length = file.read(2)[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", file.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", file.read(8))
        return file.read(4), file.read(length)

    return read


def frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
    return bytes([0x80 | opcode]) + length + payload


def wait_until_read(sock: socket.socket) -> None:
    """Until nothing that was sent lies in the other end's queue, as the kernel tells who asks."""
    ours, theirs = (f"{port:04X}" for _, port in (sock.getsockname(), sock.getpeername()))
    while True:
        for line in Path("/proc/net/tcp").read_text().splitlines():
            _, local, remote, _, queues, *_ = line.split()
            if local.endswith(f":{ours}") and remote.endswith(f":{theirs}"):
                unsent = queues.partition(":")[0]
            elif local.endswith(f":{theirs}") and remote.endswith(f":{ours}"):
                unread = queues.partition(":")[2]
        if int(unsent, 16) == int(unread, 16) == 0:
            return
        time.sleep(0.002)  # nobody tells when that changes


class Peer:
    def __init__(self) -> None:
        self._may_read = threading.Event()
        self._plays: dict[str, Callable[[socket.socket, Query], None]] = {
            "/flood": self.flood,
            "/sink": self.sink,
            "/echo": self.echo,
        }

    def handle(self, sock: socket.socket) -> None:
        with sock:
            head = sock.recv(BLOCK)
            if head == b"READ":
                self._may_read.set()
                return
            while b"\r\n\r\n" not in head:
                head += sock.recv(BLOCK)
            target = urllib.parse.urlsplit(head.split(b" ", 2)[1].decode())
            sock.sendall(self.upgrade(head))
            self._plays[target.path](sock, dict(urllib.parse.parse_qsl(target.query)))

    def upgrade(self, head: bytes) -> bytes:
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def close(self, sock: socket.socket) -> None:
        sock.sendall(CLOSE_FRAME)
        while sock.recv(BLOCK):  # a client leaves the end of TCP to its server
            sock.shutdown(socket.SHUT_WR)

    def flood(self, sock: socket.socket, query: Query) -> None:
        opcode = TEXT if query["kind"] == "text" else BINARY
        one = frame(opcode, b"." * int(query["size"]))
        count, most = int(query["count"]), FLOOD_BLOCK // len(one)
        while count > 0:
            sock.sendall(one * min(count, most))
            count -= most
            wait_until_read(sock)
        self.close(sock)

    def sink(self, sock: socket.socket, query: Query) -> None:
        self._may_read.wait()
        self._may_read.clear()
        read = messages(sock)
        for _ in range(int(query["count"])):
            read()
        self.close(sock)

    def echo(self, sock: socket.socket, query: Query) -> None:
        read = messages(sock)
        for _ in range(int(query["count"])):
            key, payload = read()
            mask = int.from_bytes(key * (len(payload) // 4))
            plain = (int.from_bytes(payload) ^ mask).to_bytes(len(payload))
            sock.sendall(frame(BINARY, plain))
        self.close(sock)


def main() -> None:
    peer = Peer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=accept, args=(listener, peer), daemon=True).start()
        sys.stdin.read()


def accept(listener: socket.socket, peer: Peer) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=peer.handle, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
