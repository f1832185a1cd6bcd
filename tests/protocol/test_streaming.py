"""Messages in parts, as the connection gives them, however the bytes are cut."""

import zlib

import pytest
from deflate_backends import BACKENDS, NAMES
from hypothesis import given
from hypothesis import strategies as st
from protocol_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    TEXT,
    Driven,
    Frame,
    close_payload,
)

from wsfast.codec import Ping
from wsfast.protocol.constants import State
from wsfast.protocol.receiving import AT_ONCE, Part

DEFLATE = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
TEXTS = "aé€🎈"


def joined(items: list) -> list:
    """The same with the parts of each message joined at its end; what has no end is left out."""
    whole: list = []
    parts: list[Part] = []
    for item in items:
        if not isinstance(item, Part):
            whole.append(item)
            continue
        data = item.data.encode() if isinstance(item.data, str) else item.data
        assert data or not item.more
        parts.append(item)
        if not item.more:
            whole.append((type(item.data)()).join(part.data for part in parts))
            parts = []
    return whole


def streaming(role: str, **options: object) -> Driven:
    settings = {"streaming": True, "compression": 1, "compression_window_bits": 15}
    return Driven(role, extension=DEFLATE, **settings | options)


def hears(one: Driven, data: bytes) -> list:
    """All that comes of it, at once."""
    items = one.hears(data)
    while one.connection.held_back:
        items += one.connection.resume(0.0)
    assert one.connection.resume(0.0) in ((), [])
    return items


class Compressor:
    def __init__(self) -> None:
        self._state = zlib.compressobj(wbits=-15)

    def __call__(self, data: bytes) -> bytes:
        whole = self._state.compress(data) + self._state.flush(zlib.Z_SYNC_FLUSH)
        return whole.removesuffix(TAIL)


def stream_for(one: Driven) -> bytes:
    compress = Compressor()
    text, binary = compress(TEXTS.encode() * 20), compress(bytes(200))
    return b"".join(
        [
            one.frame(TEXT, TEXTS.encode()),
            one.frame(TEXT, TEXTS.encode()[:2], fin=False),
            one.frame(PING, b"p"),
            one.frame(CONTINUATION, TEXTS.encode()[2:5], fin=False),
            one.frame(CONTINUATION, TEXTS.encode()[5:]),
            one.frame(BINARY, b"", fin=False),
            one.frame(CONTINUATION, b""),
            one.frame(TEXT | RSV1, text[:3], fin=False),
            one.frame(PING, b"q"),
            one.frame(CONTINUATION, text[3:]),
            one.frame(BINARY | RSV1, binary),
            one.frame(TEXT | RSV1, compress(b"")),
            one.frame(BINARY, b"last", fin=False),
            one.frame(CONTINUATION, b""),
            one.close_frame(4000, "done"),
        ]
    )


EXPECTED = [
    TEXTS,
    Ping(b"p"),
    TEXTS,
    b"",
    Ping(b"q"),
    TEXTS * 20,
    bytes(200),
    "",
    b"last",
]


@pytest.fixture(params=BACKENDS, ids=NAMES)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.protocol.deflate.zlib", request.param)


# ------------------------------------------------------------------ what comes


@pytest.mark.usefixtures("backend")
def test_every_split(role: str) -> None:
    stream = stream_for(streaming(role))
    for cut in range(len(stream) + 1):
        one = streaming(role, control_messages=True)
        assert joined(hears(one, stream[:cut]) + hears(one, stream[cut:])) == EXPECTED
        one.connection.settle(0.0)
        assert one.says() == [
            Frame(PONG, b"p"),
            Frame(PONG, b"q"),
            Frame(CLOSE, close_payload(4000)),
        ]
        assert (one.connection.close_code, one.connection.close_reason) == (4000, "done")


@given(data=st.data())
def test_cut_anywhere(data: st.DataObject) -> None:
    role = data.draw(st.sampled_from(["client", "server"]))
    one = streaming(role, control_messages=True)
    stream = stream_for(one)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    items: list = []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        items += hears(one, stream[start:end])
    assert joined(items) == EXPECTED


