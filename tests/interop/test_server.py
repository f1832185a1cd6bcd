"""Our server against clients that nobody here wrote: over ws and wss, IPv4 and IPv6."""

import queue

import pytest
from interop_common import digest, payload, pieces
from interop_process import PATIENCE

from wsfast.protocol.errors import ConnectionClosed

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
MESSAGES = [(kind, size) for kind in ("text", "binary") for size in SIZES]
DIGESTS = [digest(payload(*message)) for message in MESSAGES]

CAN_FRAGMENT = ["websockets", "websockets-sync", "ws"]
"""aiohttp has no way to send a message in fragments."""

BEAR_NO_SUBPROTOCOL = ["websockets", "websockets-sync", "aiohttp"]
"""ws ends a connection if the server chooses none of those that it has offered."""

CLOSES = [(1000, "done"), (1001, ""), (3000, "é€😀"), (4999, "r" * 123)]


class Echo:
    """A handler that sends back what comes, and notes the connection and how it ended."""

    def __init__(self) -> None:
        self.connections = queue.Queue()
        self.endings = queue.Queue()

    def __call__(self, connection) -> None:
        self.connections.put(connection)
        try:
            while True:
                connection.send(connection.receive())
        except ConnectionClosed as exc:
            self.endings.put((exc.code, exc.reason))


@pytest.fixture
def echo() -> Echo:
    return Echo()


def test_every_kind_and_size(peer, start, echo: Echo, scheme: str, host: str) -> None:
    report = peer.run(start(echo, scheme, host), messages=MESSAGES)
    assert report["received"] == DIGESTS
    assert report["close"][0] == 1000
    assert echo.endings.get(timeout=PATIENCE) == (1000, "")


@pytest.mark.parametrize("peer", CAN_FRAGMENT, indirect=True, scope="session")
def test_fragments_from_the_peer(peer, start, echo: Echo, scheme: str) -> None:
    report = peer.run(start(echo, scheme), messages=MESSAGES, way="fragments")
    assert report["received"] == DIGESTS


def test_fragments_to_the_peer(peer, start, scheme: str) -> None:
    def handler(connection) -> None:
        for message in connection:
            connection.send_fragments(pieces(message))

    report = peer.run(start(handler, scheme), messages=MESSAGES)
    assert report["received"] == DIGESTS


def test_pings_from_the_peer(peer, start, echo: Echo, scheme: str) -> None:
    # The peer goes on only after it has got the right pong.
    report = peer.run(start(echo, scheme), messages=MESSAGES, way="pings")
    assert report["received"] == DIGESTS


def test_pings_to_the_peer(peer, start, scheme: str) -> None:
    answered = queue.Queue()

    def handler(connection) -> None:
        for data in (b"", b"ping", bytes(range(125))):
            answered.put(connection.wait_pong(connection.ping(data), PATIENCE))

    report = peer.run(start(handler, scheme), close=None)
    assert [answered.get(timeout=PATIENCE) for _ in range(3)] == [True] * 3
    assert report["close"] == [1000, ""]


def check_subprotocol(peer, start, echo: Echo, offered: list[str] | None, chosen: str | None):
    url = start(echo, protocols=["chat.v2", "chat.v1"])
    report = peer.run(url, subprotocols=offered, messages=[("text", 5)])
    assert report["subprotocol"] == chosen
    assert report["received"] == [digest(payload("text", 5))]
    assert echo.connections.get(timeout=PATIENCE).subprotocol == chosen


def test_subprotocol(peer, start, echo: Echo) -> None:
    # The order of the server counts.
    check_subprotocol(peer, start, echo, ["chat.v1", "chat.v2"], "chat.v2")


def test_no_subprotocol(peer, start, echo: Echo) -> None:
    check_subprotocol(peer, start, echo, None, None)


@pytest.mark.parametrize("peer", BEAR_NO_SUBPROTOCOL, indirect=True, scope="session")
def test_no_subprotocol_in_common(peer, start, echo: Echo) -> None:
    check_subprotocol(peer, start, echo, ["chat.v3"], None)


def test_headers_and_path(peer, start, echo: Echo) -> None:
    peer.run(start(echo) + "a%20path?a=1&b", headers={"X-Trace": "a b;c"})
    request = echo.connections.get(timeout=PATIENCE).request
    assert request.target == "/a%20path?a=1&b"
    assert request.headers["X-Trace"] == "a b;c"


def test_compression_is_offered_and_declined(peer, start, echo: Echo) -> None:
    report = peer.run(start(echo), messages=MESSAGES)
    request = echo.connections.get(timeout=PATIENCE).request
    assert "permessage-deflate" in request.headers["Sec-WebSocket-Extensions"]
    assert report["extensions"] == ""
    assert report["received"] == DIGESTS


@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_by_the_peer(peer, start, echo: Echo, scheme: str, code: int, reason: str) -> None:
    report = peer.run(start(echo, scheme), messages=[("text", 5)], close=(code, reason))
    assert report["close"][0] == code
    assert echo.endings.get(timeout=PATIENCE) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_by_us(peer, start, scheme: str, code: int, reason: str) -> None:
    endings = queue.Queue()

    def handler(connection) -> None:
        connection.send(connection.receive())
        connection.close(code, reason)
        assert connection.wait_ended(30)
        endings.put((connection.close_code, connection.error))

    report = peer.run(start(handler, scheme), messages=[("text", 5)], close=None)
    assert report["close"] == [code, reason]
    # What the peer's own close frame says is its choice: aiohttp's does not repeat the code.
    ours = 1000 if peer.version.startswith("aiohttp") else code
    assert endings.get(timeout=PATIENCE) == (ours, None)
