"""What the echo client and the echo server have in common."""

import contextlib
from typing import Any

from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection

OPTIONS: dict[str, Any] = {
    "read_limit": 32 * 1024 * 1024,  # the largest message has 16 MiB
    "ping_interval": None,  # the suite counts frames
    "compression": "context_takeover",
    "compression_threshold": 1,
    "compression_window_bits": 15,  # so that every combination the suite asks for is accepted
}


def echo(connection: Connection) -> None:
    """Sends everything back until the end, however that comes."""
    with contextlib.suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)
