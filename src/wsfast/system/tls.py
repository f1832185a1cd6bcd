"""TLS: the default settings of clients, and what to say when it fails."""

import functools
import ssl

from wsfast.protocol.errors import CertificateError, TLSError

__all__ = ["default_context", "describe", "handshake_failure", "setup_failure"]


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
