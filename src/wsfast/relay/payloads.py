"""What processes send to the socket of a client: ``ws.send``, ``ws.close``, ``ws.control``."""

from collections.abc import Mapping
from typing import Any

from wsfast.process.pids import Destination
from wsfast.protocol.constants import MAX_CLOSE_REASON, check_close
from wsfast.relay.asgi import Event
from wsfast.relay.invitation import check_destination, check_topic

__all__ = ["CLOSE", "CONTROL", "SEND", "closing", "cut", "size_of", "to_send", "transfer"]

SEND = "ws.send"
CLOSE = "ws.close"
CONTROL = "ws.control"


def to_send(payload: Any) -> Event:
    """The event that sends what a ``ws.send`` asks for. `TypeError`, `ValueError` if that is wrong.

    `type` may be left out: then a str is text, bytes are binary. Otherwise `data` is brought into
    that form by UTF-8.
    """
    data = _fields(payload).get("data")
    kind = payload.get("type")
    if kind is None:
        kind = "text" if isinstance(data, str) else "binary"
    if kind == "text":
        if isinstance(data, str):
            return {"type": "websocket.send", "text": data}
        return {"type": "websocket.send", "text": _bytes(data).decode()}
    if kind == "binary":
        payload_bytes = data.encode() if isinstance(data, str) else _bytes(data)
        return {"type": "websocket.send", "bytes": payload_bytes}
    raise ValueError(f"type must be 'text' or 'binary', not {kind!r:.80}")


def closing(payload: Any) -> tuple[int, str]:
    """Code and reason of a ``ws.close``. `TypeError`, `ValueError` if these are wrong; of a reason
    that is too long, what fits is taken."""
    fields = {} if payload is None else _fields(payload)
    code, reason = fields.get("code", 1000), fields.get("reason")
    if reason is None:
        reason = ""
    elif isinstance(reason, str):
        reason = cut(reason)
    check_close(code, reason)
    return int(code), reason


def transfer(payload: Any) -> tuple[Destination, str | None]:
    """Target and topic of a ``ws.control``. `TypeError`, `ValueError` if these are wrong."""
    fields = _fields(payload)
    topic = fields.get("message_topic")
    target = check_destination(fields.get("target_pid"))
    return target, None if topic is None else check_topic(topic)


def size_of(payload: Any) -> int:
    """Of how many bytes or characters the data of a ``ws.send`` is."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if isinstance(data, memoryview):
        return data.nbytes
    return len(data) if isinstance(data, (str, bytes, bytearray)) else 0


def cut(reason: str) -> str:
    """As much of a reason as a close frame can hold."""
    return reason.encode("utf-8", "replace")[:MAX_CLOSE_REASON].decode("utf-8", "ignore")


def _fields(payload: Any) -> Mapping[str, Any]:
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise TypeError(f"the payload must be a mapping, not {type(payload).__name__}")
    return payload


def _bytes(data: Any) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")
    return bytes(data)
