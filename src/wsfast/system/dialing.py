"""What all who open TCP connections share: the order of the attempts, and what to say at the end
(RFC 8305)."""

import socket
from collections.abc import Sequence
from itertools import chain, zip_longest

from wsfast.protocol.errors import ConnectError, ConnectTimeout
from wsfast.system.lookup import Address, getaddrinfo

__all__ = ["ATTEMPT_DELAY", "interleave", "lookup_failure", "numeric", "out_of_time", "tcp_failure"]

ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried beside the ones in progress (RFC 8305, section 5)."""


def numeric(host: str, port: int) -> list[Address] | None:
    """The address of a host that is written as a number; None for a name."""
    try:
        return getaddrinfo(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return None


def interleave(addresses: list[Address]) -> list[Address]:
    """Alternates between the address families, the system's favourite first (RFC 8305, 4)."""
    first = [a for a in addresses if a[0] == addresses[0][0]]
    others = [a for a in addresses if a[0] != addresses[0][0]]
    return [a for a in chain.from_iterable(zip_longest(first, others)) if a is not None]


def out_of_time(what: str) -> ConnectTimeout:
    """The error for an opening whose deadline came while it was doing `what`."""
    return ConnectTimeout(f"timeout: {what} not finished within dial_timeout")


def lookup_failure(host: str, error: BaseException) -> ConnectError:
    """The error for a name that has no address."""
    return ConnectError(f"cannot find the address of {host}: {error}")


def tcp_failure(where: str, errors: Sequence[OSError]) -> ConnectError:
    """One sentence for all that was tried; the words are those programs look for."""
    if all(isinstance(exc, ConnectionRefusedError) for exc in errors):
        return ConnectError(f"connection refused by {where}")
    if all(isinstance(exc, TimeoutError) for exc in errors):
        return ConnectTimeout(f"timeout: {where} does not answer")
    texts = dict.fromkeys((exc.strerror or str(exc)).lower() for exc in errors)
    return ConnectError(f"cannot connect to {where}: {'; '.join(texts)}")
