"""TLS for clients: the default settings, and TLS inside TLS."""

import functools
import ssl
from typing import Any

from wsfast.protocol.errors import TLSError
from wsfast.threads.stream import CHUNK, PlainStream, TLSStream

__all__ = ["NestedTLSStream", "default_context", "over_tls"]


@functools.cache
def default_context(verify: bool = True) -> ssl.SSLContext:
    """Made once: reading the system's certificates takes longer than a connection."""
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False  # no longer a host name (RFC 9525, section 2)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


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
        raise TLSError(f"TLS: cannot be set up for {peer}: {exc}") from exc


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
