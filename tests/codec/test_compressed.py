"""Messages that the peer has compressed come in pieces, for others to inflate."""

import pytest
from codec_wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, WAYS, frame, header, key_for

from wsfast.codec import Close, Compressed, Decoder, Failure, Ping

RSV1 = 4


def gathered(events: list) -> list:
    """The same with the pieces of each message joined: where they are cut says nothing."""
    joined: list = []
    parts: list[bytes] = []
    for event in events:
        if not isinstance(event, Compressed):
            joined.append(event)
            continue
        parts.append(event.data)
        assert event.data or not event.more
        if not event.more:
            joined.append(Compressed(b"".join(parts), event.text))
            parts = []
    assert parts == []
    return joined


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_one_frame(give, server: bool, length: int) -> None:
    payload = (bytes(range(251)) * (length // 251 + 1))[:length]
    stream = b"".join(
        frame(opcode, payload, rsv=rsv, key=key_for(server))
        for opcode in (TEXT, BINARY)
        for rsv in (RSV1, 0 if opcode == BINARY else RSV1)
    )
    text, binary = Compressed(payload, True), Compressed(payload)
    decoder = Decoder(server=server, compression=True)
    assert gathered(give(decoder, [stream])) == [text, text, binary, payload]


@pytest.mark.parametrize("server", [False, True])
def test_every_split_of_fragments(server: bool) -> None:
    key = key_for(server)
    stream = b"".join(
        [
            frame(TEXT, b"ab", fin=False, rsv=RSV1, key=key),
            frame(PING, b"p", key=key),
            frame(CONTINUATION, b"", fin=False, key=key),
            frame(CONTINUATION, b"c\xff", key=key),
            frame(TEXT, b"plain", key=key),
            frame(BINARY, b"", fin=False, rsv=RSV1, key=key),
            frame(CONTINUATION, b"", key=key),
            frame(CLOSE, b"\x03\xe8", key=key),
        ]
    )
    expected = [Ping(b"p"), Compressed(b"abc\xff", True), "plain", Compressed(b""), Close(1000)]
    for cut in range(len(stream) + 1):
        decoder = Decoder(server=server, compression=True)
        assert gathered(decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])) == expected


def test_pieces_count_as_control() -> None:
    decoder = Decoder(compression=True)
    assert decoder.feed(frame(TEXT, b"plain")) == ["plain"]
    assert not decoder.control
    assert decoder.feed(frame(TEXT, b"x", rsv=RSV1)) == [Compressed(b"x", True)]
    assert decoder.control


def test_no_piece_waits_for_its_frame() -> None:
    decoder = Decoder(compression=True)
    stream = header(BINARY, 1_000_000, rsv=RSV1)
    assert decoder.feed(stream) == []
    assert decoder.feed(b"abc") == [Compressed(b"abc", False, True)]
    view = decoder.get_buffer()  # not the message itself: it is not kept
    view[:3] = b"def"
    assert decoder.received(3) == [Compressed(b"def", False, True)]


def test_a_frame_of_more_than_its_message_can_need() -> None:
    limit = 2 * 1000 + 1024
    decoder = Decoder(compression=True, max_message=1000)
    assert decoder.feed(frame(BINARY, bytes(limit), rsv=RSV1)) == [Compressed(bytes(limit))]
    decoder = Decoder(compression=True, max_message=1000)
    failure = Failure(1009, "message over the size limit")
    assert decoder.feed(header(BINARY, limit + 1, rsv=RSV1)) == [failure]


def test_only_the_first_frame_of_a_message_is_marked() -> None:
    for stream in (
        frame(TEXT, b"a", fin=False, rsv=RSV1) + frame(CONTINUATION, b"b", rsv=RSV1),
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=RSV1),
        frame(PING, b"a", rsv=RSV1),
        frame(TEXT, b"a", rsv=RSV1 | 2),
    ):
        assert Decoder(compression=True).feed(stream)[-1] == Failure(1002, "reserved bits set")
    assert Decoder().feed(frame(TEXT, b"a", rsv=RSV1)) == [Failure(1002, "reserved bits set")]


@pytest.mark.parametrize("server", [False, True])
def test_after_close_nothing_comes(server: bool) -> None:
    decoder = Decoder(server=server)
    stream = frame(TEXT, b"a", key=key_for(server))
    assert decoder.feed(stream) == ["a"]
    decoder.close()
    decoder.close()
    assert decoder.feed(stream + b"\xff" * 100) == []
    view = decoder.get_buffer()
    view[: len(stream)] = stream
    assert decoder.received(len(stream)) == []
