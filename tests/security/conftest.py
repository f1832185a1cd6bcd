"""What tests of security policies share: names that mean what a test says, and no policy left."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import aio_bridge
import pytest
from hypothesis import settings

from wsfast import security
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect
from wsfast.threads.connection import Connection

WAIT = 10.0

# Hypothesis fails an example that takes longer than 200 ms, which says more about the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def no_policy_left() -> Iterator[None]:
    yield
    security.set_global(None)
    security.require_policy(False)


@pytest.fixture(params=["threads", "aio"])
def dial(
    request: pytest.FixtureRequest, start_server: Any
) -> Iterator[Callable[..., Connection | aio_bridge.Connection]]:
    """`dial(url, **options)`: a connection by each driver, which is closed after the test, before
    servers are."""
    connections: list[Connection | aio_bridge.Connection] = []
    loop = aio_bridge.Loop() if request.param == "aio" else None

    def open_(url: str, **options: Any) -> Connection | aio_bridge.Connection:
        connections.append(
            connect(parse_url(url), client_options(**options))
            if loop is None
            else aio_bridge.connect(loop, url, **options)
        )
        return connections[-1]

    yield open_
    for connection in connections:
        connection.finish()
        assert connection.wait_ended(WAIT)
    if loop is not None:
        loop.close()


class Names:
    """What names resolve to, `names["a.test"] = ["192.0.2.1"]`, and which have been looked up."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self._resolve = socket.getaddrinfo

    def __setitem__(self, name: str, addresses: list[str]) -> None:
        self.addresses[name] = addresses

    def getaddrinfo(self, host: str, port: int, *args: Any, flags: int = 0, **kw: Any) -> list[Any]:
        if not flags & socket.AI_NUMERICHOST:
            self.asked.append(host)
        if host not in self.addresses:
            return self._resolve(host, port, *args, flags=flags, **kw)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        if not self.addresses[host]:
            raise socket.gaierror(socket.EAI_NONAME, "nobody has that name")
        return [
            found
            for address in self.addresses[host]
            for found in self._resolve(address, port, *args, flags=flags, **kw)
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr("socket.getaddrinfo", names.getaddrinfo)
    return names


class Wire:
    """What takes the place of the Internet: every address leads to one server on this machine."""

    def __init__(self) -> None:
        self.port = 0
        self.tried: list[str] = []
        """What the system was asked to connect to, without the port."""
        self.dead: set[str] = set()
        """What refuses connections."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            code = self.connect_ex(address)
            if code:
                raise OSError(code, os.strerror(code))

        def connect_ex(self, address: Any) -> int:
            wire.tried.append(address[0])
            if address[0] in wire.dead:
                return errno.ECONNREFUSED
            loopback = "127.0.0.1" if self.family == socket.AF_INET else "::1"
            return super().connect_ex((loopback, wire.port))

    monkeypatch.setattr(socket, "socket", Socket)
    return wire
