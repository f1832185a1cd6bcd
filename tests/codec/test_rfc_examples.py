"""The examples of RFC 6455, section 5.7."""

import pytest
from codec_wire import WAYS, cut

from wsfast.codec import Decoder, Outbox, Ping, Pong, apply_mask

HELLO_UNMASKED = bytes.fromhex("810548656c6c6f")
HELLO_MASKED = bytes.fromhex("818537fa213d7f9f4d5158")
HELLO_FRAGMENTED = bytes.fromhex("010348656c 80026c6f")
PING_UNMASKED = bytes.fromhex("890548656c6c6f")
PONG_MASKED = bytes.fromhex("8a8537fa213d7f9f4d5158")
BINARY_256 = bytes.fromhex("827e0100") + bytes(range(256))
BINARY_64K = bytes.fromhex("827f0000000000010000") + bytes(range(256)) * 256

EXAMPLES = [
    pytest.param(HELLO_UNMASKED, False, "Hello", id="unmasked text"),
    pytest.param(HELLO_MASKED, True, "Hello", id="masked text"),
    pytest.param(HELLO_FRAGMENTED, False, "Hello", id="fragmented text"),
    pytest.param(PING_UNMASKED, False, Ping(b"Hello"), id="ping"),
    pytest.param(PONG_MASKED, True, Pong(b"Hello"), id="masked pong"),
    pytest.param(BINARY_256, False, bytes(range(256)), id="256 bytes"),
    pytest.param(BINARY_64K, False, bytes(range(256)) * 256, id="64 KiB"),
]


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize(("stream", "server", "event"), EXAMPLES)
def test_decoded(give, stream: bytes, server: bool, event: object) -> None:
    assert give(Decoder(server=server), [stream]) == [event]


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize(("stream", "server", "event"), EXAMPLES)
def test_decoded_byte_by_byte(give, stream: bytes, server: bool, event: object) -> None:
    decoder = Decoder(server=server)
    chunks = list(cut(stream, range(1, len(stream))))
    assert give(decoder, chunks[:-1]) == []
    assert give(decoder, chunks[-1:]) == [event]


def test_encoded() -> None:
    outbox = Outbox(server=True)
    outbox.text("Hello")
    assert outbox.take() == HELLO_UNMASKED
    outbox.frame(1, b"Hel", fin=False)
    outbox.frame(0, b"lo")
    assert outbox.take() == HELLO_FRAGMENTED
    outbox.ping(b"Hello")
    assert outbox.take() == PING_UNMASKED
    outbox.binary(bytes(range(256)))
    assert outbox.take() == BINARY_256
    outbox.binary(bytes(range(256)) * 256)
    assert outbox.take() == BINARY_64K


def test_encoded_by_a_client() -> None:
    outbox = Outbox()
    outbox.text("Hello")
    outbox.pong(b"Hello")
    sent = outbox.take()
    text, pong = sent[:11], sent[11:]
    assert text[:2] == HELLO_MASKED[:2]
    assert pong[:2] == PONG_MASKED[:2]
    assert apply_mask(text[6:], text[2:6]) == b"Hello"
    assert apply_mask(pong[6:], pong[2:6]) == b"Hello"


def test_masked() -> None:
    assert apply_mask(b"Hello", HELLO_MASKED[2:6]) == HELLO_MASKED[6:]
