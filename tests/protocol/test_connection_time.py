"""Pings and pongs, and what the clock does to an open connection."""

import pytest
from protocol_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Driven,
    Frame,
    close_payload,
)

from wsfast.protocol.connection import LINGER, PONG_BACKLOG
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionLost

# ------------------------------------------------------------------ the peer's pings


@pytest.mark.parametrize("data", [b"", b"p", b"x" * 125])
def test_a_ping_is_answered(role: str, data: bytes) -> None:
    driven = Driven(role)
    assert driven.hears(driven.frame(PING, data)) == []
    assert driven.says() == [Frame(PONG, data)]


def test_each_ping_is_answered_in_its_place(role: str) -> None:
    driven = Driven(role)
    frames = [driven.frame(PING, b"%d" % number) for number in range(3)]
    driven.connection.send("before")
    driven.hears(*frames)
    driven.connection.send("after")
    assert driven.says() == [
        Frame(TEXT, b"before"),
        *(Frame(PONG, b"%d" % number) for number in range(3)),
        Frame(TEXT, b"after"),
    ]


@pytest.mark.parametrize("at_once", [1, 1000, 100_000])
def test_a_flood_of_pings_is_bounded(role: str, at_once: int) -> None:
    driven = Driven(role)
    count = 100_000 if at_once > 1 else 2000
    most = 0
    for start in range(0, count, at_once):
        numbers = range(start, start + at_once)
        driven.hears(*(driven.frame(PING, b"%0100d" % number) for number in numbers))
        most = max(most, driven.connection.pending)
    assert PONG_BACKLOG <= most <= PONG_BACKLOG + 256
    assert driven.connection.pending_frames < 1000
    pongs = driven.says() + driven.says()
    assert driven.says() == []
    assert {pong.opcode for pong in pongs} == {PONG}
    answered = [int(pong.payload) for pong in pongs]
    assert answered == [*range(len(pongs) - 1), count - 1]
    # And then all is as before.
    driven.hears(driven.frame(PING, b"a"), driven.frame(PING, b"b"))
    assert driven.says() == [Frame(PONG, b"a"), Frame(PONG, b"b")]


def test_behind_a_full_queue_only_the_last_ping_is_answered(role: str) -> None:
    driven = Driven(role)
    driven.connection.send(b"x" * PONG_BACKLOG)
    queued = driven.connection.pending
    driven.hears(*(driven.frame(PING, b"%d" % number) for number in range(10)))
    assert queued < driven.connection.pending < queued + 16
    assert driven.says() == [Frame(BINARY, b"x" * PONG_BACKLOG), Frame(PONG, b"9")]
    assert driven.says() == []


def test_no_pong_follows_our_close_frame(role: str) -> None:
    driven = Driven(role)
    driven.connection.send(b"x" * PONG_BACKLOG)
    driven.hears(driven.frame(PING, b"waits"))
    driven.connection.close(1000, "", 0.0)
    driven.hears(driven.frame(PING, b"late"))
    assert [sent.opcode for sent in driven.says() + driven.says()] == [BINARY, CLOSE]
    assert driven.connection.pending == 0


# ------------------------------------------------------------------ our pings


def test_a_ping_has_a_number_and_a_pong_the_latency(role: str) -> None:
    driven = Driven(role)
    assert (driven.connection.pongs, driven.connection.latency) == (0, None)
    assert driven.connection.ping(b"one", 1.0) == 1
    assert driven.connection.ping(bytearray(b"two"), 2.0) == 2
    assert driven.says() == [Frame(PING, b"one"), Frame(PING, b"two")]
    driven.hears(driven.frame(PONG, b"one"), now=4.5)
    assert (driven.connection.pongs, driven.connection.latency) == (1, 3.5)
    driven.hears(driven.frame(PONG, b"two"), now=5.0)
    assert (driven.connection.pongs, driven.connection.latency) == (2, 3.0)


