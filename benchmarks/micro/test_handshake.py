"""The opening handshake without a socket: from nothing to an open connection, on either side."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from micro_peers import installed

from wsfast.protocol.connection import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.options import client_options, server_options
from wsfast.protocol.url import parse_url

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
URI = "ws://localhost:8765/chat"
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: localhost:8765\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"User-Agent: some client/1.0\r\n\r\n"
)


def answer(request: bytes) -> bytes:
    """What the server says; made in the same way for all clients, as part of what is measured."""
    key = request.lower().partition(b"sec-websocket-key: ")[1:]
    at = len(request) - len(key[1])
    value = request[at:].partition(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(value + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\nServer: some server/1.0\r\n\r\n"
    )


# -------------------------------------------------------------- clients


def wsfast_client() -> Callable[[], bool]:
    url, options = parse_url(URI), client_options()

    def run() -> bool:
        connection = Connection.client(url, options, 0.0)
        connection.feed(answer(connection.data_to_send()), 0.0)
        return connection.state is State.CONNECTED

    return run


def websockets_client() -> Callable[[], bool]:
    from websockets.client import ClientProtocol
    from websockets.protocol import OPEN
    from websockets.uri import parse_uri

    uri = parse_uri(URI)

    def run() -> bool:
        protocol = ClientProtocol(uri)
        protocol.send_request(protocol.connect())
        protocol.receive_data(answer(b"".join(protocol.data_to_send())))
        protocol.events_received()
        return protocol.state is OPEN

    return run


def wsproto_client() -> Callable[[], bool]:
    from wsproto import ConnectionType, WSConnection
    from wsproto.connection import ConnectionState
    from wsproto.events import Request

    def run() -> bool:
        connection: Any = WSConnection(ConnectionType.CLIENT)
        request = connection.send(Request(host="localhost:8765", target="/chat"))
        connection.receive_data(answer(request))
        list(connection.events())
        return connection.state is ConnectionState.OPEN

    return run


# -------------------------------------------------------------- servers


def wsfast_server() -> Callable[[], bool]:
    options = server_options()

    def run() -> bool:
        connection = Connection.server(options, 0.0)
        connection.feed(REQUEST, 0.0)
        connection.accept(0.0)
        return connection.data_to_send().startswith(b"HTTP/1.1 101 ")

    return run


def websockets_server() -> Callable[[], bool]:
    from websockets.server import ServerProtocol

    def run() -> bool:
        protocol = ServerProtocol()
        protocol.receive_data(REQUEST)
        request: Any = protocol.events_received()[0]
        protocol.send_response(protocol.accept(request))
        return b"".join(protocol.data_to_send()).startswith(b"HTTP/1.1 101 ")

    return run


def wsproto_server() -> Callable[[], bool]:
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection

    def run() -> bool:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(REQUEST)
        list(connection.events())
        return connection.send(AcceptConnection()).startswith(b"HTTP/1.1 101 ")

    return run


WAYS = {
    "client": {
        "wsfast": wsfast_client,
        "websockets": websockets_client,
        "wsproto": wsproto_client,
    },
    "server": {
        "wsfast": wsfast_server,
        "websockets": websockets_server,
        "wsproto": wsproto_server,
    },
}


@pytest.mark.parametrize("side", WAYS)
@pytest.mark.parametrize("contender", ["wsfast", "websockets", "wsproto"])
def test_opening(contender: str, side: str, measure: Callable[..., None]) -> None:
    if not installed(contender):
        pytest.skip(f"{contender} is not installed")
    run = WAYS[side][contender]()
    assert run()
    measure(f"handshake, {side}", contender, run)
