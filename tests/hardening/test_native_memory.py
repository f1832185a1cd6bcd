"""Native memory errors: what fuzzing has kept for the C code, replayed through its bindings.

The C code itself replays it under sanitizers with its own tests. Here everything above it is looked
at: whatever comes, and however it is cut, the messages are the same.
"""

from pathlib import Path

import pytest

from wsfast.codec import Compressed, Decoder, Failure

CORPUS = Path(__file__).parents[2] / "csrc" / "fuzz" / "corpus"
TARGETS = sorted(path for path in CORPUS.iterdir() if path.is_dir())


def events(stream: bytes, step: int, *, server: bool, compression: bool) -> list[object]:
    """What comes of the stream, with the pieces of each compressed message joined."""
    decoder = Decoder(
        server=server, compression=compression, max_message=100_000, max_fragments=100
    )
    found: list[object] = []
    begun = b""
    for at in range(0, len(stream), step):
        for event in decoder.feed(stream[at : at + step]):
            if isinstance(event, Compressed):
                begun += event.data
                if not event.more:
                    found.append(Compressed(begun, event.text))
                    begun = b""
            elif not isinstance(event, Failure) or event not in found:  # it is said again and again
                found.append(event)
    return found


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: path.name)
def test_corpus(target: Path) -> None:
    streams = [path.read_bytes() for path in target.iterdir()]
    assert streams
    for stream in streams:
        for server in (False, True):
            for compression in (False, True):
                whole = events(stream, 1 << 20, server=server, compression=compression)
                for step in (1, 7):
                    cut = events(stream, step, server=server, compression=compression)
                    assert cut == whole


def test_there_is_a_corpus() -> None:
    assert {"parser", "utf8", "mask"} <= {path.name for path in TARGETS}
