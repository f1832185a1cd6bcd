"""The threaded server: shutdown, limits, many clients, listening."""

import queue
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import client_peer

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed
from wsfast.server import Connection, Server, serve

WAIT = 10.0


def wait_until_ended(connection: Connection) -> None:
    for _ in connection:
        pass


def until_empty(server: Server) -> None:
    """Waits until the server has no connection left."""
    for thread in threading.enumerate():
        if thread.name.startswith("wsfast-serve"):
            thread.join(WAIT)
    assert server.connections == []


# ---------------------------------------------------------------- shutdown


def test_shutdown_says_1001_to_all_and_waits_for_their_handlers(dial: Any) -> None:
    ended: queue.Queue[int | None] = queue.Queue()
    opened: queue.Queue[None] = queue.Queue()

    def handler(connection: Connection) -> None:
        opened.put(None)
        wait_until_ended(connection)
        ended.put(connection.close_code)

    with serve(handler, "localhost") as server:
        url = f"ws://localhost:{server.port}/"
        clients = [dial(url) for _ in range(5)]
        for _ in clients:
            opened.get(timeout=WAIT)
        assert len(server.connections) == 5
        with ThreadPoolExecutor(5) as pool:
            closing = [pool.submit(list, client) for client in clients]
            server.shutdown(reason="maintenance")
            assert server.connections == []
            assert ended.qsize() == 5
            for result in closing:
                assert result.result(WAIT) == []
    assert [ended.get_nowait() for _ in range(5)] == [1001] * 5
    assert [(c.close_code, c.close_reason) for c in clients] == [(1001, "maintenance")] * 5
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), WAIT)


def test_serve_forever_returns_at_shutdown() -> None:
    server = serve(wait_until_ended, "localhost")
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(server.serve_forever)
        server.shutdown()
        serving.result(WAIT)
    server.serve_forever()
    server.shutdown()


def test_a_handler_may_shut_the_server_down(dial: Any) -> None:
    servers: queue.Queue[Server] = queue.Queue()

    def handler(connection: Connection) -> None:
        servers.get(timeout=WAIT).shutdown()

    server = serve(handler, "localhost")
    connection = dial(f"ws://localhost:{server.port}/")
    servers.put(server)
    with pytest.raises(ConnectionClosed) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1001
    server.serve_forever()
    until_empty(server)


def test_shutdown_from_many_threads(dial: Any) -> None:
    server = serve(wait_until_ended, "localhost")
    connection = dial(f"ws://localhost:{server.port}/")
    with ThreadPoolExecutor(5) as pool:
        pool.submit(wait_until_ended, connection)
        for result in [pool.submit(server.shutdown) for _ in range(4)]:
            result.result(WAIT)
    assert server.connections == []


def test_shutdown_drops_a_client_that_does_not_answer(start_server: Any) -> None:
    entered = threading.Event()

    def handler(connection: Connection) -> None:
        entered.set()
        wait_until_ended(connection)

    endpoint = start_server(handler)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        assert entered.wait(WAIT)
        endpoint.server.shutdown(timeout=0.05)
        assert endpoint.server.connections == []
        assert peer.read_close().code == 1001
        assert peer.read_to_end() == b""


