"""Checking UTF-8 and making `str` of it.

Whole: a message in one chunk. In parts: one that comes in frames cut at any byte, where a bad byte
must be found as it comes; the peers that can do so are validators without a parser, and have to
make the `str` as well.
"""

import codecs
from collections.abc import Callable

import pytest
from micro_peers import optional
from micro_wire import fragments, frame

from wsfast.codec import Decoder

SIZE = 64 << 10
PART = 4093  # a prime: characters are cut anywhere
TEXTS = {
    "ASCII": "plain words, as most text is. ",
    "Latin": "Où est-ce que ça fait mal? Là. ",
    "Cyrillic": "съешь ещё этих мягких булок ",
    "Chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張",
    "emoji": "\U0001f40d\U0001f680\U0001f4a1 ",
}


def make(kind: str) -> bytes:
    pattern = TEXTS[kind].encode()
    return pattern * (SIZE // len(pattern))


def whole_ways() -> dict[str, Callable[[bytes], object]]:
    ways: dict[str, Callable[[bytes], object]] = {"bytes.decode": bytes.decode}
    if wsaccel := optional("wsaccel.utf8validator"):
        ways["wsaccel, then decode"] = lambda data: (
            wsaccel.Utf8Validator().validate(data),
            data.decode(),
        )
    if client := optional("websocket._utils"):
        ways["websocket-client"] = lambda data: (client.validate_utf8(data), data.decode())
    return ways


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("contender", ["wsfast", *whole_ways()])
def test_whole(contender: str, kind: str, measure: Callable[..., None]) -> None:
    data = make(kind)
    case = f"UTF-8, {kind}, 64 KiB in one chunk"
    if contender != "wsfast":
        measure(case, contender, whole_ways()[contender], data)
        return
    feed = Decoder(buffer_size=2 * SIZE).feed
    stream = frame(data.decode(), masked=False)
    assert feed(stream) == [data.decode()]
    measure(case, contender, feed, stream)


def by_wsfast(stream: list[bytes], text: list[bytes]) -> Callable[[], object]:
    feed = Decoder().feed

    def run() -> object:
        for part in stream[:-1]:
            feed(part)
        return feed(stream[-1])[0]

    return run


def by_codecs(stream: list[bytes], text: list[bytes]) -> Callable[[], object]:
    def run() -> object:
        decoder = codecs.getincrementaldecoder("utf-8")()
        return "".join([*map(decoder.decode, text), decoder.decode(b"", True)])

    return run


def by_wsaccel(stream: list[bytes], text: list[bytes]) -> Callable[[], object]:
    module = pytest.importorskip("wsaccel.utf8validator")

    def run() -> object:
        validator = module.Utf8Validator()
        for part in text:
            validator.validate(part)
        return b"".join(text).decode()

    return run


PARTS = {"wsfast": by_wsfast, "codecs": by_codecs, "wsaccel, then decode": by_wsaccel}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("contender", PARTS)
def test_in_parts(contender: str, kind: str, measure: Callable[..., None]) -> None:
    data = make(kind)
    text = [data[at : at + PART] for at in range(0, len(data), PART)]
    run = PARTS[contender](fragments(data, PART), text)
    assert run() == data.decode()
    measure(f"UTF-8, {kind}, 64 KiB in 17 frames", contender, run)
