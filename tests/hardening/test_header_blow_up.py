"""Header parsing blow-up: hostile fields cost linear time.

Each test does so much that quadratic time would take hours and run into the limit of any test.
"""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer, client_peer

from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.headers import split_tokens
from wsfast.protocol.http1 import MAX_HEAD_BYTES
from wsfast.protocol.options import client_options
from wsfast.protocol.origins import OriginPolicy

ROOM = MAX_HEAD_BYTES - 1000
HOSTILE = {
    "quoted pairs": b'a; b="' + b"\\c" * (ROOM // 2),
    "quotes": b'a; b="' + b'"' * ROOM,
    "spaces": b"a" + b" " * ROOM + b"b",
    "tabs": b"a" + b"\t" * ROOM + b"b",
    "commas": b"," * ROOM,
    "commas and spaces": b", " * (ROOM // 2),
    "semicolons": b"a;" * (ROOM // 2),
    "tokens": b"a," * (ROOM // 2),
    "dots": b"http://" + b"a." * (ROOM // 2),
    "slashes": b"http://" + b"/" * ROOM,
    "one long word": b"a" * ROOM,
}
NAMES = [
    b"Sec-WebSocket-Extensions",
    b"Sec-WebSocket-Protocol",
    b"Connection",
    b"Upgrade",
    b"Origin",
    b"Sec-WebSocket-Key",
]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_requests(value: bytes, start_server: Any) -> None:
    port = start_server(lambda connection: connection.send("welcome")).server.port
    for name in NAMES:
        for _ in range(5):
            with client_peer(port) as peer:
                peer.ask(name + b": " + value, without=(b"Sec-WebSocket-Key",))
                assert peer.status() in (400, 403, 426)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_answers(
    value: bytes, fails: Callable[..., str], raw_server: Callable[..., RawServer]
) -> None:
    for name in NAMES[:4]:

        def answer(peer: RawServerPeer, name: bytes = name) -> None:
            peer.read_head()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\n" + name + b": " + value + b"\r\n\r\n")

        server = raw_server(answer)
        for _ in range(5):
            fails(server.url)


SIZE = 2_000_000


@pytest.mark.parametrize("part", ["a", " ", ",", ", ", "a,", '"', "\\c", "a; b=", "\t ,"])
def test_lists_of_tokens(part: str) -> None:
    assert len(split_tokens(part * SIZE)) <= SIZE


@pytest.mark.parametrize("part", ["a", " ", "\t", ",", "a "])
def test_fields_to_be_sent(part: str) -> None:
    long = "x" + part * SIZE + "x"
    client_options(headers={"A": long})
    with pytest.raises(InvalidOption):
        client_options(headers={"A": long + "\0"})
    with pytest.raises(InvalidOption):
        client_options(headers={long + "\0": "a"})
    with pytest.raises(InvalidOption):
        client_options(protocols=[long + "\0"])


@pytest.mark.parametrize("part", ["a", "a.", ".", "-", "*", "http://", "0", ":0"])
def test_origins(part: str) -> None:
    policy = OriginPolicy(["https://" + "*a" * 20 + ".example.com", "*.*.*.*.*.b", "localhost:*"])
    for scheme in "", "http://", "https://":
        assert not policy.allows(scheme + part * SIZE, "localhost")
        assert not OriginPolicy(None).allows(scheme + part * SIZE, "localhost")
        # The longest that is looked at.
        assert not policy.allows((scheme + part * 512)[:512], "localhost")
