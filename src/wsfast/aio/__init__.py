"""WebSocket clients and servers on asyncio; see `connect` and `serve`.

Everything here belongs to one event loop and its thread. Works on asyncio's own loop, on uvloop,
and with aiofastnet's transports.
"""

from wsfast.aio.broadcast import broadcast
from wsfast.aio.client import Opening, connect
from wsfast.aio.connection import Connection
from wsfast.aio.hooks import Refusal
from wsfast.aio.server import Handler, Server, Serving, serve

__all__ = [
    "Connection",
    "Handler",
    "Opening",
    "Refusal",
    "Server",
    "Serving",
    "broadcast",
    "connect",
    "serve",
]
