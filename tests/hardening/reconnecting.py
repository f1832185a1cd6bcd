"""What the tests of reconnecting share: delays, and steps with a peer that speaks bytes."""

from typing import Any

import wsfast

SOON = {"initial": "1ms", "maximum": "5ms"}
"""Delays that nobody notices."""
NEVER = {"initial": "10h", "maximum": "20h"}
"""Delays that a test would not survive: what ends them is not the time."""


def check_works(number: int, peer: Any, text: bytes = b"still here") -> None:
    assert wsfast.send(number, text)
    assert peer.read_frame().payload == text


def accept_next(raw_listener: Any, recorder: Any) -> Any:
    """The next connection after the first loss, once its on_open has been called."""
    recorder.wait("reconnect")
    opened = len(recorder.of("open"))
    peer = raw_listener.upgrade()
    recorder.wait("open", opened + 1)
    return peer
