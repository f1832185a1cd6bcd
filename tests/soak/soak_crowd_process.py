"""The server of the crowds, seen from outside."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from soak_figures import Figures, figures
from soak_processes import ALLOCATOR, PATIENCE, Certificates

from wsfast import aio
from wsfast.aio import Connection

DEADLINE = 30.0
"""Seconds that a server has, once told to end."""

TICKS = os.sysconf("SC_CLK_TCK")

AT_ONCE = 100
"""Connections to open at a time."""


class Crowd:
    """Runs `soak_crowd_server.py`, and connects to it."""

    def __init__(self, certificates: Certificates, **options: Any) -> None:
        """`options` are the server's."""
        self._context: ssl.SSLContext = certificates.client
        self._options = {"max_connections": 100_000} | options
        self._certificate = certificates.certificate

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            Path(__file__).with_name("soak_crowd_server.py"),
            self._certificate,
            str(DEADLINE),
            json.dumps(self._options),
            stdout=subprocess.PIPE,
            env=os.environ | ALLOCATOR,
        )
        self._ports = (await self._line())["ports"]
        self._control = await aio.connect(self.url(path="rest"))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._control.abort()

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(await self._process.stdout.readline()))

    def url(self, *, secure: bool = False, path: str = "") -> str:
        scheme, port = ("wss", self._ports[1]) if secure else ("ws", self._ports[0])
        return f"{scheme}://127.0.0.1:{port}/{path}"

    @property
    def port(self) -> int:
        """For ws."""
        return int(self._ports[0])

    @property
    def figures(self) -> Figures:
        """What the server uses now."""
        return figures(self._process.pid)

    @property
    def cpu(self) -> float:
        """Seconds that the server has had."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICKS

    async def count(self) -> int:
        """The server's connections; it gives back what is free."""
        await self._control.send("how many?")
        return int(await self._control.receive())

    async def rest(self, connections: int = 0) -> None:
        """Waits until the server has so many connections."""
        async with asyncio.timeout(PATIENCE):
            while await self.count() != connections:
                await asyncio.sleep(0.01)

    async def open(self, count: int, secure_every: int = 0, **options: Any) -> list[Connection]:
        """So many connections; one in `secure_every` of them through TLS."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> Connection:
            secure = secure_every > 0 and number % secure_every == 0
            async with places:
                return await aio.connect(
                    self.url(secure=secure),
                    ssl_context=self._context if secure else None,
                    proxy=None,
                    **options,
                )

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(count)]
        return [task.result() for task in tasks]

    def tell_to_end(self) -> None:
        """Sends SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> dict[str, Any]:
        """Waits for the end; what the server says about it."""
        async with asyncio.timeout(DEADLINE + PATIENCE):
            said = await self._line()
            assert await self._process.wait() == 0
        return said
