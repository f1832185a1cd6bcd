"""Every option of seeds 001 and 002: what it does to a connection with a server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from raw_peers import CLOSE, PING, PONG, TEXT, RawServerPeer, close_frame, field, frame, response

from wsfast.client import BINARY, COMPRESSION, Message, connect
from wsfast.errors import (
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    HandshakeError,
    InvalidOption,
    ProtocolError,
    SendTimeout,
)

WAIT = "10s"
MIB = 1024 * 1024


@pytest.fixture
def request_of(raw_server: Callable[..., Any]) -> Callable[..., bytes]:
    """The head of the request that `connect(**options)` sends."""

    def ask(**options: Any) -> bytes:
        server = raw_server(RawServerPeer.upgrade)
        connect(server.url, **options).close()
        head: bytes = server.result()
        return head

    return ask


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer token", "X-Custom": "value"},
        [("Authorization", "Bearer token"), ("X-Custom", "value")],
    ],
)
def test_headers(request_of: Any, headers: Any) -> None:
    head = request_of(headers=headers)
    assert field(head, b"Authorization") == b"Bearer token"
    assert field(head, b"X-Custom") == b"value"


def test_a_header_may_stand_there_twice(request_of: Any) -> None:
    head = request_of(headers=[("X-Custom", "one"), ("X-Custom", "two")])
    assert head.index(b"X-Custom: one\r\n") < head.index(b"X-Custom: two\r\n")


def test_the_user_agent_may_be_ones_own(request_of: Any) -> None:
    """Seed 002's example."""
    head = request_of(headers={"User-Agent": "Lua WebSocket Client"})
    assert field(head, b"User-Agent") == b"Lua WebSocket Client"
    assert head.lower().count(b"user-agent:") == 1


# ------------------------------------------------------------------ protocols


def test_the_protocol_that_was_chosen_is_known(start_server: Any) -> None:
    endpoint = start_server(list, protocols=["graphql-ws", "mqtt"])
    with connect(endpoint.url, protocols=["chat", "mqtt", "graphql-ws"]) as client:
        assert client.subprotocol in ("mqtt", "graphql-ws")
    with connect(endpoint.url, protocols=["chat"]) as client:
        assert client.subprotocol is None
    with connect(endpoint.url) as client:
        assert client.subprotocol is None


def test_a_protocol_that_was_not_offered_fails(raw_server: Any) -> None:
    server = raw_server(lambda peer: peer.upgrade(b"Sec-WebSocket-Protocol: other"))
    for protocols in [], ["chat"]:
        with pytest.raises(HandshakeError, match="not offered"):
            connect(server.url, protocols=protocols)


# ------------------------------------------------------------------ dial_timeout


