"""TLS for clients, also inside TLS."""

import ssl
from typing import Any

from wsfast.system.tls import setup_failure
from wsfast.threads.stream import CHUNK, PlainStream, TLSStream

__all__ = ["NestedTLSStream", "over_tls"]


def over_tls(
    stream: PlainStream, context: ssl.SSLContext, *, peer: str, name: str, early: bytes = b""
) -> TLSStream:
    """TLS over a stream that is open, or a TCP socket's; its handshake is still to come.

    `peer` is how error texts call the other side, `name` what its certificate must hold, `early`
    what has been received already. Raises `TLSError`, and then the stream is closed.
    """
    try:
        if isinstance(stream, TLSStream):
            return NestedTLSStream(stream, context, peer=peer, server_hostname=name, early=early)
        return TLSStream(stream.sock, context, peer=peer, server_hostname=name, early=early)
    except (ValueError, OSError) as exc:
        stream.close()
        raise setup_failure(peer, exc) from exc


class NestedTLSStream(TLSStream):
    """TLS with a server inside the TLS with an https proxy.

    What is encoded here is encoded again by the outer stream, in the same order: there is one
    writer at a time. The two locks are never held together.
    """

    def __init__(self, outer: TLSStream, context: ssl.SSLContext, **details: Any) -> None:
        super().__init__(outer.sock, context, **details)
        self._outer = outer

    @property
    def cipher(self) -> None:
        return None

    def _receive_raw(self, deadline: float | None) -> bytes:
        buffer = bytearray(CHUNK)
        size = self._outer.receive_into(buffer, deadline)
        return bytes(memoryview(buffer)[:size])

    @property
    def has_output(self) -> bool:
        return super().has_output or self._outer.has_output

    def encode(self, data: bytes | memoryview) -> bytes:
        return self._outer.encode(super().encode(data))

    def end(self) -> bytes:
        return self._outer.encode(super().end()) + self._outer.end()
