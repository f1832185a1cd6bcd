"""What the echo clients and the echo servers have in common."""

import contextlib
from typing import Any

from wsfast import aio
from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

OPTIONS: dict[str, Any] = {
    "read_limit": 32 * 1024 * 1024,  # the largest message has 16 MiB
    "ping_interval": None,  # the suite counts frames
    "compression": "context_takeover",
    "compression_threshold": 1,
    "compression_window_bits": 15,  # so that every combination the suite asks for is accepted
}

UVICORN_OPTIONS: dict[str, Any] = {
    "ws": "wsfast.uvicorn:WebSocketProtocol",
    "ws_max_size": OPTIONS["read_limit"],
    "ws_ping_interval": None,
    "lifespan": "off",
    "log_level": "warning",
}
"""The same for uvicorn, which has no more of them."""


def echo(connection: Connection) -> None:
    """Sends everything back until the end, however that comes."""
    with contextlib.suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)


async def echo_aio(connection: aio.Connection) -> None:
    """The same on asyncio."""
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


def send_back(connection: aio.Connection, message: str | bytes) -> None:
    """The same as a callback."""
    with contextlib.suppress(ConnectionClosed):
        connection.send_nowait(message)


async def echo_asgi(_scope: Any, receive: Any, send: Any) -> None:
    """The same as an ASGI application."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})
