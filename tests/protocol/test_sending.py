"""Messages in fragments, as they leave (RFC 6455, section 5.4; RFC 7692, section 7.2.1)."""

import itertools
import zlib
from collections.abc import Callable, Iterator

import pytest
from deflate_backends import BACKENDS, NAMES
from hypothesis import given
from hypothesis import strategies as st
from protocol_wire import BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, TEXT, Driven, close_payload

from wsfast.codec import Compressed, Decoder
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost
from wsfast.protocol.sending import Fragment, fragments

DEFLATE = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
FIN = 0x80

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8)
blobs = st.lists(st.binary(max_size=30), max_size=8)

Raw = tuple[int, bytes]


def raw_frames(data: bytes, *, masked: bool) -> list[Raw]:
    """The first byte of each frame, and its payload."""
    found: list[Raw] = []
    while data:
        assert data[1] >> 7 == masked
        size, at = data[1] & 0x7F, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        key = data[at : at + 4] if masked else bytes(4)
        at += 4 * masked
        payload = bytes(a ^ b for a, b in zip(data[at : at + size], itertools.cycle(key)))
        found.append((data[0], payload))
        data = data[at + size :]
    return found


def says(one: Driven) -> list[Raw]:
    return raw_frames(one.connection.data_to_send(), masked=not one.server)


def send(one: Driven, chunks: object, text: bool | None = None) -> None:
    for fragment in fragments(chunks, text):
        one.connection.send_fragment(fragment)


def compressing(role: str, mode: str = "context_takeover", **options: object) -> Driven:
    settings = {"compression": mode, "compression_window_bits": 15, "compression_threshold": 1}
    return Driven(role, extension=DEFLATE, **settings | options)


# ------------------------------------------------------------------ chunks


@given(chunks=texts | blobs)
def test_fragments_are_the_chunks(chunks: list[str] | list[bytes]) -> None:
    found = list(fragments(chunks, None))
    text = bool(chunks) and isinstance(chunks[0], str)
    payloads = [chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks]
    assert [fragment.payload for fragment in found] == payloads or (payloads, len(found)) == ([], 1)
    assert [fragment.last for fragment in found] == [False] * (len(found) - 1) + [True]
    assert {fragment.text for fragment in found} == {text}


@pytest.mark.parametrize("text", [None, False, True])
def test_no_chunks_make_an_empty_message(text: bool | None) -> None:
    assert list(fragments([], text)) == [Fragment(b"", bool(text), last=True)]


def test_chunks_are_asked_for_one_ahead() -> None:
    asked = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            asked.append(number)
            yield b"%d" % number

    found = fragments(chunks(), None)
    assert asked == []
    for ahead in ([0, 1], [0, 1, 2], [0, 1, 2]):
        next(found)
        assert asked == ahead


def test_a_chunk_that_is_used_again_is_copied() -> None:
    def chunks() -> Iterator[memoryview]:
        space = bytearray(4)
        for number in range(3):
            space[:] = b"%d" % number * 4
            yield memoryview(space)[::2]

    assert [fragment.payload for fragment in fragments(chunks(), None)] == [b"00", b"11", b"22"]


@pytest.mark.parametrize("single", ["text", b"bytes", bytearray(3), memoryview(b"view"), 5, None])
def test_what_is_no_iterable_of_chunks(single: object) -> None:
    with pytest.raises(TypeError):
        fragments(single, None)


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        (["a", b"b"], None),
        ([b"a", "b"], None),
        ([5], None),
        ([None], False),
        (["a"], False),
        ([b"a"], True),
        ([[b"a"]], None),
    ],
)
def test_a_chunk_of_a_wrong_type(chunks: list[object], text: bool | None) -> None:
    with pytest.raises(TypeError):
        list(fragments(chunks, text))


def test_a_lone_surrogate_is_found_before_the_chunk_ahead_is_sent() -> None:
    found = fragments(["good", "\ud800"], None)
    with pytest.raises(UnicodeEncodeError):
        next(found)


# ------------------------------------------------------------------ frames


@given(chunks=texts | blobs, server=st.booleans())
def test_a_frame_for_each_chunk(chunks: list[str] | list[bytes], server: bool) -> None:
    one = Driven("server" if server else "client")
    send(one, chunks)
    found = says(one)
    opcode = TEXT if chunks and isinstance(chunks[0], str) else BINARY
    firsts = [opcode, *[CONTINUATION] * (len(found) - 1)]
    firsts[-1] |= FIN
    assert [first for first, _ in found] == firsts
    assert len(found) == max(1, len(chunks))
    payload = b"".join(payload for _, payload in found)
    assert payload == b"".join(c.encode() if isinstance(c, str) else c for c in chunks)
    (message,) = Decoder(server=not server).feed(b"".join(wire(found, masked=not server)))
    assert message == ("".join(chunks) if opcode == TEXT else b"".join(chunks))


def wire(found: list[Raw], *, masked: bool) -> Iterator[bytes]:
    for first, payload in found:
        assert len(payload) < 126
        yield bytes([first, masked << 7 | len(payload)]) + bytes(4 * masked) + payload


def test_control_frames_come_between_and_messages_do_not(role: str) -> None:
    one = Driven(role)
    connection = one.connection
    assert connection.outbox.open
    coming = fragments(["a", "b", "c"], None)
    connection.send_fragment(next(coming))
    assert connection.fragmenting
    assert not connection.outbox.open
    connection.ping(b"!", 0.0)
    one.hears(one.frame(PING, b"?"))
    with pytest.raises(RuntimeError):
        connection.send("between")
    connection.send_fragment(next(coming))
    connection.send_fragment(next(coming))
    assert not connection.fragmenting
    assert connection.outbox.open
    connection.send("after")
    assert says(one) == [
        (TEXT, b"a"),
        (FIN | PING, b"!"),
        (FIN | PONG, b"?"),
        (CONTINUATION, b"b"),
        (FIN | CONTINUATION, b"c"),
        (FIN | TEXT, b"after"),
    ]