def test_shutdown_in_the_middle_of_a_handshake(start_server: Any) -> None:
    endpoint = start_server(wait_until_ended)
    with client_peer(endpoint.server.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\n")
        while not endpoint.server.connections:
            threading.Event().wait(0.001)
        endpoint.server.shutdown(timeout=WAIT)
        assert endpoint.server.connections == []
        assert peer.read_to_end() == b""


def test_shutdown_does_not_wait_for_a_handler_that_never_returns(
    start_server: Any,
) -> None:
    entered, release = threading.Event(), threading.Event()

    def handler(connection: Connection) -> None:
        entered.set()
        release.wait(2 * WAIT)

    endpoint = start_server(handler)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        assert entered.wait(WAIT)
        endpoint.server.shutdown(timeout=0.05)
        assert peer.read_close().code == 1001
        assert peer.read_to_end() == b""
    release.set()
    until_empty(endpoint.server)


# ---------------------------------------------------------------- limits


def test_max_connections(start_server: Any, dial: Any) -> None:
    endpoint = start_server(wait_until_ended, max_connections=2)
    clients = [dial(endpoint.url) for _ in range(2)]
    with client_peer(endpoint.server.port) as peer:
        assert peer.read_to_end() == b""
    clients.pop().finish()
    while len(endpoint.server.connections) > 1:
        threading.Event().wait(0.001)
    clients.append(dial(endpoint.url))
    for client in clients:
        client.finish()


def test_a_client_that_says_nothing_is_dropped(start_server: Any, scheme: str) -> None:
    endpoint = start_server(wait_until_ended, scheme, dial_timeout=50)
    with client_peer(endpoint.server.port) as peer:
        assert peer.read_to_end() == b""
    until_empty(endpoint.server)


def test_a_client_that_dribbles_its_request_is_dropped(start_server: Any) -> None:
    endpoint = start_server(wait_until_ended, dial_timeout=50)
    with client_peer(endpoint.server.port) as peer, pytest.raises(OSError, match=".*"):
        dribble(peer.sock)
    until_empty(endpoint.server)


def dribble(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\nX: ")
    while True:
        sock.sendall(b"x")
        threading.Event().wait(0.001)


def test_a_handshake_of_tls_that_is_garbage(start_server: Any, dial: Any) -> None:
    endpoint = start_server(wait_until_ended, "wss")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\x02\x00\x01", b""):
        with client_peer(endpoint.server.port) as peer:
            peer.send(garbage)
            peer.sock.shutdown(socket.SHUT_WR)
            peer.read_to_end()
    until_empty(endpoint.server)
    dial(endpoint.url, **endpoint.options).finish()


def test_a_client_that_does_not_trust_the_certificate(start_server: Any) -> None:
    endpoint = start_server(wait_until_ended, "wss")
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        client_peer(endpoint.server.port, ssl.create_default_context()),
    ):
        raise AssertionError("it was trusted")
    until_empty(endpoint.server)


def test_many_connections_come_and_go(start_server: Any, dial: Any, scheme: str) -> None:
    endpoint = start_server(lambda connection: connection.send("x"), scheme)

    def come_and_go(_: int) -> None:
        for _ in range(25):
            connection = dial(endpoint.url, **endpoint.options)
            assert list(connection) == ["x"]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(come_and_go, range(6)))
    until_empty(endpoint.server)


def test_many_connections_at_the_same_time(start_server: Any, dial: Any) -> None:
    def echo(connection: Connection) -> None:
        for message in connection:
            connection.send(message)

    endpoint = start_server(echo)
    clients = [dial(endpoint.url) for _ in range(100)]
    for i, client in enumerate(clients):
        client.send(str(i))
    assert [client.receive(WAIT) for client in clients] == [str(i) for i in range(100)]
    for client in clients:
        client.finish()
        assert client.state is State.DISCONNECTED


# ---------------------------------------------------------------- listening


def test_a_port_in_use(start_server: Any) -> None:
    endpoint = start_server(wait_until_ended)
    with pytest.raises(OSError, match="in use"):
        serve(wait_until_ended, "localhost", endpoint.server.port)


def test_both_families_on_the_same_port(dial: Any) -> None:
    with serve(lambda connection: connection.send("x")) as server:
        for address in ("127.0.0.1", "[::1]"):
            connection = dial(f"ws://{address}:{server.port}/")
            assert list(connection) == ["x"]
            assert connection.wait_ended(WAIT)


def test_a_host_that_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match=".*"):
        serve(wait_until_ended, "192.0.2.1")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"handler": "not callable"}, TypeError),
        ({"handler": print, "no_such_option": 1}, TypeError),
        ({"handler": print, "max_connections": 0}, ValueError),
        ({"handler": print, "origins": "https://example.com"}, TypeError),
        ({"handler": print, "ssl_context": ssl.create_default_context()}, ValueError),
    ],
)
def test_bad_arguments_raise_at_the_call(arguments: dict[str, Any], error: type[Exception]) -> None:
    serve_anyhow: Callable[..., Server] = serve
    with pytest.raises(error):
        serve_anyhow(host="localhost", **arguments)
