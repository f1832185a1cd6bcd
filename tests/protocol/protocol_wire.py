"""The other end of the wire, byte by byte: HTTP heads and frames. Shares no code with the package.

`Driven` is a connection that is open, together with what its peer says to it and hears from it.
"""

import base64
import hashlib
import re
from typing import NamedTuple

from wsfast.protocol.connection import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.options import client_options, server_options
from wsfast.protocol.url import parse_url

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 0x40  # beside an opcode: the message is compressed
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = bytes.fromhex("37fa213d")

Fields = dict[str, str | None]


class Frame(NamedTuple):
    opcode: int
    payload: bytes


# ------------------------------------------------------------------ HTTP


def head(line: str, fields: Fields, *more: str) -> bytes:
    """A start line, fields (None leaves one out) and further lines as they are."""
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def request(*more: str, line: str = "GET /chat HTTP/1.1", **changed: str | None) -> bytes:
    """A good request; names of changed fields have underscores for hyphens."""
    fields: Fields = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    return head(line, fields | _named(changed), *more)


def answer(
    asked: bytes, *more: str, line: str = "HTTP/1.1 101 Switching Protocols", **changed: str | None
) -> bytes:
    """A good answer to a request."""
    fields: Fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_for(key_of(asked)),
    }
    return head(line, fields | _named(changed), *more)


def _named(changed: Fields) -> Fields:
    return {name.replace("_", "-"): value for name, value in changed.items()}


def key_of(asked: bytes) -> str:
    (key,) = re.findall(rb"\r\nSec-WebSocket-Key: ([^\r]*)\r\n", asked)
    return str(key, "ascii")


def accept_for(key: str) -> str:
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()


def read_head(data: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """The start line, the fields in order, and what follows the head."""
    text, end, rest = data.partition(b"\r\n\r\n")
    assert end, data
    line, *fields = text.decode("latin-1").split("\r\n")
    pairs = [tuple(field.split(": ", 1)) for field in fields]
    return line, [(name, value) for name, value in pairs], rest


# ------------------------------------------------------------------ frames


def frame(opcode: int, payload: bytes = b"", *, masked: bool, fin: bool = True) -> bytes:
    size = len(payload)
    if size < 126:
        start = bytes([fin << 7 | opcode, masked << 7 | size])
    else:
        form = 2 if size < 65536 else 8
        field = masked << 7 | (126 if form == 2 else 127)
        start = bytes([fin << 7 | opcode, field]) + size.to_bytes(form, "big")
    return start + MASK + _mask(payload, MASK) if masked else start + payload


def close_payload(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


def read_frames(data: bytes, *, masked: bool) -> list[Frame]:
    """All frames, which must be whole, unfragmented, and masked or not."""
    frames, rest = read_whole_frames(data, masked=masked)
    assert rest == b""
    return frames


def read_whole_frames(data: bytes, *, masked: bool) -> tuple[list[Frame], bytes]:
    """The frames that are whole, and the part of one that follows."""
    frames: list[Frame] = []
    while len(data) >= 2:
        assert data[0] & 0xF0 & ~RSV1 == 0x80, data
        assert data[1] >> 7 == masked, data
        size, at = data[1] & 0x7F, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        key = data[at : at + 4] if masked else bytes(4)
        at += 4 * masked
        if len(data) < at + size:
            break
        frames.append(Frame(data[0] & (0x0F | RSV1), _mask(data[at : at + size], key)))
        data = data[at + size :]
    return frames, data


def _mask(data: bytes, key: bytes) -> bytes:
    repeated = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(
        len(data), "big"
    )


# ------------------------------------------------------------------ connections


class Watched(Connection):
    """Keeps all states that it has been in."""

    @property
    def state(self) -> State:
        return self.states[-1]

    @state.setter
    def state(self, state: State) -> None:
        self.__dict__.setdefault("states", []).append(state)


def new_client(now: float = 0.0, url: str = "ws://example.com/chat", **options) -> Watched:
    return Watched.client(parse_url(url), client_options(**options), now)


def new_server(now: float = 0.0, **options) -> Watched:
    return Watched.server(server_options(**options), now)


def new(role: str, now: float = 0.0, **options) -> Watched:
    return (new_server if role == "server" else new_client)(now, **options)


class Driven:
    """An open connection of one role, and its peer. There is no keepalive unless asked for.

    `extension` is what the peer says in Sec-WebSocket-Extensions.
    """

    def __init__(
        self, role: str, now: float = 0.0, *, extension: str | None = None, **options
    ) -> None:
        self.server = role == "server"
        self.connection = new(role, now, **{"ping_interval": None} | options)
        if self.server:
            assert self.connection.feed(request(Sec_WebSocket_Extensions=extension), now) == ()
            assert self.connection.accept(now) == ()
            assert self.connection.data_to_send().endswith(b"\r\n\r\n")
        else:
            asked = self.connection.data_to_send()
            upgrade = answer(asked, Sec_WebSocket_Extensions=extension)
            assert self.connection.feed(upgrade, now) == ()
        assert self.connection.state is State.CONNECTED

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
        return frame(opcode, payload, masked=self.server, fin=fin)

    def close_frame(self, code: int, reason: str = "") -> bytes:
        return self.frame(CLOSE, close_payload(code, reason))

    def hears(self, *frames: bytes, now: float = 0.0) -> list[str | bytes]:
        return list(self.connection.feed(b"".join(frames), now))

    def says(self) -> list[Frame]:
        """What it has to send now."""
        return read_frames(self.connection.data_to_send(), masked=not self.server)