def test_only_an_open_connection_takes_fragments(role: str) -> None:
    one = Driven(role)
    coming = fragments([b"a", b"b"], None)
    one.connection.send_fragment(next(coming))
    one.connection.close(1000, "", 0.0)
    with pytest.raises(ConnectionClosed):
        one.connection.send_fragment(next(coming))
    one.connection.break_message(0.0)
    assert says(one) == [(BINARY, b"a"), (FIN | CLOSE, close_payload(1000))]
    assert not one.connection.outbox.open


def test_a_message_that_cannot_be_completed_fails_the_connection(role: str) -> None:
    one = Driven(role)
    one.connection.break_message(0.0)  # there is none: nothing happens
    one.connection.send_fragment(Fragment(b"a", text=False, last=False))
    one.connection.break_message(0.0)
    reason = "a message sent in fragments could not be completed"
    assert says(one) == [(BINARY, b"a"), (FIN | CLOSE, close_payload(1011, reason))]
    assert isinstance(one.connection.error, ConnectionLost)
    assert one.connection.close_code == 1011
    one.connection.break_message(0.0)
    assert says(one) == []


@pytest.mark.parametrize("compression", [0, 1])
@pytest.mark.parametrize("sent", [0, 1])
def test_no_memory_for_a_fragment(
    role: str, compression: int, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMemory:
        open = True

        def frame(self, *_args: object, **_options: object) -> None:
            raise MemoryError

    one = compressing(role) if compression else Driven(role)
    for _ in range(sent):
        one.connection.send_fragment(Fragment(b"sent", text=True, last=False))
    with monkeypatch.context() as patch:
        patch.setattr(one.connection._outgoing, "outbox", NoMemory())
        with pytest.raises(MemoryError):
            one.connection.send_fragment(Fragment(b"more", text=True, last=False))
    assert one.connection.fragmenting is bool(sent)
    if not sent:
        one.connection.send("after" * 100)
        ((_, payload),) = says(one)
        if compression:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + TAIL)
        assert payload == b"after" * 100


# ------------------------------------------------------------------ compressed


@pytest.fixture(params=BACKENDS, ids=NAMES)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.protocol.deflate.zlib", request.param)


def inflating() -> Callable[[list[bytes]], bytes]:
    """What inflates the payloads of one message after the other, as the RFC says."""
    state = zlib.decompressobj(wbits=-15)

    def inflate(payloads: list[bytes]) -> bytes:
        return state.decompress(b"".join(payloads) + TAIL)

    return inflate


LISTS: list[list[bytes]] = [
    [b"Hello ", b"Hello ", b"Hello"],
    [b"", b"a", b""],
    [b"", b""],
    [b"", b"", b"Hello"],
    [b"Hello", b"", b"", b""],
    [b"x" * 100_000, b"y", b"x" * 100_000],
    [b"one alone"],
    [],
]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("mode", ["context_takeover", "no_context"])
def test_compressed_fragments(role: str, mode: str) -> None:
    """RSV1 on the first alone; the context is that of all messages before; only the last frame
    lacks its tail."""
    one = compressing(role, mode)
    inflate = inflating()
    for chunks in [*LISTS, *LISTS]:
        send(one, chunks)
        found = says(one)
        assert len(found) == max(1, len(chunks))
        if any(chunks) or len(chunks) > 1:
            rsv1 = [bool(first & RSV1) for first, _ in found]
            assert rsv1 == [True] + [False] * (len(found) - 1)
            assert inflate([payload for _, payload in found]) == b"".join(chunks)
        else:
            assert found == [(FIN | BINARY, b"")]
        one.connection.send("Hello " * 20)
        ((first, payload),) = says(one)
        assert first == FIN | TEXT | RSV1
        assert inflate([payload]) == b"Hello " * 20


@given(chunks=texts | blobs, takeover=st.booleans())
def test_any_compressed_fragments_reach_a_peer_of_ours(
    chunks: list[str] | list[bytes], takeover: bool
) -> None:
    one = compressing("client", "context_takeover" if takeover else "no_context")
    peer = compressing("server")
    for _ in range(3):
        send(one, chunks)
        expected = "".join(chunks) if chunks and isinstance(chunks[0], str) else b"".join(chunks)
        assert peer.hears(one.connection.data_to_send()) == [expected]


@pytest.mark.usefixtures("backend")
def test_each_fragment_can_be_inflated_when_it_comes(role: str) -> None:
    one = compressing(role)
    state = zlib.decompressobj(wbits=-15)
    chunks = [b"first", b"second", b"third"]
    for chunk, fragment in zip(chunks, fragments(chunks, None), strict=True):
        one.connection.send_fragment(fragment)
        ((_, payload),) = says(one)
        assert state.decompress(payload) == chunk


def test_the_threshold_counts_for_one_chunk_alone(role: str) -> None:
    one = compressing(role, compression_threshold=100)
    for chunks, rsv1 in (([b"few"], 0), ([b"x" * 100], RSV1), ([b"f", b"ew"], RSV1)):
        send(one, chunks)
        assert says(one)[0][0] & RSV1 == rsv1


def test_the_outbox_of_a_compressed_connection_stays_closed(role: str) -> None:
    one = compressing(role)
    send(one, ["a", "b"])
    assert not one.connection.outbox.open
    decoder = Decoder(server=not one.server, compression=True)
    assert all(isinstance(e, Compressed) for e in decoder.feed(one.connection.data_to_send()))
