"""From a host name and a port to the sockets that listen there."""

import contextlib
import errno
import socket
from collections.abc import Collection
from typing import TypeAlias

__all__ = ["BACKLOG", "bind", "listen", "passive"]

Addresses: TypeAlias = Collection[tuple[socket.AddressFamily, str]]

BACKLOG = 1024
"""Connections that wait to be accepted."""

PORT_TRIES = 10
"""How often the system is asked for a port that is free on every address."""


def listen(host: str | None, port: int) -> list[socket.socket]:
    """Listening sockets, non-blocking, on one TCP port; None as host means every address.

    Port 0 asks for one that is free. Blocks while a name is looked up. Raises `OSError`.
    """
    return bind(passive(host, port), host, port)


def passive(host: str | None, port: int) -> Addresses:
    """The addresses to listen on. Blocks while a name is looked up. Raises `OSError`."""
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return dict.fromkeys((family, str(address[0])) for family, _, _, _, address in infos)


def bind(addresses: Addresses, host: str | None, port: int) -> list[socket.socket]:
    """As `listen`, where the addresses of `host` are known."""
    for _ in range(PORT_TRIES):
        try:
            return _bind_all(addresses, port)
        except OSError as exc:
            if port != 0 or exc.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free on all addresses of {host}")


def _bind_all(addresses: Addresses, port: int) -> list[socket.socket]:
    """One listening socket for each address, all on one port."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            try:
                sock = socket.create_server((address, port), family=family, backlog=BACKLOG)
            except OSError as exc:
                if exc.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and len(addresses) > 1:
                    continue  # a system without IPv6 resolves names to it all the same
                raise
            stack.callback(sock.close)
            sock.setblocking(False)
            sockets.append(sock)
            port = sock.getsockname()[1]  # port 0: the others follow the first
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "none of the addresses can be listened on")
        stack.pop_all()
    return sockets
