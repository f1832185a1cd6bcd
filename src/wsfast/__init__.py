"""WebSocket for Python with a C hot path.

The functions of this module are the ID API: connections as plain integers, with callbacks from
background threads (see `wsfast.api`). Other faces: `wsfast.server` (a threaded server),
`wsfast.codec` (frames to messages and back, without I/O).
"""

from wsfast._version import __version__
from wsfast.api import (
    ConnectionInfo,
    close,
    connect,
    current,
    disconnect_all,
    get_messages,
    get_messages_json,
    get_state,
    get_url,
    is_connected,
    send,
)

# Not in __all__: a star import should not take the built-in list away.
from wsfast.api import list as list
from wsfast.protocol.constants import CloseCode, Compression, State
from wsfast.protocol.errors import InvalidOption, InvalidURL, WebSocketError
from wsfast.protocol.reconnect import Reconnect

COMPRESSION = Compression
"""The name of seed 001."""

__all__ = [
    "COMPRESSION",
    "CloseCode",
    "Compression",
    "ConnectionInfo",
    "InvalidOption",
    "InvalidURL",
    "Reconnect",
    "State",
    "WebSocketError",
    "__version__",
    "close",
    "connect",
    "current",
    "disconnect_all",
    "get_messages",
    "get_messages_json",
    "get_state",
    "get_url",
    "is_connected",
    "send",
]
