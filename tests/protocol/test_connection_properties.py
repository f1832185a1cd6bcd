"""A client and a server joined by two pipes that cut the bytes anywhere, driven at random.

What must hold whatever happens: messages come in order, once, and none is lost before a clean end;
states move along the table; nothing follows a close frame; and when the clock runs, both ends end.
"""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from protocol_wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    RSV1,
    TEXT,
    Frame,
    Watched,
    close_payload,
    new_client,
    new_server,
    read_whole_frames,
)

from wsfast.protocol.connection import LINGER
from wsfast.protocol.constants import State
from wsfast.protocol.errors import WebSocketError

OPTIONS = {
    "dial_timeout": "10s",
    "close_timeout": "5s",
    "ping_interval": "7s",
    "pong_timeout": "4s",
    "read_timeout": "60s",
}
STEPS = {
    (State.CONNECTING, State.CONNECTED),
    (State.CONNECTING, State.DISCONNECTED),
    (State.CONNECTING, State.ERROR),
    (State.CONNECTED, State.CLOSING),
    (State.CONNECTED, State.ERROR),
    (State.CLOSING, State.DISCONNECTED),
    (State.CLOSING, State.ERROR),
}

ends = st.integers(0, 1)
codes = st.one_of(
    st.sampled_from([1000, 1001, 1002, 1003, *range(1007, 1015)]), st.integers(3000, 4999)
)
reasons = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
short = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.binary(max_size=200)
)
messages = st.one_of(short, st.integers(120, 70_000).map(lambda size: b"\xa5" * size))


class Reading:
    """The frames of a stream that comes in pieces, after its HTTP head."""

    def __init__(self, *, masked: bool) -> None:
        self.size = 0
        self.frames: list[Frame] = []
        self._masked = masked
        self._rest = b""
        self._in_http = True

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self._rest += data
        if self._in_http:
            _, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            self._rest, self._in_http = rest, False
        frames, self._rest = read_whole_frames(self._rest, masked=self._masked)
        self.frames += frames


class End:
    """One end, with what its driver and its application know."""

    def __init__(self, connection: Watched, *, masked: bool) -> None:
        self.connection = connection
        self.said = Reading(masked=masked)  # all that it has sent
        self.arrived = Reading(masked=masked)  # what the other end has got of that
        self.on_the_way = b""
        self.sent: list[str | bytes] = []
        self.received: list[str | bytes] = []
        self.closed_with: tuple[int, str] | None = None
        self.shut = False  # has half-closed, or closed, its transport
        self.told: tuple[int, str] | None = None  # the close frame that it got
        self.closing_since: float | None = None
        self.seen_eof = False
        self.ending: tuple[object, ...] | None = None


