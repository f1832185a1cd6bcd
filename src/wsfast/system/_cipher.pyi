"""What the compiled module offers. The docstrings live here, where editors and readers look."""

import ssl
import threading
from typing import Self, final

from typing_extensions import Buffer

@final
class Cipher:
    """Encrypts and decrypts. One thread may encrypt while another decrypts."""

    def __new__(
        cls,
        lock: threading.Lock,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> Self:
        """`tls` reads from `incoming` and writes to `outgoing`; all of them are used under `lock`
        only, which is never held while waiting for the network."""

    @property
    def at_end(self) -> bool:
        """Whether the peer will send nothing more, though TCP may stay open."""

    def receive(self, buffer: bytearray | memoryview) -> int | None:
        """Fills the buffer with what `feed` has got: how much, 0 at the end, or None if there is
        nothing yet. Raises `ssl.SSLError`, from then on at every call."""

    def feed(self, data: Buffer) -> None:
        """Takes ciphertext that has arrived; `b""` at the end of the stream."""

    def encode(self, data: bytes | memoryview) -> bytes:
        """The records to put on the wire for `data`, and what TLS itself has to say."""
