"""Throw-away certificates, for servers that are only reached from the same machine.

Needs trustme, which the extra `cli` brings: Python's own `ssl` cannot make certificates.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

__all__ = ["LOCAL_NAMES", "MissingExtra", "ThrowAway", "trusting"]

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

_VALID = timedelta(days=1)


class MissingExtra(Exception):
    """A package that only an extra brings is not installed. The text says how to get it."""


@dataclass(frozen=True, slots=True)
class ThrowAway:
    """A certificate for one run, issued by an authority that has already lost its key."""

    server_context: ssl.SSLContext
    """For the server. Its key is in memory only."""
    authority_pem: bytes
    """The certificate of the authority: what clients must trust, for this run."""

    @classmethod
    def issue(cls, *names: str) -> Self:
        """A certificate for host names and IP addresses, valid for a day.

        Raises `MissingExtra`.
        """
        try:
            import trustme
        except ImportError:
            raise MissingExtra(
                "a certificate cannot be made without the package trustme;"
                " install it by: pip install 'wsfast[cli]'"
            ) from None
        authority = trustme.CA()
        leaf = authority.issue_cert(*names, not_after=datetime.now(UTC) + _VALID)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # `ssl` loads keys from files only: this one is readable by its owner alone (0600) and is
        # gone when the call returns.
        leaf.configure_cert(context)
        return cls(context, authority.cert_pem.bytes())


def trusting(authority_pem: bytes) -> ssl.SSLContext:
    """For clients: trusts this authority and no other, and verifies host names."""
    return ssl.create_default_context(cadata=authority_pem.decode("ascii"))