def test_what_lies_whole_stays_whole(role: str) -> None:
    one = streaming(role)
    assert one.hears(one.frame(TEXT, b"a"), one.frame(BINARY, b"b")) == ["a", b"b"]


def test_pieces_are_given_as_they_come_but_no_half_character(role: str) -> None:
    one = streaming(role)
    sent = one.frame(TEXT, "aé€b".encode(), fin=False)
    end = one.frame(CONTINUATION)
    got = [one.hears(sent[at : at + 1]) for at in range(len(sent))] + [one.hears(end)]
    parts = [item for items in got for item in items]
    assert parts == [
        Part("a", 1, more=True),
        Part("é", 1, more=True),
        Part("€", 1, more=True),
        Part("b", 1, more=True),
        Part("", 0, more=False),
    ]


def test_sizes_are_those_of_the_bytes(role: str) -> None:
    one = streaming(role)
    (part,) = one.hears(one.frame(TEXT, "é€".encode(), fin=False))
    assert part == Part("é€", 5, more=True)
    (part,) = one.hears(one.frame(CONTINUATION, "é".encode()))
    assert part == Part("é", 2, more=False)


def test_no_message_is_too_large_but_frames_are_counted(role: str) -> None:
    one = streaming(role, read_limit=10, max_fragments=100)
    one.hears(one.frame(BINARY, bytes(1000), fin=False))
    for _ in range(99):
        one.hears(one.frame(CONTINUATION, bytes(1000), fin=False))
    assert one.connection.state is State.CONNECTED
    one.hears(one.frame(CONTINUATION, b"x", fin=False))
    one.connection.settle(0.0)
    assert one.says() == [Frame(CLOSE, close_payload(1009, "message in too many fragments"))]


def test_read_timeout_is_the_wait_for_each_piece(role: str) -> None:
    one = streaming(role, read_timeout=10_000)
    one.hears(one.frame(BINARY, b"x", fin=False), now=9.0)
    assert one.connection.deadline == 19.0
    one.hears(one.frame(PING), now=18.0)
    assert one.connection.deadline == 19.0
    one.hears(one.frame(CONTINUATION, b"x", fin=False), now=18.5)
    assert one.connection.deadline == 28.5


# ------------------------------------------------------------------ no more at once than a little


@pytest.mark.usefixtures("backend")
def test_a_bomb_is_inflated_as_it_is_asked_for(role: str) -> None:
    size = 40 * 1024 * 1024
    one = streaming(role, read_limit=1000)
    bomb = Compressor()(bytes(size))
    assert len(bomb) < 64 * 1024
    items = one.hears(one.frame(BINARY | RSV1, bomb), one.frame(TEXT, b"after"))
    total = 0
    while True:
        made = sum(item.size for item in items if isinstance(item, Part))
        assert made <= 2 * AT_ONCE
        total += made
        if not one.connection.held_back:
            break
        items = list(one.connection.resume(0.0))
    assert total == size
    assert items[-1] == "after"


def test_what_follows_is_held_back_too(role: str) -> None:
    one = streaming(role)
    payload = Compressor()(bytes(1 << 20))
    one.hears(
        one.frame(BINARY | RSV1, payload), one.frame(PING, b"?"), one.close_frame(1000, "bye")
    )
    assert one.connection.held_back
    assert one.says() == []
    assert not one.connection.unsettled
    while one.connection.held_back:
        one.connection.resume(0.0)
    assert one.says() == [Frame(PONG, b"?")]
    assert one.connection.unsettled
    one.connection.settle(0.0)
    assert one.connection.close_reason == "bye"


def test_nothing_is_held_back_after_the_end(role: str) -> None:
    one = streaming(role)
    one.hears(one.frame(BINARY | RSV1, Compressor()(bytes(1 << 20))))
    assert one.connection.held_back
    one.connection.lost("reset", 0.0)
    assert not one.connection.held_back
    assert one.connection.resume(0.0) == ()