def test_a_pong_answers_the_pings_before_it(role: str) -> None:
    driven = Driven(role)
    for number in range(1, 6):
        assert driven.connection.ping(b"%d" % number, float(number)) == number
    driven.hears(driven.frame(PONG, b"3"), now=10.0)
    assert (driven.connection.pongs, driven.connection.latency) == (3, 7.0)
    # Those have been answered: a late pong of theirs changes nothing.
    driven.hears(driven.frame(PONG, b"2"), driven.frame(PONG, b"3"), now=11.0)
    assert (driven.connection.pongs, driven.connection.latency) == (3, 7.0)
    driven.hears(driven.frame(PONG, b"5"), now=12.0)
    assert (driven.connection.pongs, driven.connection.latency) == (5, 7.0)


def test_of_pings_with_the_same_data_one_pong_answers_all(role: str) -> None:
    """A peer may answer the last one only, and then nobody could tell."""
    driven = Driven(role)
    for number in (1, 2):
        assert driven.connection.ping(b"", float(number)) == number
    driven.hears(driven.frame(PONG), now=3.0)
    assert (driven.connection.pongs, driven.connection.latency) == (2, 1.0)
    driven.hears(driven.frame(PONG), now=4.0)
    assert (driven.connection.pongs, driven.connection.latency) == (2, 1.0)


def test_pings_have_data_of_their_own_by_default(role: str) -> None:
    driven = Driven(role)
    for number in (1, 2, 3):
        assert driven.connection.ping(None, float(number)) == number
    pings = driven.says()
    assert len({ping.payload for ping in pings}) == 3
    driven.hears(driven.frame(PONG, pings[1].payload), now=4.0)
    assert (driven.connection.pongs, driven.connection.latency) == (2, 2.0)


@pytest.mark.parametrize("data", [b"", b"never sent"])
def test_an_unsolicited_pong_means_nothing(role: str, data: bytes) -> None:
    driven = Driven(role)
    assert driven.hears(driven.frame(PONG, data)) == []
    driven.connection.ping(b"sent", 1.0)
    assert driven.hears(driven.frame(PONG, data), now=2.0) == []
    assert (driven.connection.pongs, driven.connection.latency) == (0, None)
    assert driven.connection.state is State.CONNECTED


# ------------------------------------------------------------------ keepalive


def probed(role: str, **options) -> tuple[Driven, bytes]:
    """A connection that has sent a keepalive ping at 20.0, and the pong that answers it."""
    driven = Driven(role, **{"ping_interval": "20s", "pong_timeout": "5s"} | options)
    assert driven.connection.deadline == 20.0
    driven.connection.tick(19.9)
    assert driven.says() == []
    driven.connection.tick(20.0)
    (ping,) = driven.says()
    assert ping.opcode == PING
    return driven, driven.frame(PONG, ping.payload)


def test_a_ping_goes_out_each_interval(role: str) -> None:
    driven, pong = probed(role)
    seen = {pong}
    for start in (20.0, 40.0, 60.0):
        assert driven.connection.deadline == start + 5.0
        driven.hears(pong, now=start + 1.0)
        assert driven.connection.latency == 1.0
        assert driven.connection.deadline == start + 20.0
        driven.connection.tick(start + 20.0)
        (ping,) = driven.says()
        pong = driven.frame(PONG, ping.payload)
        assert pong not in seen
        seen.add(pong)


def test_a_silent_peer_fails_the_connection(role: str) -> None:
    driven, _ = probed(role)
    driven.connection.tick(24.9)
    assert driven.connection.state is State.CONNECTED
    driven.connection.tick(25.0)
    assert driven.connection.state is State.CLOSING
    assert driven.says() == [Frame(CLOSE, close_payload(1011, "keepalive ping timeout"))]
    assert type(driven.connection.error) is ConnectionLost
    assert driven.connection.close_code == 1011
    assert driven.connection.close_reason == "keepalive ping timeout"
    # The frame is for the record: nobody is there to wait for.
    assert driven.connection.deadline == 25.0
    driven.connection.tick(25.0)
    assert driven.connection.state is State.ERROR


