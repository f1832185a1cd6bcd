"""Connections on which permessage-deflate was agreed (RFC 7692)."""

import zlib

import pytest
from protocol_wire import BINARY, CLOSE, PING, RSV1, TEXT, Driven, Frame, close_payload

from wsfast.protocol.constants import State

DEFLATE = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, section 7.2.3.1


class Peer:
    """What the other end keeps from message to message."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(wbits=-15)
        self._inflate = zlib.decompressobj(wbits=-15)

    def compress(self, message: bytes) -> bytes:
        data = self._deflate.compress(message) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(TAIL)

    def inflate(self, payload: bytes) -> bytes:
        return self._inflate.decompress(payload + TAIL)


def driven(role: str, **options) -> Driven:
    settings = {"compression": 1, "compression_window_bits": 15, "compression_threshold": 1}
    return Driven(role, extension=DEFLATE, **settings | options)


def test_nothing_is_compressed_unless_agreed(role: str) -> None:
    for ours, theirs in ((1, None), (0, DEFLATE if role == "server" else None)):
        one = Driven(role, extension=theirs, compression=ours)
        assert not one.connection.compressed
        one.connection.send("a" * 1000)
        assert one.says() == [Frame(TEXT, b"a" * 1000)]
        assert one.hears(one.frame(TEXT | RSV1, HELLO)) == []
        one.connection.settle(0.0)
        assert one.says() == [Frame(CLOSE, close_payload(1002, "reserved bits set"))]


def test_messages_there_and_back(role: str) -> None:
    one, peer = driven(role), Peer()
    assert one.connection.compressed
    for text in ("Hello", "grün " * 50_000, "\0"):
        compressed = peer.compress(text.encode())
        assert one.hears(one.frame(TEXT | RSV1, compressed)) == [text]
        one.connection.send(text)
        (sent,) = one.says()
        assert sent.opcode == TEXT | RSV1
        assert peer.inflate(sent.payload).decode() == text
    for data in (b"\xff", bytearray(b"ab" * 99_999), memoryview(b"abcdef")[::2]):
        compressed = peer.compress(bytes(data))
        assert one.hears(one.frame(BINARY | RSV1, compressed)) == [bytes(data)]
        one.connection.send(data)
        (sent,) = one.says()
        assert sent.opcode == BINARY | RSV1
        assert peer.inflate(sent.payload) == bytes(data)


def test_every_split(role: str) -> None:
    peer = Peer()
    first, second = peer.compress(b"one one one"), peer.compress("zwölf".encode())
    sender = driven(role)
    stream = b"".join(
        [
            sender.frame(TEXT | RSV1, first[:2], fin=False),
            sender.frame(PING, b"p"),
            sender.frame(0, b"", fin=False),
            sender.frame(0, first[2:]),
            sender.frame(BINARY, b"plain"),
            sender.frame(TEXT | RSV1, second),
            sender.close_frame(1000),
        ]
    )
    for cut in range(len(stream) + 1):
        one = driven(role)
        messages = one.hears(stream[:cut]) + one.hears(stream[cut:])
        assert messages == ["one one one", b"plain", "zwölf"]
        one.connection.settle(0.0)
        assert one.connection.close_code == 1000


def test_small_messages_stay_as_they_are(role: str) -> None:
    one, peer = driven(role, compression_threshold=10), Peer()
    one.connection.send("äbc")
    one.connection.send("ä" * 5)
    one.connection.send(b"")
    one.connection.send(b"123456789")
    one.connection.send(b"1234567890")
    frames = one.says()
    assert [frame.opcode for frame in frames] == [TEXT, TEXT | RSV1, BINARY, BINARY, BINARY | RSV1]
    assert frames[0].payload == "äbc".encode()
    assert peer.inflate(frames[1].payload) == "ä".encode() * 5
    assert peer.inflate(frames[4].payload) == b"1234567890"


@pytest.mark.parametrize(("mode", "least"), [("context_takeover", 128), ("no_context", 512)])
def test_the_threshold_that_is_meant_by_none(role: str, mode: str, least: int) -> None:
    for threshold in ({}, {"compression_threshold": 0}):
        one = Driven(role, extension=DEFLATE, compression=mode, **threshold)
        one.connection.send(b"x" * (least - 1))
        one.connection.send(b"x" * least)
        assert [frame.opcode for frame in one.says()] == [BINARY, BINARY | RSV1]


def test_no_context_of_ours(role: str) -> None:
    one = driven(role, compression="no_context")
    for _ in range(2):
        one.connection.send("Hello" * 20)
        (sent,) = one.says()
        assert Peer().inflate(sent.payload) == b"Hello" * 20


@pytest.mark.parametrize("data", [5, None, ["x"], "\ud800"])
def test_what_cannot_be_sent(role: str, data: object) -> None:
    one, peer = driven(role), Peer()
    with pytest.raises((TypeError, ValueError)):
        one.connection.send(data)
    one.connection.send("after")
    assert [peer.inflate(frame.payload) for frame in one.says()] == [b"after"]


def test_a_message_that_did_not_get_out_is_not_referred_to(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, peer = driven(role), Peer()

    class NoMemory:
        def frame(self, *_args, **_options) -> None:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(one.connection._outgoing, "outbox", NoMemory())
        with pytest.raises(MemoryError):
            one.connection.send("Hello" * 100)
    one.connection.send("Hello" * 100)
    assert [peer.inflate(frame.payload) for frame in one.says()] == [b"Hello" * 100]


# ------------------------------------------------------------------ what goes wrong


def bad_messages() -> list[tuple[int, bytes, int, str]]:
    return [
        (BINARY, Peer().compress(b"x" * 1001), 1009, "message over the size limit"),
        (BINARY, b"\xff\xff", 1007, "compressed message cannot be inflated"),
        (TEXT, Peer().compress(b"ok\xff"), 1007, "text is not UTF-8"),
    ]


@pytest.mark.parametrize("bad", bad_messages())
@pytest.mark.parametrize("together", [True, False])
def test_a_bad_message_is_the_last(role: str, bad: tuple, together: bool) -> None:
    opcode, payload, code, reason = bad
    one = driven(role, read_limit=1000)
    frames = [
        one.frame(TEXT | RSV1, HELLO),
        one.frame(opcode | RSV1, payload),
        one.frame(TEXT, b"after"),
        one.frame(PING, b"after"),
        one.close_frame(1000),
    ]
    if together:
        assert one.hears(*frames) == ["Hello"]
    else:
        assert [one.hears(frame) for frame in frames] == [["Hello"], [], [], [], []]
    one.connection.send("answer" * 100)
    one.connection.settle(0.0)
    answer, close = one.says()
    assert Peer().inflate(answer.payload) == b"answer" * 100
    assert close == Frame(CLOSE, close_payload(code, reason))
    assert one.connection.close_code == code
    assert one.hears(one.frame(TEXT, b"later")) == []


@pytest.mark.parametrize("bad", bad_messages())
def test_a_bad_message_while_closing(role: str, bad: tuple) -> None:
    """No more can be said then; but what follows the bad message is not delivered either."""
    opcode, payload, code, _ = bad
    one = driven(role, read_limit=1000)
    one.connection.close(1000, "", 0.0)
    one.says()
    frames = [one.frame(opcode | RSV1, payload), one.frame(TEXT, b"after")]
    assert one.hears(*frames) == []
    assert one.connection.close_code == code
    assert one.connection.state is State.CLOSING


def test_a_message_of_exactly_the_limit(role: str) -> None:
    one, peer = driven(role, read_limit=1000), Peer()
    for _ in range(3):
        compressed = peer.compress(b"x" * 1000)
        assert one.hears(one.frame(BINARY | RSV1, compressed)) == [b"x" * 1000]


def test_no_memory_for_what_is_inflated(role: str) -> None:
    one = driven(role)

    class NoMemory:
        def feed(self, _piece: object) -> None:
            raise MemoryError

    one.connection._inflater = NoMemory()
    assert one.hears(one.frame(TEXT | RSV1, HELLO), one.frame(TEXT, b"after")) == []
    assert one.hears(one.frame(TEXT, b"after")) == []
    one.connection.settle(0.0)
    assert one.says() == [Frame(CLOSE, close_payload(1011, "out of memory"))]


def test_read_timeout_is_met_by_compressed_messages(role: str) -> None:
    one, peer = driven(role, read_timeout=10_000), Peer()
    one.hears(one.frame(TEXT | RSV1, peer.compress(b"a")), now=9.0)
    assert one.connection.deadline == 19.0
    whole = peer.compress(b"b" * 100)
    one.hears(one.frame(TEXT | RSV1, whole[:3], fin=False), now=18.0)
    assert one.connection.deadline == 19.0
    one.hears(one.frame(0, whole[3:]), now=18.5)
    assert one.connection.deadline == 28.5