def test_without_streaming_nothing_is_held_back(role: str) -> None:
    one = streaming(role, streaming=False)
    one.hears(one.frame(BINARY | RSV1, Compressor()(bytes(1 << 20))))
    assert not one.connection.held_back
    assert one.connection.resume(0.0) == ()


def test_many_small_streams_make_few_parts(role: str) -> None:
    """Each deflate stream may end, and another begin, after a byte."""
    one = streaming(role)
    tiny = zlib.compressobj(wbits=-15)
    tiny = tiny.compress(b"x") + tiny.flush()
    items = hears(one, one.frame(BINARY | RSV1, tiny * 10_000 + b"\0"))
    assert joined(items) == [b"x" * 10_000]
    assert len(items) < 20


# ------------------------------------------------------------------ what goes wrong


BAD = [
    ([(TEXT, b"ok\xff")], 1007, "text is not UTF-8"),
    ([(TEXT, b"ok\xc3")], 1007, "text is not UTF-8"),
    ([(TEXT, b"ok\xed\xa0\x80")], 1007, "text is not UTF-8"),
    ([(TEXT | RSV1, Compressor()(b"ok\xff"))], 1007, "text is not UTF-8"),
    ([(TEXT | RSV1, Compressor()(b"ok\xed\xa0\x80"))], 1007, "text is not UTF-8"),
    ([(TEXT | RSV1, Compressor()("é".encode()[:1]))], 1007, "text is not UTF-8"),
    ([(BINARY | RSV1, b"\xff\xff")], 1007, "compressed message cannot be inflated"),
    (
        [(BINARY | RSV1, Compressor()(b"x" * 99)[:-3])],
        1007,
        "compressed message cannot be inflated",
    ),
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_bad_message_is_the_last(role: str, bad: tuple, bytewise: bool) -> None:
    frames, code, reason = bad
    one = streaming(role)
    data = one.frame(TEXT, b"before")
    data += b"".join(one.frame(opcode, payload) for opcode, payload in frames)
    data += one.frame(TEXT, b"after") + one.frame(PING, b"after") + one.close_frame(1000)
    step = 1 if bytewise else len(data)
    items: list = []
    for at in range(0, len(data), step):
        items += hears(one, data[at : at + step])
    assert joined(items) == ["before"]
    one.connection.settle(0.0)
    assert one.says() == [Frame(CLOSE, close_payload(code, reason))]
    assert one.connection.close_code == code


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90"])
def test_a_bad_byte_fails_the_connection_when_it_comes(role: str, bad: bytes) -> None:
    one = streaming(role)
    sent = one.frame(TEXT, b"ok" + bad + bytes(100), fin=False)
    at = len(sent) - 100
    one.hears(sent[: at - 1])
    assert not one.connection.unsettled
    one.hears(sent[at - 1 : at])
    assert one.connection.unsettled


def test_a_message_that_was_wanted_whole_and_is_too_large(role: str) -> None:
    one = streaming(role, read_limit=10)
    one.hears(one.frame(BINARY, bytes(11), fin=False))
    one.connection.refuse_message(0.0)
    assert one.says() == [Frame(CLOSE, close_payload(1009, "message over the size limit"))]
    assert one.connection.input_ended
    one.connection.refuse_message(0.0)
    assert one.says() == []


def test_no_memory_for_a_step(role: str) -> None:
    class NoMemory:
        def steps(self, _piece: object) -> list[bytes]:
            raise MemoryError

    one = streaming(role)
    one.connection._inflater = NoMemory()
    frames = [one.frame(TEXT, b"before"), one.frame(TEXT | RSV1, b"x"), one.frame(TEXT, b"after")]
    assert one.hears(*frames) == ["before"]
    assert one.hears(one.frame(TEXT, b"after")) == []
    one.connection.settle(0.0)
    assert one.says() == [Frame(CLOSE, close_payload(1011, "out of memory"))]