class Pipes(RuleBasedStateMachine):
    options = OPTIONS

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.client = End(new_client(**self.options), masked=True)
        self.server = End(new_server(**self.options), masked=False)
        self.ends = [self.client, self.server]

    def other(self, end: End) -> End:
        return self.server if end is self.client else self.client

    # -------------------------------------------------------------- what drivers do

    def flush(self, end: End) -> None:
        while data := end.connection.data_to_send():
            if not end.shut:
                end.said.feed(data)
                end.on_the_way += data
        if end.connection.half_close or end.connection.finished:
            end.shut = True

    def deliver(self, end: End, size: int) -> None:
        """Moves bytes from `end` to the other one."""
        to = self.other(end)
        data, end.on_the_way = end.on_the_way[:size], end.on_the_way[size:]
        end.arrived.feed(data)
        if not data or to.connection.finished:
            return
        failed = to.connection.error is not None
        to.received += to.connection.feed(data, self.now)
        if to is self.server and to.connection.request and to.connection.state is State.CONNECTING:
            to.received += to.connection.accept(self.now)
        frames = end.arrived.frames
        if not failed and frames and frames[-1].opcode == CLOSE:
            payload = frames[-1].payload
            to.told = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            assert to.received == end.sent

    def hear_eof(self, end: End) -> None:
        """The other one hears that `end` has half-closed, once it has got all bytes."""
        to = self.other(end)
        if end.shut and not end.on_the_way and not to.seen_eof:
            to.seen_eof = True
            to.connection.eof(self.now)

    def all_moves(self) -> bool:
        """Whether anything did."""
        before = [(end.arrived.size, end.seen_eof, end.connection.states[:]) for end in self.ends]
        for end in self.ends:
            self.flush(end)
            self.deliver(end, 1 << 30)
            self.hear_eof(end)
        return before != [
            (end.arrived.size, end.seen_eof, end.connection.states) for end in self.ends
        ]

    # -------------------------------------------------------------- rules

    @initialize(is_open=st.sampled_from([True, True, True, False]))
    def start(self, is_open: bool) -> None:
        while is_open and self.all_moves():
            pass

    @rule(end=ends, size=st.integers(1, 300) | st.just(1 << 20))
    def bytes_move(self, end: int, size: int) -> None:
        self.flush(self.ends[end])
        self.deliver(self.ends[end], size)

    @rule()
    def all_bytes_move(self) -> None:
        self.all_moves()

    @rule(end=ends)
    def taken_but_not_moved(self, end: int) -> None:
        self.flush(self.ends[end])

    @rule(end=ends)
    def the_end_is_heard(self, end: int) -> None:
        self.flush(self.ends[end])
        self.hear_eof(self.ends[end])

    @rule(end=ends, data=messages)
    def send(self, end: int, data: str | bytes) -> None:
        chosen = self.ends[end]
        pending = chosen.connection.pending
        try:
            chosen.connection.send(data)
        except WebSocketError:
            assert chosen.connection.state is not State.CONNECTED
            assert chosen.connection.pending == pending
        else:
            assert chosen.connection.state is State.CONNECTED
            chosen.sent.append(data)

    @rule(end=ends, data=st.binary(max_size=125))
    def ping(self, end: int, data: bytes) -> None:
        if self.ends[end].connection.state is State.CONNECTED:
            self.ends[end].connection.ping(data, self.now)

    @rule(end=ends)
    def settle(self, end: int) -> None:
        self.ends[end].connection.settle(self.now)

    @precondition(lambda self: self.now > 3.0)
    @rule(end=ends, code=codes, reason=reasons)
    def close(self, end: int, code: int, reason: str) -> None:
        chosen = self.ends[end]
        if chosen.connection.state is State.CONNECTED:
            chosen.closed_with = code, reason
        chosen.connection.close(code, reason, self.now)
        assert chosen.connection.state not in (State.CONNECTING, State.CONNECTED)

    @precondition(lambda self: self.now > 6.0)
    @rule(end=ends, kept=st.integers(0, 400))
    def the_wire_is_cut(self, end: int, kept: int) -> None:
        """Both directions: what is on its way from `end` arrives in part, the rest not at all."""
        self.flush(self.ends[end])
        self.deliver(self.ends[end], kept)
        for each in self.ends:
            each.said, each.on_the_way = each.arrived, b""
            each.shut = each.seen_eof = True
            each.connection.lost("reset", self.now)

    @rule(seconds=st.floats(0.01, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for end in self.ends:
            deadline = end.connection.deadline
            if deadline is not None and deadline <= self.now:
                end.connection.tick(self.now)

    @rule(end=ends, reading=st.booleans())
    def a_timer_comes_early(self, end: int, reading: bool) -> None:
        self.ends[end].connection.tick(self.now, reading=reading)

    # -------------------------------------------------------------- what must hold

    @invariant()
    def states_move_along_the_table(self) -> None:
        for end in self.ends:
            assert set(pairwise(end.connection.states)) <= STEPS

    @invariant()
    def messages_come_in_order(self) -> None:
        for end in self.ends:
            got = self.other(end).received
            assert got == end.sent[: len(got)]

    @invariant()
    def the_ending_is_final(self) -> None:
        for end in self.ends:
            connection = end.connection
            if not connection.finished:
                assert end.ending is None
                continue
            ending = (
                connection.state,
                connection.error,
                connection.close_code,
                connection.close_reason,
            )
            assert end.ending in (None, ending)
            end.ending = ending
            assert connection.close_code is not None
            assert connection.deadline is None
            assert (connection.state is State.ERROR) == (connection.error is not None)

    @invariant()
    def nothing_follows_a_close_frame(self) -> None:
        for end in self.ends:
            frames = end.said.frames
            kinds = [frame.opcode for frame in frames]
            assert CLOSE not in kinds[:-1]
            if any(kind & RSV1 for kind in kinds):
                continue
            said = [
                frame.payload.decode() if frame.opcode == TEXT else frame.payload
                for frame in frames
                if frame.opcode in (TEXT, BINARY)
            ]
            assert said == end.sent[: len(said)]

    @invariant()
    def pongs_answer_pings(self) -> None:
        for end in self.ends:
            asked = Counter(f.payload for f in self.other(end).said.frames if f.opcode == PING)
            answered = Counter(f.payload for f in end.said.frames if f.opcode == PONG)
            assert answered <= asked

    @invariant()
    def the_server_ends_tcp_first(self) -> None:
        """RFC 6455, section 7.1.1: unless something went wrong."""
        if self.client.connection.half_close:
            assert self.client.connection.error is not None

    @invariant()
    def closing_does_not_take_long(self) -> None:
        for end in self.ends:
            if end.connection.state is not State.CLOSING:
                continue
            if end.closing_since is None:
                end.closing_since = self.now
            # Deadlines are looked at when time passes, which is every three seconds here.
            assert self.now - end.closing_since < 5.0 + LINGER + 2 * 3.0

    # -------------------------------------------------------------- and in the end

    def teardown(self) -> None:
        self.run_until_both_have_ended()
        for end in self.ends:
            if State.CONNECTED in end.connection.states:
                self.check_ending(end)

    def run_until_both_have_ended(self) -> None:
        """Everything arrives, applications settle, one of them closes, and then the clock runs."""
        for _ in range(100):
            while self.all_moves():
                for end in self.ends:
                    end.connection.settle(self.now)
            still_open = [end for end in self.ends if end.connection.state is State.CONNECTED]
            if still_open:
                still_open[0].closed_with = 1000, "enough"
                still_open[0].connection.close(1000, "enough", self.now)
                continue
            waits = [w for end in self.ends if (w := end.connection.deadline) is not None]
            if not waits:
                break
            self.now = max(self.now, min(waits))
            for end in self.ends:
                end.connection.tick(self.now)
        assert all(end.connection.finished for end in self.ends)
        self.the_ending_is_final()
        self.states_move_along_the_table()
        self.messages_come_in_order()
        self.nothing_follows_a_close_frame()
        self.pongs_answer_pings()

    def check_ending(self, end: End) -> None:
        """It is clean exactly if the other's close frame came; codes are those on the wire."""
        connection = end.connection
        assert (connection.state is State.DISCONNECTED) == (end.told is not None)
        if end.told is not None:
            assert (connection.close_code, connection.close_reason) == end.told
        closings = [frame.payload for frame in end.said.frames if frame.opcode == CLOSE]
        if not closings:
            return
        if end.closed_with is not None:
            expected = close_payload(*end.closed_with)
        elif end.told is not None:
            expected = close_payload(end.told[0])
        else:
            assert connection.error is not None
            assert connection.close_code in (1008, 1011)
            expected = close_payload(connection.close_code, connection.close_reason)
        assert closings == [expected]


class CompressedPipes(Pipes):
    options = OPTIONS | {"compression": 1, "compression_threshold": 100}


TestPipes = Pipes.TestCase
TestCompressedPipes = CompressedPipes.TestCase


@given(
    to_server=st.lists(short, max_size=5),
    to_client=st.lists(short, max_size=5),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=20),
    closer=ends,
    code=codes,
    reason=reasons,
)
def test_a_whole_conversation(
    to_server: list[str | bytes],
    to_client: list[str | bytes],
    sizes: list[int],
    closer: int,
    code: int,
    reason: str,
) -> None:
    """Nothing goes wrong here, so nothing may be lost: both ends are clean and agree."""
    pipes = Pipes()
    turn = 0
    while not all(end.connection.finished for end in pipes.ends):
        for end, data in zip(pipes.ends, (to_server, to_client), strict=True):
            if end.connection.state is State.CONNECTED and len(end.sent) < len(data):
                pipes.send(pipes.ends.index(end), data[len(end.sent)])
        chosen = pipes.ends[closer]
        peer = pipes.other(chosen)
        if len(chosen.sent) + len(peer.sent) == len(to_server) + len(to_client) and (
            chosen.connection.state is State.CONNECTED and peer.connection.state is State.CONNECTED
        ):
            chosen.closed_with = code, reason
            chosen.connection.close(code, reason, 0.0)
        for end in pipes.ends:
            pipes.flush(end)
            pipes.deliver(end, sizes[turn % len(sizes)])
            pipes.hear_eof(end)
            pipes.other(end).connection.settle(0.0)
            turn += 1
        if all(not end.on_the_way and end.connection.state is State.CLOSING for end in pipes.ends):
            # The client waits for the server to end TCP, which it has heard by now.
            pipes.client.connection.tick(LINGER)
            pipes.server.connection.tick(LINGER)
    assert pipes.server.received == to_server
    assert pipes.client.received == to_client
    for end in pipes.ends:
        assert end.connection.state is State.DISCONNECTED
        assert end.connection.close_code == code
    assert pipes.other(pipes.ends[closer]).connection.close_reason == reason
    pipes.nothing_follows_a_close_frame()
