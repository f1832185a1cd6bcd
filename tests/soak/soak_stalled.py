"""Clients that stand still: some say nothing, the others send without end and never read."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from raw_peers import TEXT, RawClientPeer, frame

BUFFER = 16 * 1024
"""Bytes that the system keeps for a client in each direction, about."""

KEY = b"stal"


@contextlib.asynccontextmanager
async def stalled_clients(port: int, count: int) -> AsyncIterator[None]:
    """So many of them, half of each kind, once nothing moves any more."""
    sent = 0
    message = frame(TEXT, b"x" * 1000, key=KEY) * 10

    async def flood(sock: socket.socket) -> None:
        nonlocal sent
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(sock, message)
            sent += len(message)

    with contextlib.ExitStack() as stack:
        tasks = []
        for number in range(count):
            sock = stack.enter_context(await asyncio.to_thread(_connect, port))
            if number % 2:
                tasks.append(asyncio.ensure_future(flood(sock)))
        try:
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.5)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _connect(port: int) -> socket.socket:
    sock = socket.socket()
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)
    sock.connect(("127.0.0.1", port))
    RawClientPeer(sock).open()
    sock.setblocking(False)
    return sock
