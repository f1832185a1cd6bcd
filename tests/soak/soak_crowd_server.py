"""An asyncio server under test: it sends back what comes, and ends as SIGTERM asks it to.

It prints its ports for ws and wss, and at the end how that went. A client that asks for `/rest`
is told, for each message it sends, how many other connections there are.
"""

import asyncio
import ctypes
import gc
import json
import signal
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

from wsfast import aio
from wsfast.aio import Connection

_malloc_trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Gives the system what is free."""
    gc.collect()
    if _malloc_trim is not None:
        _malloc_trim(0)


class CrowdServer:
    """One server for ws and one for wss."""

    def __init__(self, certificate: str, deadline: float, options: dict[str, Any]) -> None:
        self._options = options
        self._deadline = deadline
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._servers: list[aio.Server] = []

    async def run(self) -> None:
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        for context in (None, self._context):
            serving = aio.serve(self._handle, "127.0.0.1", ssl_context=context, **self._options)
            self._servers.append(await serving)
        say(ports=[server.port for server in self._servers])
        await told.wait()
        began, connections = time.monotonic(), self._count()
        async with asyncio.TaskGroup() as group:
            for server in self._servers:
                group.create_task(server.shutdown(self._deadline))
        say(connections=connections, seconds=time.monotonic() - began)

    def _count(self) -> int:
        return sum(len(server.connections) for server in self._servers)

    async def _handle(self, connection: Connection) -> None:
        assert connection.request is not None
        rest = connection.request.path == "/rest"
        async for message in connection:
            if rest:
                give_back()
                message = str(self._count() - 1)
            await connection.send(message)


def say(**entry: Any) -> None:
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def main() -> None:
    certificate, deadline, options = sys.argv[1:]
    server = CrowdServer(certificate, float(deadline), json.loads(options))
    asyncio.run(server.run())


if __name__ == "__main__":
    main()
