"""The connection without I/O, in any role, under frames good and bad, calls in any order, and time.

Two connections are driven alike, but for where what they hear is cut: they must do the same.
"""

import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise

from choices import Choices
from protocol_wire import CLOSE, RSV1, Driven, Frame, Watched, frame, read_frames

from wsfast.codec import Ping, Pong
from wsfast.protocol.constants import State
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.parts import join
from wsfast.protocol.receiving import Part

LIMIT = 1000
STEPS = {
    (State.CONNECTED, State.CLOSING),
    (State.CONNECTED, State.ERROR),
    (State.CLOSING, State.DISCONNECTED),
    (State.CLOSING, State.ERROR),
}
CODES = [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999]


class End:
    """A connection, and all that it has done."""

    def __init__(self, role: str, options: dict[str, object], extension: str | None) -> None:
        driven = Driven(role, extension=extension, **options)
        self.connection: Watched = driven.connection
        self.server = driven.server
        self.streaming = bool(options["streaming"])
        self.messages: list[str | bytes | Ping | Pong] = []
        self._parts: list[Part] = []  # of a message that has not come to its end
        self.frames: list[Frame] = []
        self.outcomes: list[object] = []

    def hear(self, data: bytes, now: float) -> None:
        """All that comes of it; messages in parts are joined, as they are cut like the bytes."""
        connection = self.connection
        for item in [*connection.feed(data, now), *self._held_back(now)]:
            if not isinstance(item, Part):
                self.messages.append(item)
                continue
            self._parts.append(item)
            if not item.more:
                self.messages.append(join(self._parts, text=isinstance(item.data, str)))
                self._parts = []

    def _held_back(self, now: float) -> Iterator[object]:
        while self.connection.held_back:
            yield from self.connection.resume(now)

    def call(self, function: Callable[[], object]) -> None:
        try:
            self.outcomes.append(function())
        except (WebSocketError, ValueError) as error:
            self.outcomes.append((type(error), str(error)))

    def flush(self) -> None:
        while data := self.connection.data_to_send():
            self.frames += read_frames(data, masked=not self.server)

    def check(self) -> None:
        connection = self.connection
        states = connection.states[1:]  # without that of the opening
        assert all(step in STEPS for step in pairwise(states)), states
        closes = [at for at, sent in enumerate(self.frames) if sent.opcode == CLOSE]
        assert closes in ([], [len(self.frames) - 1]), "nothing follows a close frame"
        for message in self.messages:
            if isinstance(message, str | bytes) and not self.streaming:
                size = len(message.encode()) if isinstance(message, str) else len(message)
                assert size <= LIMIT
        if connection.finished:
            assert connection.close_code is not None
            assert connection.deadline is None
            assert (connection.error is None) == (connection.state is State.DISCONNECTED)


def one_input(data: bytes) -> None:
    """What a fuzzer calls with anything at all."""
    choices = Choices(data)
    first = choices.number(7)
    role = ["client", "server"][first & 1]
    mode = choices.number(2)
    options: dict[str, object] = {
        "read_limit": LIMIT,
        "max_fragments": 10,
        "streaming": first & 2 > 0,
        "control_messages": first & 4 > 0,
        "compression": mode,
        "compression_threshold": 1,
        "compression_window_bits": 15,
        "ping_interval": "5s",
        "pong_timeout": "3s",
        "read_timeout": "20s",
    }
    extension = "permessage-deflate" if mode else None
    ends = [End(role, options, extension), End(role, options, extension)]
    cut = 1 + choices.number(20)
    compressor = zlib.compressobj(wbits=-15)
    now = 0.0
    while choices:
        now = step(choices, ends, cut, compressor, now)
        for end in ends:
            end.check()
    finish(ends, now)


def step(choices: Choices, ends: list[End], cut: int, compressor: object, now: float) -> float:
    kind = choices.number(9)
    if kind == 0:
        hear(ends, choices.some_bytes(), cut, now)
    elif kind in (1, 2, 3):
        hear(ends, made_frame(choices, compressor, masked=ends[0].server), cut, now)
    elif kind == 4:
        payload = choices.some_bytes()
        message = payload if choices.number(1) else payload.decode("latin-1")
        for end in ends:
            end.call(lambda end=end: end.connection.send(message))
    elif kind == 5:
        payload = choices.some_bytes()
        for end in ends:
            end.call(lambda end=end: end.connection.ping(payload, now))
    elif kind == 6:
        code, reason = CODES[choices.number(len(CODES) - 1)], choices.some_bytes().decode("latin-1")
        for end in ends:
            end.call(lambda end=end: end.connection.close(code, reason, now))
    elif kind == 7:
        now += choices.number(60) / 4
        reading = choices.number(1) == 0
        for end in ends:
            end.connection.tick(now, reading=reading)
    elif kind == 8:
        for end in ends:
            end.connection.settle(now)
            end.flush()
    else:
        how = choices.number(2)
        for end in ends:
            if how == 0:
                end.connection.eof(now)
            elif how == 1:
                end.connection.lost("reset", now)
            else:
                end.connection.abandon(WebSocketError("given up"))
    return now


def made_frame(choices: Choices, compressor: object, *, masked: bool) -> bytes:
    """A frame that is more often good than not; some are compressed as they should be."""
    opcode = [0, 1, 2, 8, 9, 10, RSV1 | 1, RSV1 | 2, 3, 0x20][choices.number(9)]
    payload = choices.some_bytes()
    fin = choices.number(3) > 0
    if opcode == CLOSE and payload:
        payload = CODES[payload[0] % len(CODES)].to_bytes(2, "big") + payload[1:100]
    if opcode & RSV1 and choices.number(3):
        payload = compressor.compress(payload * 4) + compressor.flush(zlib.Z_SYNC_FLUSH)
        payload = payload[:-4]
    return frame(opcode, payload, masked=masked, fin=fin)


def hear(ends: list[End], data: bytes, cut: int, now: float) -> None:
    whole, pieces = ends
    whole.hear(data, now)
    for at in range(0, len(data), cut):
        pieces.hear(data[at : at + cut], now)


def finish(ends: list[End], now: float) -> None:
    """Time alone brings every connection to its end, and both to the same."""
    for end in ends:
        for _ in range(20):
            deadline = end.connection.deadline
            if deadline is None:
                break
            end.connection.tick(max(now, deadline))
            end.flush()
        assert end.connection.finished
        end.check()
    whole, pieces = ends
    assert whole.messages == pieces.messages
    assert story(whole) == story(pieces)


def story(end: End) -> str:
    """What has become of it."""
    connection = end.connection
    told = repr(
        (
            end.outcomes,
            connection.states,
            connection.close_code,
            connection.close_reason,
            connection.error,
            without_ping_data(end.frames),
        )
    )
    if end.streaming:  # what is wrong with it first depends on how much is inflated at once
        return told.replace("compressed message cannot be inflated", "text is not UTF-8")
    return told


def without_ping_data(frames: list[Frame]) -> list[Frame]:
    """Keepalive pings hold what no other ping holds."""
    return [Frame(sent.opcode, b"" if sent.opcode == 9 else sent.payload) for sent in frames]
