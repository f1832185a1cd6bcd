"""Frames to messages and back (RFC 6455, section 5), without I/O and without a clock.

A `Decoder` turns received bytes into messages, an `Outbox` turns messages into bytes to send. Both
know frames and nothing of connections: handshakes, pongs and the order of closing are
`wsfast.protocol`'s.
"""

from ._codec import (
    Close,
    Compressed,
    Decoder,
    Failure,
    Outbox,
    Piece,
    Ping,
    Pong,
    apply_mask,
    apply_mask_in_place,
    implementation,
    implementations,
)

__all__ = [
    "Close",
    "Compressed",
    "Decoder",
    "Failure",
    "Outbox",
    "Piece",
    "Ping",
    "Pong",
    "apply_mask",
    "apply_mask_in_place",
    "implementation",
    "implementations",
]
