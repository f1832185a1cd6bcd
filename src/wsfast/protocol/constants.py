"""Numbers of RFC 6455 and of the ID API, and the check of what an application may close with."""

from enum import IntEnum

MAX_CLOSE_REASON = 123
"""Bytes of UTF-8 that fit beside the code in a close frame (RFC 6455, section 5.5)."""


class Opcode(IntEnum):
    """Frame opcodes (RFC 6455, section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Close codes: RFC 6455, section 7.4.1, the IANA registry, and the names of seed 002."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    RESERVED = 1004
    NO_STATUS = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


class State(IntEnum):
    """States of a connection, numbered as in seed 004."""

    DISCONNECTED = 0
    CONNECTING = 1
    CONNECTED = 2
    CLOSING = 3
    ERROR = 4

    @property
    def label(self) -> str:
        """The name that `get_state` returns, such as ``"connected"``."""
        return self.name.lower()


class Compression(IntEnum):
    """What `compression=` may be, numbered as in seed 001 (permessage-deflate, RFC 7692)."""

    DISABLED = 0
    """Neither offered nor accepted."""
    CONTEXT_TAKEOVER = 1
    """Each message is compressed with what the ones before it held: smallest, but both ends keep
    state between messages."""
    NO_CONTEXT = 2
    """Each message is compressed by itself; no state is kept between messages."""


_NEVER_SENT = frozenset(
    {
        CloseCode.RESERVED,
        CloseCode.NO_STATUS,
        CloseCode.ABNORMAL_CLOSURE,
        CloseCode.TLS_HANDSHAKE,
    }
)
_UNASSIGNED = range(1016, 3000)


def check_close(code: int, reason: str) -> bytes:
    """Check a close code and reason that the application wants to send.

    Codes are those of RFC 6455, section 7.4: 1000 to 4999, without 1004, 1005, 1006 and 1015,
    which never stand in a frame, and without 1016 to 2999, which nobody has assigned yet.

    Returns the reason in UTF-8.

    Raises:
        TypeError: the code is no int (a bool is none), or the reason no str.
        ValueError: the code may not be sent, the reason is longer than 123 bytes of UTF-8, or it
            holds a lone surrogate and so has no UTF-8 form.
    """
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"close code must be an int, not {type(code).__name__}")
    if not isinstance(reason, str):
        raise TypeError(f"close reason must be a str, not {type(reason).__name__}")
    if not 1000 <= code <= 4999:
        raise ValueError("close code must be between 1000 and 4999")
    if code in _NEVER_SENT:
        raise ValueError(f"close code {code:d} is reserved and never sent in a close frame")
    if code in _UNASSIGNED:
        raise ValueError(f"close code {code:d} is not assigned")
    try:
        encoded = reason.encode()
    except UnicodeEncodeError:
        raise ValueError("close reason holds a lone surrogate, which UTF-8 cannot encode") from None
    if len(encoded) > MAX_CLOSE_REASON:
        raise ValueError(
            f"close reason is {len(encoded)} bytes of UTF-8; {MAX_CLOSE_REASON} is the most"
        )
    return encoded
