"""A WebSocket protocol for uvicorn: `uvicorn --ws wsfast.uvicorn:WebSocketProtocol app:app`."""

from wsfast.uvicorn.protocol import WebSocketProtocol

__all__ = ["WebSocketProtocol"]