@pytest.mark.parametrize("stalls", ["black_hole_url", "stalled_url"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_dial_timeout(stalls: str, scheme: str, request: pytest.FixtureRequest) -> None:
    """While TCP connects, in the TLS handshake, in the upgrade."""
    url = request.getfixturevalue(stalls).replace("ws", scheme, 1)
    with pytest.raises(ConnectTimeout, match="timeout") as caught:
        connect(url, dial_timeout="50ms")
    assert caught.value.retryable


def test_dial_timeout_bounds_an_upgrade_that_trickles_in(raw_server: Any) -> None:
    def trickle(peer: RawServerPeer) -> None:
        peer.read_head()
        try:
            while True:
                peer.send(b"X-Slow: 1\r\n" if sent else b"HTTP/1.1 101 Switching Protocols\r\n")
                sent.append(1)
                peer.sock.settimeout(0.01)
                try:
                    peer.sock.recv(1)
                    return
                except TimeoutError:
                    pass
        except OSError:
            pass

    sent: list[int] = []
    with pytest.raises(ConnectTimeout):
        connect(raw_server(trickle).url, dial_timeout=100)


# ------------------------------------------------------------------ read_timeout, write_timeout


@pytest.mark.parametrize("duration", ["30ms", 30, timedelta(milliseconds=30)])
def test_read_timeout_ends_the_connection_and_says_so(dial_client: Any, duration: Any) -> None:
    client, peer = dial_client(read_timeout=duration, ping_interval=None)
    with pytest.raises(ConnectionLost, match="read timeout"):
        list(client)
    assert client.close_code == 1008
    assert "read timeout" in client.close_reason
    assert peer.read_frame().code == 1008


def test_no_ping_extends_read_timeout(raw_server: Any) -> None:
    def ping(peer: RawServerPeer) -> int:
        peer.upgrade()
        peer.sock.settimeout(0.005)
        while True:
            peer.send(frame(PING))
            try:
                while (received := peer.read_frame()).opcode != CLOSE:
                    assert received.opcode == PONG
                return received.code
            except TimeoutError:
                pass

    server = raw_server(ping)
    client = connect(server.url, read_timeout="100ms")
    assert client.channel().receive() == (None, False)
    assert server.result() == 1008
    client.close()


def test_write_timeout_bounds_how_long_a_send_waits(raw_listener: Any, dial_client: Any) -> None:
    raw_listener.shrink()
    client, peer = dial_client(write_timeout="30ms", send_queue_bytes=100_000, ping_interval=None)
    sent = 0

    def send_without_end() -> None:
        nonlocal sent
        while True:
            client.send(sent.to_bytes(4, "big") * 5000)
            sent += 1

    with pytest.raises(SendTimeout, match="write_timeout") as caught:
        send_without_end()
    assert caught.value.retryable
    for number in range(sent):  # what was taken is not lost, and what was not is not sent
        assert peer.read_frame().payload == number.to_bytes(4, "big") * 5000
    client.send("next")
    assert peer.read_frame().payload == b"next"


# ------------------------------------------------------------------ compression


@pytest.mark.parametrize(
    ("mode", "offer"),
    [
        (COMPRESSION.DISABLED, None),
        (0, None),
        ("disabled", None),
        (COMPRESSION.CONTEXT_TAKEOVER, b"permessage-deflate"),
        (1, b"permessage-deflate"),
        ("context_takeover", b"permessage-deflate"),
        (COMPRESSION.NO_CONTEXT, b"client_no_context_takeover"),
        (2, b"client_no_context_takeover"),
        ("NO_CONTEXT", b"server_no_context_takeover"),
    ],
)
def test_compression(request_of: Any, start_server: Any, mode: Any, offer: bytes | None) -> None:
    offered = field(request_of(compression=mode), b"Sec-WebSocket-Extensions")
    assert offered is None if offer is None else offer in (offered or b"")
    if offer == b"permessage-deflate":
        assert b"no_context_takeover" not in (offered or b"")

    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    endpoint = start_server(echo, compression="context_takeover")
    with connect(endpoint.url, compression=mode) as client:
        assert client.compressed is (offer is not None)
        for _ in range(3):
            client.send("text " * 1000)
            assert client.channel().receive(WAIT)[0] == Message("text", "text " * 1000)


def test_it_is_off_by_default(request_of: Any) -> None:
    assert field(request_of(), b"Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize(
    ("mode", "threshold", "least"),
    [(1, 0, 128), (2, 0, 512), (1, 1000, 1000), (2, 1000, 1000), (1, 1, 1), (1, 104_857_600, None)],
)
def test_compression_threshold(
    raw_server: Any, mode: int, threshold: int, least: int | None
) -> None:
    server = raw_server(
        lambda peer: (
            peer.upgrade(b"Sec-WebSocket-Extensions: " + extension),
            [peer.read_frame().rsv for _ in range(2)],
        )
    )
    extension = b"permessage-deflate"
    if mode == 2:
        extension += b"; client_no_context_takeover; server_no_context_takeover"
    client = connect(server.url, compression=mode, compression_threshold=threshold)
    assert client.compressed
    client.send("x" * ((least or 2000) - 1))
    client.send("x" * (least or 2000))
    assert server.result()[1] == [0, 0 if least is None else 4]
    client.close()


# ------------------------------------------------------------------ read_limit


@pytest.mark.parametrize(("given", "limit"), [(100_000, 100_000), (1, 1), (0, 16 * MIB)])
@pytest.mark.parametrize("deflate", [False, True])
def test_read_limit(start_server: Any, given: int, limit: int, deflate: bool) -> None:
    """Exactly as much is received; a byte more closes with 1009."""

    def handler(connection: Any) -> None:
        connection.send(bytes(limit))
        connection.send(bytes(limit + 1))
        connection.send("not any more")
        for _ in connection:
            pass
        ended.append(connection.close_code)

    ended: list[int] = []
    endpoint = start_server(handler, compression=int(deflate), compression_threshold=1)
    client = connect(endpoint.url, read_limit=given, compression=int(deflate))
    assert client.compressed is deflate
    message, ok = client.channel().receive(WAIT)
    assert ok
    assert message == Message("binary", bytes(limit))
    with pytest.raises(ProtocolError):
        list(client)
    assert client.close_code == 1009
    client.close()
    endpoint.server.shutdown(5)
    assert ended == [1009]


def test_read_limit_at_its_bound(echo_server: Any) -> None:
    with connect(echo_server.url, echo_server.options, read_limit=134_217_728) as client:
        client.send("x")
        assert client.channel().receive(WAIT)[1]


# ------------------------------------------------------------------ channel_capacity


@pytest.mark.parametrize("capacity", [1, 10, 10_000])
def test_channel_capacity(echo_server: Any, capacity: int) -> None:
    with connect(echo_server.url, echo_server.options, channel_capacity=capacity) as client:
        channel = client.channel()
        assert channel.capacity == capacity
        for number in range(100):
            client.send(str(number))
        assert [channel.receive(WAIT)[0].data for _ in range(100)] == [*map(str, range(100))]


# ------------------------------------------------------------------ ping_interval, pong_timeout


def test_ping_interval(dial_client: Any) -> None:
    client, peer = dial_client(ping_interval="10ms", pong_timeout="1h")
    for _ in range(3):
        ping = peer.read_frame()
        assert ping.opcode == PING
        peer.send(frame(PONG, ping.payload))
        with pytest.raises(TimeoutError):  # somebody must read the pong
            client.channel().receive(1)
    peer.send(close_frame(1000))
    assert client.channel().receive(WAIT) == (None, False)


@pytest.mark.parametrize("way", ["receive", "select", "nobody waits"])
def test_a_peer_that_does_not_answer_pings_is_noticed(
    dial_client: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not even woken by what leaves."""
    monkeypatch.setattr("wsfast.threads.reader.STAND_IN", 0.01)
    client, peer = dial_client(ping_interval="20ms", pong_timeout="30ms")
    channel = client.channel()
    if way == "receive":
        assert channel.receive(WAIT) == (None, False)
    elif way == "select":
        from wsfast.channel import select

        assert select([channel.case_receive()], timeout=WAIT).ok is False
    else:
        assert client._connection.wait_ended(10)
    assert (client.close_code, client.close_reason) == (1011, "keepalive ping timeout")
    assert peer.read_frame().opcode == PING
    assert peer.read_close().code == 1011
    with pytest.raises(ConnectionClosed, match="keepalive ping timeout"):
        client.send("x")


def test_pong_timeout_is_that_of_ping_too(dial_client: Any) -> None:
    client, _ = dial_client(ping_interval=None, pong_timeout="5ms")
    with pytest.raises(TimeoutError, match="0.005 s"):
        client.ping()
    assert client.state.label == "connected"


def test_without_a_pong_timeout_a_ping_waits_too(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client(ping_interval=None, pong_timeout=None)
    pinging = pool.submit(client.ping)
    peer.send(frame(PONG, peer.read_frame().payload))
    assert pinging.result(10) is True


# ------------------------------------------------------------------ how options are given


def test_options_as_a_mapping(echo_server: Any) -> None:
    """As the seeds give them; of any kind of mapping."""
    for options in {"channel_capacity": 7}, MappingProxyType({"channel_capacity": 7}):
        with connect(echo_server.url, options, **echo_server.options) as client:
            assert client.channel().capacity == 7
    with connect(echo_server.url, None, **echo_server.options) as client:
        client.send(b"x", BINARY)
        assert client.channel().receive(WAIT)[0] == Message("binary", b"x")


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        (({"read_limit": 1},), {"read_limit": 1}, TypeError, "'read_limit' is given twice"),
        (([("read_limit", 1)],), {}, TypeError, "mapping, not list"),
        (("read_limit",), {}, TypeError, "mapping, not str"),
        (({}, {}), {}, TypeError, "positional"),
        (({"read_limits": 1},), {}, TypeError, "'read_limits'; did you mean 'read_limit'"),
        ((), {"channel_capacit": 1}, TypeError, "channel_capacit"),
        (({1: 2},), {}, TypeError, "must be a str, not 1"),
        ((), {"headers": {"Name": "a\r\nX: b"}}, InvalidOption, "headers"),
        ((), {"headers": {"Name": "a\0"}}, InvalidOption, "headers"),
        ((), {"headers": {"Na me": "a"}}, InvalidOption, "headers"),
        ((), {"headers": {"": "a"}}, InvalidOption, "headers"),
        ((), {"headers": {"Name": 1}}, TypeError, "headers"),
        ((), {"headers": "Name: a"}, TypeError, "headers"),
        ((), {"protocols": ["a b"]}, InvalidOption, "protocols"),
        ((), {"protocols": ["a", "a"]}, InvalidOption, "protocols"),
        ((), {"protocols": "a"}, TypeError, "protocols"),
        ((), {"dial_timeout": 0}, InvalidOption, "dial_timeout"),
        ((), {"dial_timeout": "5"}, InvalidOption, "dial_timeout"),
        ((), {"read_timeout": -1}, InvalidOption, "read_timeout"),
        ((), {"read_timeout": True}, TypeError, "read_timeout"),
        ((), {"write_timeout": "5x"}, InvalidOption, "write_timeout"),
        ((), {"ping_interval": [1]}, TypeError, "ping_interval"),
        ((), {"pong_timeout": "-1s"}, InvalidOption, "pong_timeout"),
        ((), {"compression": 3}, InvalidOption, "compression"),
        ((), {"compression": "gzip"}, InvalidOption, "compression"),
        ((), {"compression": True}, TypeError, "compression"),
        ((), {"compression_threshold": -1}, InvalidOption, "compression_threshold"),
        ((), {"compression_threshold": 104_857_601}, InvalidOption, "compression_threshold"),
        ((), {"read_limit": -1}, InvalidOption, "read_limit"),
        ((), {"read_limit": 134_217_729}, InvalidOption, "read_limit"),
        ((), {"read_limit": 1.0}, TypeError, "read_limit"),
        ((), {"channel_capacity": 0}, InvalidOption, "channel_capacity"),
        ((), {"channel_capacity": 10_001}, InvalidOption, "channel_capacity"),
        ((), {"channel_capacity": "1"}, TypeError, "channel_capacity"),
        ((), {"channel_capacity": True}, TypeError, "channel_capacity"),
        (
            (),
            {"channel_capacity": 1, "receive_queue_messages": 1},
            InvalidOption,
            "channel_capacity and receive_queue_messages",
        ),
    ],
)
def test_bad_options_raise_before_anything_is_sent(
    raw_listener: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        connect(raw_listener.url, *args, **options)
    raw_listener.expect_nobody()


@pytest.mark.parametrize("url", ["http://localhost/", "ws://", "localhost", "", None, b"ws://a/"])
def test_so_does_a_bad_url(url: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        connect(url)


def test_what_the_server_answered_is_known(raw_server: Any) -> None:
    server = raw_server(lambda peer: peer.upgrade(b"X-Server: raw"))
    client = connect(server.url)
    assert client.url == server.url
    assert client.response is not None
    assert client.response.headers.get("X-Server") == "raw"
    client.close()


def test_messages_that_come_with_the_answer_are_received(raw_server: Any) -> None:
    server = raw_server(lambda peer: peer.send(response(peer.read_head()) + frame(TEXT, b"early")))
    client = connect(server.url)
    assert [message.data for message in client.channel()] == ["early"]
    client.close()
