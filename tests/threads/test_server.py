"""The threaded server: what handlers see, and how their connections end."""

import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import TEXT, client_peer, frame

from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, StatusError
from wsfast.server import Connection, Server

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


# ---------------------------------------------------------------- what handlers see


def test_a_handler_sees_the_request(start_server: Any, dial: Any, scheme: str) -> None:
    requests: queue.Queue[Any] = queue.Queue()

    def handler(connection: Connection) -> None:
        requests.put(connection.request)

    endpoint = start_server(handler, scheme, origins=["https://example.com"])
    dial(
        endpoint.url + "a%20path?x=1&y=2",
        headers={"X-Header": "value"},
        origin="https://example.com",
        **endpoint.options,
    ).finish()
    request = requests.get(timeout=WAIT)
    assert request.target == "/a%20path?x=1&y=2"
    assert (request.path, request.query) == ("/a%20path", "x=1&y=2")
    assert request.headers["x-header"] == "value"
    assert request.origin == "https://example.com"
    assert request.subprotocols == []


@pytest.mark.parametrize(
    ("offered", "served", "chosen"),
    [
        (["a", "b"], ["b", "a"], "b"),
        (["a"], ["b"], None),
        ([], ["a"], None),
        (["a"], [], None),
    ],
)
def test_the_server_chooses_the_subprotocol(
    open_pair: Any, offered: list[str], served: list[str], chosen: str | None
) -> None:
    client, server = open_pair(server={"protocols": served}, protocols=offered)
    assert client.subprotocol == server.subprotocol == chosen
    with ThreadPoolExecutor(1) as pool:
        pool.submit(client.finish)
        server.finish()


def test_further_headers_of_the_response(start_server: Any, dial: Any) -> None:
    endpoint = start_server(
        wait_until_ended, headers=[("X-A", "1"), ("X-A", "2")], server_header="tests"
    )
    connection = dial(endpoint.url)
    assert connection.response.headers.get_all("X-A") == ["1", "2"]
    assert connection.response.headers["Server"] == "tests"
    connection.finish()


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (None, None, True),
        (None, "http://localhost:{port}", True),
        (None, "http://localhost", False),
        (None, "http://evil.example", False),
        (["*"], "http://evil.example", True),
        (["https://example.com"], "https://example.com", True),
        (["https://example.com"], "https://evil-example.com", False),
        (["https://example.com"], None, True),
    ],
)
def test_origins(
    start_server: Any, dial: Any, origins: Any, origin: str | None, allowed: bool
) -> None:
    called = threading.Event()
    endpoint = start_server(lambda _: called.set(), origins=origins)
    given = None if origin is None else origin.format(port=endpoint.server.port)
    if allowed:
        dial(endpoint.url, origin=given).finish()
        assert called.wait(WAIT)
        return
    with pytest.raises(StatusError, match="403") as caught:
        dial(endpoint.url, origin=given)
    assert caught.value.status == 403
    assert not caught.value.retryable
    until_empty(endpoint.server)
    assert not called.is_set()


def test_what_is_no_websocket_request_is_refused(start_server: Any) -> None:
    endpoint = start_server(wait_until_ended)
    with client_peer(endpoint.server.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert peer.status() == 426
    with client_peer(endpoint.server.port) as peer:
        peer.send(b"nonsense\r\n\r\n")
        assert peer.status() == 400
    until_empty(endpoint.server)


# ---------------------------------------------------------------- how connections end


def test_a_handler_that_returns_closes_with_1000(start_server: Any, dial: Any, scheme: str) -> None:
    endpoint = start_server(lambda connection: connection.send("bye"), scheme)
    connection = dial(endpoint.url, **endpoint.options)
    assert list(connection) == ["bye"]
    assert (connection.close_code, connection.close_reason) == (1000, "")
    assert connection.wait_ended(WAIT)
    until_empty(endpoint.server)


def test_a_handler_that_raises_closes_with_1011_and_is_logged(
    start_server: Any, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(connection: Connection) -> None:
        raise ValueError("a secret")

    endpoint = start_server(handler)
    connection = dial(endpoint.url)
    with pytest.raises(ConnectionClosed) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1011
    assert "secret" not in caught.value.reason
    assert "a secret" in caplog.text
    until_empty(endpoint.server)


def test_a_handler_may_choose_code_and_reason(start_server: Any, dial: Any) -> None:
    endpoint = start_server(lambda connection: connection.close(4000, "chosen"))
    connection = dial(endpoint.url)
    assert list(connection) == []
    assert (connection.close_code, connection.close_reason) == (4000, "chosen")


def test_the_end_of_a_client_may_escape_from_the_handler(
    start_server: Any, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    raised: queue.Queue[type[BaseException]] = queue.Queue()

    def handler(connection: Connection) -> None:
        try:
            while True:
                connection.receive()
        except ConnectionClosed as exc:
            raised.put(type(exc))
            raise

    endpoint = start_server(handler)
    dial(endpoint.url).finish()
    assert raised.get(timeout=WAIT) is ConnectionClosed
    until_empty(endpoint.server)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_a_client_that_vanishes_ends_its_handler(start_server: Any) -> None:
    ended: queue.Queue[int | None] = queue.Queue()

    def handler(connection: Connection) -> None:
        try:
            connection.receive()
        except ConnectionLost:
            ended.put(connection.close_code)

    endpoint = start_server(handler)
    with client_peer(endpoint.server.port) as peer:
        peer.open()
    assert ended.get(timeout=WAIT) == 1006
    with client_peer(endpoint.server.port) as peer:
        peer.open()
        peer.reset()
    assert ended.get(timeout=WAIT) == 1006
    until_empty(endpoint.server)


def test_a_message_that_comes_with_the_request(start_server: Any, collector: Any) -> None:
    endpoint = start_server(collector)
    with client_peer(endpoint.server.port) as peer:
        peer.ask()
        peer.send(frame(TEXT, b"early", key=b"abcd"))
        assert peer.status() == 101
        assert collector.messages.get(timeout=WAIT) == "early"
