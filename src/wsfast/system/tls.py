"""TLS in memory, the default settings of clients, and what to say when it fails."""

import contextlib
import functools
import ssl
import threading

from wsfast.protocol.errors import CertificateError, TLSError
from wsfast.system._cipher import Cipher

__all__ = ["TLSSession", "default_context", "describe", "handshake_failure", "setup_failure"]


class TLSSession:
    """The TLS of one connection; its bytes come from and go to whoever has it.

    `_lock` is held around every call on the `SSLObject`, by `cipher` too, and never while waiting
    for the network.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        early: bytes = b"",
    ) -> None:
        """`early` has been received already. Raises `ValueError` or `OSError` for a context that
        does not suit."""
        self._lock = threading.Lock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(early)
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.cipher = Cipher(self._lock, self._tls, self._incoming, self._outgoing)
        """Encrypts and decrypts, once the handshake is done."""

    def handshake_step(self) -> bool:
        """Goes on with the handshake as far as what has been received allows; True once it is done.
        What is to be sent for it then waits in `cipher`. Raises `OSError` if it fails."""
        try:
            with self._lock:
                self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    @property
    def has_output(self) -> bool:
        """Whether TLS itself has something to send: `cipher.encode(b"")` gives it."""
        return self._outgoing.pending > 0

    def end(self) -> bytes:
        """What to put on the wire last."""
        with self._lock:
            # It raises because the peer's own farewell has not come; ours is in the BIO.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            return self._outgoing.read()


@functools.cache
def default_context(verify: bool = True) -> ssl.SSLContext:
    """Made once: reading the system's certificates takes longer than a connection."""
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False  # no longer a host name (RFC 9525, section 2)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def setup_failure(peer: str, error: Exception) -> TLSError:
    """The error for a context that does not suit; `peer` is what the other side is called."""
    return TLSError(f"TLS: cannot be set up for {peer}: {error}")


def handshake_failure(peer: str, error: OSError) -> TLSError:
    """The error for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"TLS: the certificate of {peer} was refused: {error.verify_message}"
        return CertificateError(text)
    detail = getattr(error, "reason", None) or error.strerror or str(error)
    return TLSError(f"TLS: the handshake with {peer} failed: {detail}")


def describe(error: OSError) -> str:
    """Why a connection failed, for the end of a sentence."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return (error.strerror or str(error)).lower()
