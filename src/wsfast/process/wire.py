"""What travels between nodes: JSON, with bytes beside it.

Nothing else does, pickle least of all: what is read makes values, never calls. A frame is one line
of JSON, ``[lengths, value]``, and after it the bytes of all bytes objects, one after the other. In
the value, an object of one key stands for what JSON has not:

    {"$bytes": 0}      the bytes object of that number
    {"$pid": "{...}"}  a PID
    {"$dict": {...}}   a dict that looks like one of these
"""

import json
import math
from typing import Any

from wsfast.process.pids import PID

__all__ = ["DEEPEST", "Malformed", "pack", "unpack"]

DEEPEST = 64
"""How many lists and dicts may lie in each other."""

_BYTES, _PID, _DICT = "$bytes", "$pid", "$dict"

_dumps = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Malformed(ValueError):
    """What has been read is no frame."""


def pack(value: Any, limit: int) -> bytes:
    """The frame of a value: None, bool, int, finite float, str, bytes-like, PID, and lists, tuples
    and dicts with str keys of these. Tuples will be lists, and what is bytes-like bytes.

    Raises:
        TypeError: there is something else in it.
        ValueError: a float that is not finite, a str that is no Unicode, a value that is nested too
            deeply (or contains itself), a frame of more than `limit` bytes.
    """
    parts: list[bytes] = []
    plain = _plain(value, parts, 0)
    head = _dumps([[len(part) for part in parts], plain]).encode()
    frame = b"".join((head, b"\n", *parts))
    if len(frame) > limit:
        raise ValueError(f"{len(frame)} bytes are more than may be sent to another node: {limit}")
    return frame


def _plain(value: Any, parts: list[bytes], depth: int) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be sent to another node")
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        parts.append(bytes(value))
        return {_BYTES: len(parts) - 1}
    if isinstance(value, PID):
        return {_PID: str(value)}
    if depth == DEEPEST:
        raise ValueError(f"more than {DEEPEST} lists and dicts in each other cannot be sent")
    if isinstance(value, list | tuple):
        return [_plain(each, parts, depth + 1) for each in value]
    if isinstance(value, dict):
        return _plain_dict(value, parts, depth)
    raise TypeError(
        "only None, bool, int, float, str, bytes, PID, list, tuple and dict can be sent to another "
        f"node, not {type(value).__name__}"
    )


def _plain_dict(value: dict[Any, Any], parts: list[bytes], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"keys of what is sent must be str, not {type(key).__name__}")
    plain = {key: _plain(each, parts, depth + 1) for key, each in value.items()}
    return {_DICT: plain} if len(plain) == 1 and next(iter(plain)).startswith("$") else plain


def unpack(frame: bytes, limit: int) -> Any:
    """The value of a frame. Raises `Malformed`."""
    if len(frame) > limit:
        raise Malformed(f"{len(frame)} bytes")
    end = frame.find(b"\n")
    try:
        head = json.loads(frame[: max(end, 0)], parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(head, list) or len(head) != 2:
        raise Malformed("no frame")
    lengths, plain = head
    return _value(plain, _cut(frame, end + 1, lengths), 0)


def _refuse(text: str) -> None:
    raise Malformed(text)


def _cut(frame: bytes, start: int, lengths: Any) -> list[bytes]:
    if not isinstance(lengths, list):
        raise Malformed("no lengths")
    parts: list[bytes] = []
    for length in lengths:
        if type(length) is not int or not 0 <= length <= len(frame) - start:
            raise Malformed("a wrong length")
        parts.append(frame[start : start + length])
        start += length
    if start != len(frame):
        raise Malformed("bytes of nothing")
    return parts


def _value(plain: Any, parts: list[bytes], depth: int) -> Any:
    if isinstance(plain, float) and not math.isfinite(plain):  # 1e999
        raise Malformed("a number too large")
    if not isinstance(plain, list | dict):
        return plain
    if depth > 2 * DEEPEST:  # each dict may be wrapped in one more
        raise Malformed("nested too deeply")
    if isinstance(plain, list):
        return [_value(each, parts, depth + 1) for each in plain]
    if len(plain) == 1:
        ((key, inner),) = plain.items()
        if key.startswith("$"):
            return _special(key, inner, parts, depth)
    return {key: _value(each, parts, depth + 1) for key, each in plain.items()}


def _special(kind: str, inner: Any, parts: list[bytes], depth: int) -> Any:
    if kind == _BYTES and type(inner) is int and 0 <= inner < len(parts):
        return parts[inner]
    if kind == _DICT and isinstance(inner, dict):
        return {name: _value(each, parts, depth + 1) for name, each in inner.items()}
    if kind == _PID and isinstance(inner, str):
        try:
            return PID.parse(inner)
        except ValueError as error:
            raise Malformed("no PID") from error
    raise Malformed(f"{kind!r:.80} means nothing")
