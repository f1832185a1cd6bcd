"""A process of its own, so that its memory can be measured: our end of a connection to a bomber.

    bomb_target.py server             prints its ports, and serves
    bomb_target.py client URL         connects
    bomb_target.py aio-server         the same on asyncio
    bomb_target.py aio-client URL

With the small limit first, a few times, as what code and threads need once is not what is measured;
then with the large one. On each connection the first
message is harmless, and its answer tells that memory is measured from now on. After each end this
prints the close code, and by how many bytes the memory in RAM has grown at most.
"""

import asyncio
import contextlib
import gc
import sys
from pathlib import Path
from typing import Any

from wsfast import aio
from wsfast.protocol.errors import ProtocolError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import serve
from wsfast.threads.client import connect
from wsfast.threads.connection import Connection

SMALL, LARGE = 64 << 10, 16 << 20
LIMITS = [SMALL, SMALL, SMALL, LARGE]
OPTIONS: list[Any] = [{"compression": 1, "read_limit": limit} for limit in LIMITS]


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure() -> int:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    return status("VmRSS")


def tell(connection: Connection | aio.Connection, before: int) -> None:
    print(connection.close_code, status("VmHWM") - before, flush=True)


def take(connection: Connection) -> None:
    assert connection.receive() is not None
    before = measure()
    connection.send("ready")
    with contextlib.suppress(ProtocolError):
        sys.exit(f"received {connection.receive()!r}")
    tell(connection, before)


async def take_aio(connection: aio.Connection) -> None:
    assert await connection.receive() is not None
    before = measure()
    await connection.send("ready")
    with contextlib.suppress(ProtocolError):
        sys.exit(f"received {await connection.receive()!r}")
    tell(connection, before)


async def on_asyncio() -> None:
    if sys.argv[1] == "aio-client":
        for each in OPTIONS:
            async with aio.connect(sys.argv[2], **each) as connection:
                await take_aio(connection)
        return
    servers = [await aio.serve(take_aio, "127.0.0.1", 0, **each) for each in OPTIONS]
    print(*(server.port for server in servers), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        await server.shutdown()


def main() -> None:
    if sys.argv[1].startswith("aio"):
        asyncio.run(on_asyncio())
        return
    if sys.argv[1] == "client":
        for each in OPTIONS:
            take(connect(parse_url(sys.argv[2]), client_options(**each)))
        return
    servers = [serve(take, "127.0.0.1", 0, **each) for each in OPTIONS]
    print(*(server.port for server in servers), flush=True)
    sys.stdin.read()
    for server in servers:
        server.shutdown()


if __name__ == "__main__":
    main()
