"""A threaded WebSocket server; see `serve`."""

from wsfast.threads.connection import Connection
from wsfast.threads.server import Handler, Server, serve

__all__ = ["Connection", "Handler", "Server", "serve"]
