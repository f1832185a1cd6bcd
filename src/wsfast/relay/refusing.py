"""Answering a WebSocket's opening request by an HTTP response in place of an upgrade."""

from http import HTTPStatus

from wsfast.relay.asgi import Pairs, Scope, Send

__all__ = ["refuse", "respond"]

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_STATUSES = range(200, 600)


async def respond(scope: Scope, send: Send, status: int, headers: Pairs, body: bytes) -> None:
    """Sends a response, where the server can do so for a WebSocket; 403 where it cannot."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    kept = [(name, value) for name, value in headers if name not in _HOP_BY_HOP]
    if status not in _STATUSES:
        status = 500
    await send({"type": "websocket.http.response.start", "status": status, "headers": kept})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


async def refuse(scope: Scope, send: Send, status: int) -> None:
    """Sends a response of our own."""
    body = f"{status} {HTTPStatus(status).phrase}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await respond(scope, send, status, headers, body)
