"""Our clients against servers that nobody here wrote: over ws and wss, IPv4 and IPv6."""

import json

import pytest
from interop_common import SUBPROTOCOL, digest, payload, pieces
from interop_process import PATIENCE

from wsfast.codec import Ping

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
MESSAGES = [(kind, size) for kind in ("text", "binary") for size in SIZES]
DIGESTS = [digest(payload(*message)) for message in MESSAGES]

CAN_FRAGMENT = ["websockets", "websockets-sync", "ws"]
"""aiohttp has no way to send a message in fragments."""

CLOSES = [(1000, "done"), (1001, ""), (3000, "é€😀"), (4999, "r" * 123)]


def exchange(ours) -> None:
    """Every message comes back as it was sent."""
    for message in MESSAGES:
        sent = payload(*message)
        ours.send(sent)
        assert ours.receive() == sent, message


def test_every_kind_and_size(dial, scheme: str, host: str) -> None:
    session = dial("echo", scheme, host)
    exchange(session.ours)
    session.ours.close(1000, "")
    session.ours.wait_closed()
    assert session.report()["received"] == DIGESTS


def test_messages_sent_without_waiting(dial, scheme: str) -> None:
    session = dial("echo", scheme)
    for message in MESSAGES:
        session.ours.send(payload(*message))
    assert [digest(session.ours.receive()) for _ in MESSAGES] == DIGESTS


@pytest.mark.parametrize("peer", CAN_FRAGMENT, indirect=True, scope="session")
def test_fragments_from_the_peer(dial, scheme: str) -> None:
    exchange(dial("fragments", scheme).ours)


@pytest.mark.parametrize("dial", ["threads", "aio"], indirect=True)
def test_fragments_to_the_peer(dial, scheme: str) -> None:
    session = dial("echo", scheme)
    for message in MESSAGES:
        sent = payload(*message)
        session.ours.connection.send_fragments(pieces(sent))
        assert session.ours.receive() == sent, message
    session.ours.close(1000, "")
    session.ours.wait_closed()
    assert session.report()["received"] == DIGESTS


def test_pings_from_the_peer(dial, scheme: str) -> None:
    # The peer answers only after it has got the right pong.
    exchange(dial("pings", scheme).ours)


@pytest.mark.parametrize("dial", ["threads", "aio"], indirect=True)
def test_pings_from_the_peer_among_the_messages(dial, scheme: str) -> None:
    ours = dial("pings", scheme, control_messages=True).ours
    for message in MESSAGES:
        sent = payload(*message)
        ours.send(sent)
        assert isinstance(ours.receive(), Ping)
        assert ours.receive() == sent, message


@pytest.mark.parametrize("dial", ["threads", "aio"], indirect=True)
def test_pings_to_the_peer(dial, scheme: str) -> None:
    connection = dial("echo", scheme).ours.connection
    for data in (b"", b"ping", bytes(range(125))):
        assert connection.wait_pong(connection.ping(data), PATIENCE)
    assert connection.latency > 0


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([], None), (["chat.v1"], None), (["chat.v1", SUBPROTOCOL], SUBPROTOCOL)],
    ids=["none", "unknown", "known"],
)
def test_subprotocol(dial, offered: list[str], chosen: str | None) -> None:
    session = dial("echo", protocols=offered)
    connection = getattr(session.ours, "connection", None)
    if connection is not None:  # the ID API does not show it
        assert connection.subprotocol == chosen
    exchange(session.ours)
    session.ours.close(1000, "")
    session.ours.wait_closed()
    assert session.report()["subprotocol"] == chosen


def test_headers_and_path(dial) -> None:
    session = dial("echo", headers={"X-Trace": "a b;c", "Authorization": "Bearer x"}, origin="null")
    session.ours.close(1000, "")
    session.ours.wait_closed()
    report = session.report()
    assert report["path"] == "/echo"
    headers = report["headers"]
    assert headers["x-trace"] == "a b;c"
    assert headers["authorization"] == "Bearer x"
    assert headers["origin"] == "null"
    assert headers["user-agent"].startswith("wsfast/")


def test_no_extension(dial) -> None:
    session = dial("echo")
    connection = getattr(session.ours, "connection", None)
    if connection is not None:
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
    session.ours.close(1000, "")
    session.ours.wait_closed()
    assert "sec-websocket-extensions" not in session.report()["headers"]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_by_us(dial, scheme: str, code: int, reason: str) -> None:
    session = dial("echo", scheme)
    session.ours.send("first")
    session.ours.close(code, reason)
    seen = session.ours.wait_closed()
    report = session.report()
    assert report["close"] == [code, reason]
    assert report["received"] == [digest("first")]
    # What the peer's own close frame says is its choice: aiohttp's does not repeat the code.
    assert seen[0] == (1000 if session.peer.version.startswith("aiohttp") else code)


@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_by_the_peer(dial, scheme: str, code: int, reason: str) -> None:
    session = dial("close", scheme)
    session.ours.send(json.dumps([code, reason]))
    assert session.ours.wait_closed() == (code, reason)
    assert session.report()["close"][0] == code
