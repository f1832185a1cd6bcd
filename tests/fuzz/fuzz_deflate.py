"""Inflating anything, against the standard library; compressing and inflating again; the header."""

import zlib

from choices import Choices

from wsfast.codec import Compressed
from wsfast.protocol.deflate import Deflater, InflateError, Inflater
from wsfast.protocol.extensions import (
    ExtensionError,
    accept_answer,
    answer_offers,
    make_offer,
    parse,
)
from wsfast.protocol.options import client_options, server_options

LIMIT = 100_000
TAIL = b"\x00\x00\xff\xff"


def one_input(data: bytes) -> None:
    """What a fuzzer calls with anything at all."""
    choices = Choices(data)
    kind = choices.number(2)
    if kind == 0:
        inflate_anything(choices)
    elif kind == 1:
        there_and_back(choices)
    else:
        negotiate(choices)


def inflate_anything(choices: Choices) -> None:
    size = 1 + choices.number(300)
    payload = choices.rest()
    inflater = Inflater(15, LIMIT, takeover=True)
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    message: str | bytes | None = None
    try:
        for piece in pieces[:-1]:
            assert inflater.feed(Compressed(piece, False, True)) is None
        message = inflater.feed(Compressed(pieces[-1]))
    except InflateError as error:
        assert error.code in (1007, 1009)  # noqa: PT017 - this is no test but what one calls
    assert message == reference(payload)


def reference(payload: bytes) -> bytes | None:
    """The message, by a loop without care for time or memory; None if there is none."""
    message, rest = b"", payload + TAIL if payload else b""
    while rest:
        state = zlib.decompressobj(-15)
        try:
            message += state.decompress(rest, LIMIT + 1)
        except zlib.error:
            return None
        if len(message) > LIMIT:
            return None
        rest = state.unused_data
        if 0 < len(rest) < len(TAIL):
            return None
        rest = b"" if rest == TAIL else rest
    return message


def there_and_back(choices: Choices) -> None:
    bits, level = 8 + choices.number(7), 1 + choices.number(8)
    takeover = choices.number(1) == 1
    deflater = Deflater(bits, level, takeover=takeover)
    inflater = Inflater(bits, LIMIT, takeover=takeover)
    while choices:
        message = choices.some_bytes() * (1 + choices.number(50))
        if message:
            compressed = bytes(deflater.compress(message))
            assert inflater.feed(Compressed(compressed)) == message


def negotiate(choices: Choices) -> None:
    modes = {"compression": choices.number(2), "compression_window_bits": 9 + choices.number(6)}
    client, server = client_options(**modes), server_options(**modes)
    value = choices.rest().decode("latin-1")
    try:
        parse([value])
        parsed = True
    except ExtensionError:
        parsed = False
    try:
        answer = answer_offers([value], server)
    except ExtensionError:
        assert not parsed
    else:
        assert parsed
        if answer is not None:
            assert parse([answer[1]])
    try:
        agreed = accept_answer([value], client)
    except ExtensionError:
        pass
    else:
        assert parsed
        assert agreed is None or make_offer(client) is not None