def test_any_byte_shows_that_the_peer_lives(role: str) -> None:
    driven, pong = probed(role)
    large = driven.frame(BINARY, b"x" * 9)
    for step, byte in enumerate(large):
        now = 24.0 + 4 * step
        assert driven.hears(bytes([byte]), now=now) == (
            [b"x" * 9] if step + 1 == len(large) else []
        )
        driven.connection.tick(now)
        driven.connection.tick(now + 3.9)
        assert driven.connection.state is State.CONNECTED
        assert driven.says() == []
    driven.hears(pong, now=now + 4.0)
    assert driven.connection.pongs == 1
    assert driven.connection.deadline is not None


def test_bytes_before_the_ping_do_not_count(role: str) -> None:
    driven = Driven(role, ping_interval="20s", pong_timeout="5s")
    driven.hears(driven.frame(PONG), now=19.0)
    driven.connection.tick(20.0)
    assert driven.connection.deadline == 25.0


def test_a_pong_to_a_later_ping_answers_the_keepalive(role: str) -> None:
    driven, _ = probed(role)
    number = driven.connection.ping(b"mine", 21.0)
    driven.hears(driven.frame(PONG, b"mine"), now=22.0)
    assert driven.connection.pongs == number == 2
    driven.connection.tick(39.9)
    assert driven.connection.state is State.CONNECTED
    assert driven.connection.deadline == 40.0


def test_a_pong_to_an_earlier_ping_does_not(role: str) -> None:
    driven = Driven(role, ping_interval="20s", pong_timeout="5s")
    driven.connection.ping(b"mine", 1.0)
    driven.connection.tick(20.0)
    driven.hears(driven.frame(PONG, b"mine"), now=20.0)
    assert driven.connection.pongs == 1
    assert driven.connection.deadline == 25.0


def test_silence_means_nothing_while_nobody_reads(role: str) -> None:
    driven, _ = probed(role, read_timeout="60s")
    for now in (25.0, 30.0, 1000.0):
        driven.connection.tick(now, reading=False)
        assert driven.connection.state is State.CONNECTED
    # From here on it does again.
    assert driven.connection.deadline == 1005.0
    driven.connection.tick(1004.9)
    assert driven.connection.state is State.CONNECTED
    driven.connection.tick(1005.0)
    assert driven.connection.close_code == 1011


def test_what_was_heard_elsewhere_counts_from_when_it_came(role: str) -> None:
    driven, _ = probed(role, read_timeout="60s")
    driven.connection.heard(24.0, 23.0)
    assert driven.connection.deadline == 29.0
    driven.connection.heard(28.0, 23.0)
    driven.connection.heard(28.0, 23.0)  # told again, as nothing more has come
    driven.connection.tick(32.9)
    assert driven.connection.state is State.CONNECTED
    driven.connection.tick(33.0)
    assert driven.connection.close_code == 1011


def test_a_message_heard_elsewhere_is_one_for_read_timeout(role: str) -> None:
    driven = Driven(role, read_timeout="10s")
    driven.connection.heard(8.0, 7.0)
    assert driven.connection.deadline == 17.0


def test_what_was_heard_before_is_not_silence_while_nobody_read(role: str) -> None:
    driven, _ = probed(role)
    driven.connection.tick(1000.0, reading=False)
    driven.connection.heard(21.0, 21.0)
    driven.connection.tick(1004.9)
    assert driven.connection.state is State.CONNECTED


def test_a_ping_is_due_while_nobody_reads(role: str) -> None:
    driven = Driven(role, ping_interval="20s", pong_timeout="5s")
    driven.connection.tick(20.0, reading=False)
    assert [ping.opcode for ping in driven.says()] == [PING]


