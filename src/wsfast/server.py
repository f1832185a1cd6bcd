"""A threaded WebSocket server; see `serve`."""

from wsfast.threads.connection import Connection
from wsfast.threads.message_stream import MessageStream
from wsfast.threads.server import Handler, Server, serve

__all__ = ["Connection", "Handler", "MessageStream", "Server", "serve"]
