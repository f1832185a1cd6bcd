"""A relay between the two ends that keeps what passes, and the frames in it."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from interop_process import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame(NamedTuple):
    """The header of a frame."""

    opcode: int
    fin: bool
    rsv1: bool
    size: int
    """Bytes of payload on the wire."""


class Tap:
    """Listens, and for the next connection relays to wherever `leads_to` was set."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._threads: list[threading.Thread] = []
        self._passed: dict[str, bytearray] = {}
        self.port: int = self._listener.getsockname()[1]

    def through(self, url: str) -> str:
        """The URL to connect to instead, once; whoever does is led to `url`."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        self.wait()
        self._passed = {"client": bytearray(), "server": bytearray()}
        self._start(self._accept, int(authority.rpartition(":")[2]))
        return f"{scheme}://127.0.0.1:{self.port}{slash}{path}"

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, name="interop tap", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, port: int) -> None:
        try:
            client = self._listener.accept()[0]
        except OSError:  # the test is over, and nobody has come
            return
        server = socket.create_connection(("127.0.0.1", port))
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, server:
            back = threading.Thread(target=self._copy, args=(server, client, "server"))
            back.start()
            self._copy(client, server, "client")
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket, side: str) -> None:
        kept = self._passed[side]
        with contextlib.suppress(OSError):  # one end has reset it: the other one has to hear of it
            while data := source.recv(1 << 16):
                kept += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def wait(self) -> None:
        """Waits until both ends have closed the connection."""
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "an end has not closed its connection"
        self._threads.clear()

    def close(self) -> None:
        """Ends it; the last connection is over, or never came."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes up who waits in accept
        self.wait()
        self._listener.close()

    def bytes_from(self, side: str) -> int:
        """How many bytes have passed from the "client" or the "server"."""
        return len(self._passed[side])

    def head_from(self, side: str) -> str:
        """The HTTP message."""
        return self._split(side)[0].decode()

    def extensions_from(self, side: str) -> str | None:
        """The extensions header in it."""
        for line in self.head_from(side).split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-extensions":
                return value.strip()
        return None

    def frames_from(self, side: str) -> list[Frame]:
        """The frames after it, all whole."""
        data = self._split(side)[1]
        frames = []
        at = 0
        while at < len(data):
            first, second = data[at : at + 2]
            at += 2
            size = second & 0x7F
            if size > 125:
                form = 2 if size == 126 else 8
                size = int.from_bytes(data[at : at + form], "big")
                at += form
            at += 4 * (second >> 7) + size
            frames.append(Frame(first & 0xF, bool(first & 0x80), bool(first & 0x40), size))
        assert at == len(data), "the last frame is not whole"
        return frames

    def _split(self, side: str) -> tuple[bytes, bytes]:
        head, empty_line, rest = bytes(self._passed[side]).partition(b"\r\n\r\n")
        assert empty_line, f"no HTTP message: {head!r}"
        return head, rest


def messages(frames: list[Frame]) -> list[tuple[bool, int]]:
    """Of each message, whether it was compressed, and its bytes on the wire."""
    found: list[tuple[bool, int]] = []
    for frame in frames:
        if frame.opcode in (TEXT, BINARY):
            found.append((frame.rsv1, frame.size))
        elif frame.opcode == CONTINUATION:
            assert not frame.rsv1, "only the first frame of a message may say that it is compressed"
            found[-1] = (found[-1][0], found[-1][1] + frame.size)
        else:
            assert not frame.rsv1, "control frames are never compressed"
    return found