def test_without_ping_interval_no_ping_is_sent(role: str) -> None:
    driven = Driven(role, ping_interval=None, pong_timeout="5s")
    assert driven.connection.deadline is None
    driven.connection.tick(1e9)
    assert driven.says() == []
    # Pings of the application are its own affair.
    driven.connection.ping(b"", 1e9)
    assert driven.connection.deadline is None


def test_without_pong_timeout_nobody_is_left(role: str) -> None:
    driven, pong = probed(role, pong_timeout=None)
    for now in (40.0, 60.0, 80.0):
        assert driven.connection.deadline == now
        driven.connection.tick(now)
        assert driven.connection.state is State.CONNECTED
        assert driven.says() == []  # one unanswered ping is enough
    driven.hears(pong, now=81.0)
    driven.connection.tick(100.0)
    assert [ping.opcode for ping in driven.says()] == [PING]


# ------------------------------------------------------------------ read_timeout


def test_no_message_within_read_timeout(role: str) -> None:
    driven = Driven(role, read_timeout="10s")
    assert driven.connection.deadline == 10.0
    driven.connection.tick(9.9)
    assert driven.connection.state is State.CONNECTED
    driven.connection.tick(10.0)
    assert driven.connection.state is State.CLOSING
    text = "read timeout: no message within read_timeout"
    assert driven.says() == [Frame(CLOSE, close_payload(1008, text))]
    assert type(driven.connection.error) is ConnectionLost
    assert (driven.connection.close_code, driven.connection.close_reason) == (1008, text)
    assert driven.connection.half_close
    assert driven.hears(driven.frame(TEXT, b"too late"), now=10.1) == []
    assert driven.connection.deadline == 10.0 + LINGER
    driven.connection.tick(10.0 + LINGER)
    assert driven.connection.state is State.ERROR


@pytest.mark.parametrize("with_ping", [False, True])
@pytest.mark.parametrize("data", [b"", b"x"])
def test_a_message_extends_read_timeout(role: str, data: bytes, with_ping: bool) -> None:
    driven = Driven(role, read_timeout="10s")
    ping = driven.frame(PING) * with_ping
    driven.hears(ping, driven.frame(TEXT, data), now=9.0)
    assert driven.connection.deadline == 19.0


def test_neither_control_frames_nor_parts_extend_read_timeout(role: str) -> None:
    driven = Driven(role, read_timeout="10s")
    for data in (
        driven.frame(PING, b"p"),
        driven.frame(PONG, b"p"),
        driven.frame(TEXT, b"a", fin=False),
        driven.frame(CONTINUATION, b"b", fin=False),
        driven.frame(CONTINUATION, b"c")[:-1],
    ):
        assert driven.hears(data, now=9.0) == []
        assert driven.connection.deadline == 10.0


def test_read_timeout_stands_still_while_nobody_reads(role: str) -> None:
    driven = Driven(role, read_timeout="10s")
    driven.connection.tick(50.0, reading=False)
    assert driven.connection.state is State.CONNECTED
    assert driven.connection.deadline == 60.0


def test_read_timeout_does_not_bound_the_closing(role: str) -> None:
    driven = Driven(role, read_timeout="1s", close_timeout="5s")
    driven.connection.close(1000, "", 0.5)
    assert driven.connection.deadline == 5.5
    driven.connection.tick(5.0)
    assert driven.connection.state is State.CLOSING


def test_the_nearest_deadline_is_the_one(role: str) -> None:
    options = {"ping_interval": "20s", "pong_timeout": "20s", "read_timeout": "30s"}
    driven = Driven(role, now=100.0, **options)
    assert driven.connection.deadline == 120.0
    driven.connection.tick(120.0)
    assert driven.connection.deadline == 130.0
    driven.connection.tick(130.0)
    assert driven.connection.close_code == 1008
