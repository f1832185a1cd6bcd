"""The bytes of one connection, in the clear or through TLS.

A stream has one reader and one writer at a time, which may be different threads; who that is, is
the connection's business. `abort` may be called by anyone at any time and wakes both. `close` frees
the descriptor and is for when neither is inside.
"""

import contextlib
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Protocol

from wsfast.protocol.errors import ConnectTimeout
from wsfast.system._cipher import Cipher
from wsfast.system.tls import TLSSession, handshake_failure
from wsfast.threads.dial import remaining

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["PlainStream", "Stream", "TLSStream"]

CHUNK = 64 * 1024
"""Bytes of ciphertext to receive at once."""

_CAN_SEND_NOW = hasattr(socket, "MSG_DONTWAIT")
# Plain ints: joining two members of an enum for each send costs as much as framing a message.
_SEND_NOW = int(getattr(socket, "MSG_DONTWAIT", 0)) | int(getattr(socket, "MSG_NOSIGNAL", 0))


class Stream(Protocol):
    """What a connection needs of its transport."""

    sock: socket.socket
    encodes: bool
    """Whether `encode` does anything, and must be asked."""

    @property
    def cipher(self) -> Cipher | None:
        """What decrypts that which is received from `sock`, if nothing else is to be done."""

    def open(self, deadline: float | None) -> None:
        """Makes it ready for use. Raises `ConnectError` or a subclass."""

    def receive_into(self, buffer: "bytearray | memoryview", deadline: float | None = None) -> int:
        """Waits for bytes and returns how many; 0 at the end. Raises `OSError`, `TimeoutError`."""

    def encode(self, data: "bytes | memoryview") -> bytes:
        """What to put on the wire for `data`; with `b""`, what the transport itself has to say."""

    def end(self) -> bytes:
        """What to put on the wire last."""

    @property
    def has_output(self) -> bool:
        """Whether `encode(b"")` would return something."""

    def send_now(self, wire: "Buffer") -> int:
        """Sends what can be sent without waiting; returns how much. Raises `OSError`."""

    def wait_writable(self) -> None:
        """Waits until `send_now` can send, or the stream is broken or aborted."""

    def readable(self) -> bool:
        """Whether bytes have arrived that nobody has received."""

    def half_close(self) -> None:
        """Tells the peer that nothing more will come."""

    def abort(self) -> None:
        """Ends the connection for both sides and wakes reader and writer."""

    def close(self) -> None:
        """Frees the descriptor."""


def _wait(sock: socket.socket, *, write: bool, timeout: float | None) -> bool:
    """Waits until a socket is ready, broken, or shut down; False if the time is up."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))
    ready = select.select([] if write else [sock], [sock] if write else [], [sock], timeout)
    return any(ready)


class PlainStream:
    """A TCP socket."""

    encodes = False

    @property
    def cipher(self) -> Cipher | None:
        return None

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def open(self, deadline: float | None) -> None:
        pass

    @property
    def has_output(self) -> bool:
        return False

    def receive_into(self, buffer: "bytearray | memoryview", deadline: float | None = None) -> int:
        self.wait_readable(deadline)
        return self.sock.recv_into(buffer)

    def wait_readable(self, deadline: float | None) -> None:
        """Waits until there is something to receive; raises `TimeoutError` at the deadline."""
        if deadline is not None and not _wait(
            self.sock, write=False, timeout=deadline - time.monotonic()
        ):
            raise TimeoutError("timeout")

    def encode(self, data: "bytes | memoryview") -> bytes:
        return bytes(data)

    def end(self) -> bytes:
        return b""

    def send_now(self, wire: "Buffer") -> int:
        try:
            if _CAN_SEND_NOW:
                return self.sock.send(wire, _SEND_NOW)
            # Without the flag a send of what surely fits comes closest.
            if not _wait(self.sock, write=True, timeout=0):
                return 0
            return self.sock.send(memoryview(wire)[:8192])
        except BlockingIOError:
            return 0

    def wait_writable(self) -> None:
        _wait(self.sock, write=True, timeout=None)

    def send_all(self, data: bytes, what: str, deadline: float | None) -> None:
        """While nobody else writes: sends `data`, and what the transport itself has to say.

        Raises `OSError`; `ConnectTimeout` naming `what` at the deadline.
        """
        wire = memoryview(self.encode(data))
        while wire:
            if not _wait(self.sock, write=True, timeout=remaining(deadline, what)):
                continue  # remaining() raises
            wire = wire[self.send_now(wire) :]

    def readable(self) -> bool:
        return _wait(self.sock, write=False, timeout=0)

    def half_close(self) -> None:
        self._shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        self._shutdown(socket.SHUT_RDWR)

    def _shutdown(self, how: int) -> None:
        # Not connected any more? Then whoever waits has been woken already.
        with contextlib.suppress(OSError):
            self.sock.shutdown(how)

    def close(self) -> None:
        self.sock.close()


class TLSStream(PlainStream):
    """TLS over a TCP socket."""

    encodes = True

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        peer: str,
        server_side: bool = False,
        server_hostname: str | None = None,
        early: bytes = b"",
    ) -> None:
        """`peer` is how error texts call the other side; `early` has been received already."""
        super().__init__(sock)
        self._peer = peer
        self._session = TLSSession(
            context, server_side=server_side, server_hostname=server_hostname, early=early
        )
        self._cipher = self._session.cipher

    def open(self, deadline: float | None) -> None:
        what = f"the TLS handshake with {self._peer}"
        try:
            while not self._session.handshake_step():
                self.send_all(b"", what, deadline)
                remaining(deadline, what)  # there may be something to read without end
                self._receive_ciphertext(deadline)
            self.send_all(b"", what, deadline)
        except ConnectTimeout:
            raise
        except TimeoutError as exc:
            raise ConnectTimeout(f"timeout: {what} not finished within dial_timeout") from exc
        except OSError as exc:
            self._send_alert()
            raise handshake_failure(self._peer, exc) from exc

    def _send_alert(self) -> None:
        """Lets the peer know why, if it still listens; nobody here depends on it."""
        with contextlib.suppress(OSError):
            self.send_now(self.encode(b""))

    @property
    def cipher(self) -> Cipher | None:
        """For who receives from the socket itself; None if that would not be ciphertext of ours."""
        return self._cipher

    def _receive_ciphertext(self, deadline: float | None) -> None:
        """Waits for more from below, which may be its end."""
        self._cipher.feed(self._receive_raw(deadline))

    def _receive_raw(self, deadline: float | None) -> bytes:
        self.wait_readable(deadline)
        return self.sock.recv(CHUNK)

    def receive_into(self, buffer: "bytearray | memoryview", deadline: float | None = None) -> int:
        size = self._cipher.receive(buffer)
        while size is None:
            self._receive_ciphertext(deadline)
            size = self._cipher.receive(buffer)
            # Records that hold no data for us may come without end.
            if size is None and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError("timeout")
        return size

    @property
    def has_output(self) -> bool:
        return self._session.has_output

    def encode(self, data: "bytes | memoryview") -> bytes:
        return self._cipher.encode(data)

    def end(self) -> bytes:
        return self._session.end()
