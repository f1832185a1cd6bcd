"""Compression by `websockets`, for both its halves."""

from typing import Any

from interop_common import Job, compression_for, deflate_idea
from websockets.asyncio.connection import Connection as AsyncioConnection
from websockets.asyncio.server import ServerConnection as AsyncioServerConnection
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.http11 import Request
from websockets.sync.connection import Connection as SyncConnection
from websockets.sync.server import ServerConnection as SyncServerConnection

AnyServerConnection = AsyncioServerConnection | SyncServerConnection


def client_compression(job: Job) -> dict[str, Any]:
    """Options for `connect`; none, that is with the library's defaults, if the job has none."""
    if job.compression is None:
        return {}
    extensions = []
    if isinstance(job.compression, dict):
        extensions.append(ClientPerMessageDeflateFactory(**job.compression))
    return {"compression": None, "extensions": extensions}


def server_compression(ws: AnyServerConnection, request: Request) -> None:
    """For `process_request`: lets each connection have options of its own."""
    compression = compression_for(request.path)
    if compression is not None:
        extensions = ws.protocol.available_extensions = []
        if isinstance(compression, dict):
            extensions.append(ServerPerMessageDeflateFactory(**compression))


def idea(ws: AsyncioConnection | SyncConnection) -> dict[str, Any] | None:
    """What `websockets` believes was agreed on."""
    for extension in ws.protocol.extensions:
        assert isinstance(extension, PerMessageDeflate)
        return deflate_idea(
            (extension.local_max_window_bits, not extension.local_no_context_takeover),
            (extension.remote_max_window_bits, not extension.remote_no_context_takeover),
        )
    return None
