"""Every violation: the right code and reason, after the messages before it, for good."""

import codec_reference
import pytest
from codec_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    WAYS,
    cut,
    frame,
    header,
    key_for,
)
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Close, Decoder, Failure


def close(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def violations(server: bool) -> dict[str, list[tuple[str, bytes]]]:
    """For each rule: names and streams that end with the byte by which it can be known."""
    key = key_for(server)
    begun = frame(TEXT, b"begun", fin=False, key=key)

    def head(opcode: int, length: int, **more: int) -> bytes:
        """The part of a header that comes before the masking key."""
        return header(opcode, length, key=key and b"", **more)

    reserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
    bad_codes = [*(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)]
    bad_text = {
        "lone continuation": b"\x80",
        "overlong slash": b"\xc0",
        "overlong of three bytes": b"\xe0\x9f",
        "overlong of four bytes": b"\xf0\x8f",
        "surrogate": b"\xed\xa0",
        "above U+10FFFF": b"\xf4\x90",
        "no lead byte": b"\xf5",
        "0xFF": b"\xff",
        "cut character": b"\xe2\x82A",
    }
    return {
        "reserved bits set": [
            (f"RSV {rsv}, opcode {opcode}", head(opcode, 0, rsv=rsv))
            for rsv in range(1, 8)
            for opcode in (TEXT, BINARY, PING, CLOSE)
        ]
        + [("RSV1 of a continuation", begun + head(CONTINUATION, 0, rsv=4))],
        "reserved opcode": [(f"opcode {opcode}", head(opcode, 0)) for opcode in reserved]
        + [(f"opcode {opcode} inside a message", begun + head(opcode, 0)) for opcode in reserved],
        "server frame masked" if not server else "client frame not masked": [
            (f"opcode {opcode}", header(opcode, 5, key=None if server else b""))
            for opcode in (TEXT, BINARY, PING, PONG, CLOSE)
        ],
        "length not in its shortest form": [
            (f"{length} in {form} bytes", head(BINARY, length, form=form))
            for length, form in [(0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)]
        ],
        "length over 63 bits": [
            (f"{length:#x}", head(BINARY, length, form=8)) for length in (1 << 63, (1 << 64) - 1)
        ],
        "control frame over 125 bytes": [
            (f"opcode {opcode}, {length} bytes", head(opcode, length)[:2])
            for opcode in (PING, PONG, CLOSE)
            for length in (126, 65536)
        ],
        "fragmented control frame": [
            (f"opcode {opcode}", head(opcode, 0, fin=False)) for opcode in (PING, PONG, CLOSE)
        ],
        "continuation without a message": [
            ("at the start", head(CONTINUATION, 0)),
            ("not the last", head(CONTINUATION, 0, fin=False)),
            ("after a whole message", frame(TEXT, key=key) + head(CONTINUATION, 0)),
        ],
        "new message inside a fragmented one": [
            ("text", begun + head(TEXT, 0)),
            ("binary", begun + head(BINARY, 0)),
            ("after a ping", begun + frame(PING, key=key) + head(TEXT, 0)),
        ],
        "close payload of one byte": [("close", head(CLOSE, 1))],
        "invalid close code": [
            (str(code), frame(CLOSE, close(code), key=key)) for code in bad_codes
        ]
        + [("with a reason", frame(CLOSE, close(1006, b"bye"), key=key))],
        "close reason is not UTF-8": [
            (name, frame(CLOSE, close(1000, b"ok" + bad), key=key))
            for name, bad in [*bad_text.items(), ("unfinished", b"\xe2\x82")]
        ],
        "text is not UTF-8": [
            (name, frame(TEXT, b"ok" + bad, key=key)) for name, bad in bad_text.items()
        ]
        + [
            (f"{name}, split", begun + frame(CONTINUATION, b, key=key))
            for name, b in bad_text.items()
        ]
        + [("unfinished", frame(TEXT, b"\xe2\x82", key=key))]
        + [("unfinished, split", begun + frame(CONTINUATION, b"\xf0\x9f\x8e", key=key))],
    }


CASES = [
    pytest.param(server, reason, stream, id=f"{'server' if server else 'client'}-{reason}-{name}")
    for server in (False, True)
    for reason, streams in violations(server).items()
    for name, stream in streams
]


def test_every_rule_has_its_cases() -> None:
    # The limits have a file of their own.
    covered = {*violations(False), *violations(True)}
    assert covered == {rule for rule, code in codec_reference.RULES.items() if code != 1009}


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize(("server", "reason", "stream"), CASES)
class TestViolations:
    def test_fails_with_its_code(self, give, server: bool, reason: str, stream: bytes) -> None:
        failure = Failure(codec_reference.RULES[reason], reason)
        assert give(Decoder(server=server), [stream])[-1] == failure

    def test_no_sooner_and_no_later(self, give, server: bool, reason: str, stream: bytes) -> None:
        decoder = Decoder(server=server)
        before = give(decoder, cut(stream[:-1], range(1, len(stream) - 1)))
        assert not any(isinstance(event, Failure) for event in before)
        assert give(decoder, [stream[-1:]])[-1] == Failure(codec_reference.RULES[reason], reason)

    def test_comes_after_the_messages(self, give, server: bool, reason: str, stream: bytes) -> None:
        key = key_for(server)
        before = frame(TEXT, b"one", key=key) + frame(BINARY, b"two", key=key)
        after = frame(TEXT, b"three", key=key)
        events = give(Decoder(server=server), [before + stream + after])
        assert events[:2] == ["one", b"two"]
        assert events[-1] == Failure(codec_reference.RULES[reason], reason)
        assert events == codec_reference.decode(before + stream + after, server=server)

    def test_stays(self, give, server: bool, reason: str, stream: bytes) -> None:
        decoder = Decoder(server=server)
        failure = give(decoder, [stream])[-1]
        for more in (frame(TEXT, b"fine", key=key_for(server)), b"\xff" * 100_000, b"", b"\x00"):
            assert give(decoder, [more]) == [failure]


def test_every_close_code() -> None:
    for code in range(65536):
        (event,) = Decoder().feed(frame(CLOSE, close(code)))
        valid = codec_reference.close_code_is_valid(code)
        assert event == (Close(code) if valid else Failure(1002, "invalid close code"))


@pytest.mark.parametrize("give", WAYS)
@given(stream=st.binary(max_size=200), server=st.booleans())
def test_garbage(give, stream: bytes, server: bool) -> None:
    assert give(Decoder(server=server), [stream]) == codec_reference.decode(stream, server=server)


@pytest.mark.parametrize("give", WAYS)
@given(data=st.data())
def test_damaged_streams(give, data: st.DataObject) -> None:
    server = data.draw(st.booleans())
    key = key_for(server)
    stream = bytearray(
        frame(TEXT, "é€🎈".encode(), fin=False, key=key) + frame(PING, b"x", key=key)
    )
    stream += frame(CONTINUATION, b"end", key=key) + frame(BINARY, bytes(130), key=key)
    stream += frame(CLOSE, close(1000, "é".encode()), key=key)
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=3)):
        stream[place] ^= data.draw(st.integers(1, 255))
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    expected = codec_reference.decode(bytes(stream), server=server)
    assert give(Decoder(server=server), cut(bytes(stream), places)) == expected


def test_key_is_of_no_concern() -> None:
    for key in (bytes(4), KEY, b"\xff\xff\xff\xff", b"\x00\x00\x00\x01"):
        assert Decoder(server=True).feed(frame(TEXT, b"hello", key=key)) == ["hello"]
