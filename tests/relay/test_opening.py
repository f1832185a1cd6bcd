"""What happens before a socket is accepted, and instead."""

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from process_helpers import event, until
from raw_peers import client_peer
from relay_helpers import (
    Running,
    asking,
    connected,
    inviting,
    join,
    logged,
    refusal,
    response,
    told,
)

from wsfast import process, relay
from wsfast.process import PID

NAME = relay.HEADER


# -------------------------------------------------------------- the handler


def test_the_handler_is_asked_as_for_a_page(server: Running, me: PID) -> None:
    app = inviting(me)
    server.stage.app = relay.WebSocketRelay(app)
    with connected(
        server.port, b"Cookie: session=1", b"X-Ws-Relay: mine", path=b"/a%20b/c?user_id=7"
    ):
        join()
    (scope,) = app.scopes
    assert (scope["type"], scope["method"], scope["scheme"]) == ("http", "GET", "http")
    assert (scope["path"], scope["query_string"]) == ("/a b/c", b"user_id=7")
    assert "subprotocols" not in scope
    assert scope["extensions"] == {}
    headers = dict(scope["headers"])
    assert headers[b"cookie"] == b"session=1"
    assert b"x-ws-relay" not in headers
    told("ws.leave")


def test_what_it_says_instead_is_what_the_client_gets(server: Running) -> None:
    server.stage.app = relay.WebSocketRelay(
        response(402, {"x-price": "7", "connection": "keep-alive"}, b"Payment, please")
    )
    status, head, body = refusal(server.port)
    assert status == 402
    assert b"Payment, please" in body
    assert b"x-price: 7" in head


def test_a_whole_page_may_be_the_answer(server: Running) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await send({"type": "http.response.body"})

    server.stage.app = relay.WebSocketRelay(app)
    status, _, body = refusal(server.port)
    assert status == 200
    assert body.count(b"x") == 10_000


@pytest.mark.parametrize("status", [199, 304, 401, 500])
def test_only_a_successful_response_invites(server: Running, me: PID, status: int) -> None:
    server.stage.app = relay.WebSocketRelay(response(status, {NAME: relay.header(me)}))
    found, head, _ = refusal(server.port)
    assert found == (500 if status == 199 else status)
    assert NAME.lower().encode() not in head


def test_other_header_fields_go_along(server: Running, me: PID) -> None:
    headers = {
        NAME: relay.header(me),
        "set-cookie": "session=1",
        "x-own": "1",
        "content-type": "text/html",
        "content-length": "0",
        "transfer-encoding": "chunked",
        "sec-websocket-extensions": "x",
    }
    server.stage.app = relay.WebSocketRelay(response(204, headers))
    with asking(server.port) as client:
        head = client.read_head().lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"set-cookie: session=1" in head
        assert b"x-own: 1" in head
        for unwanted in (b"x-ws-relay", b"content-", b"chunked", b"extensions"):
            assert unwanted not in head
        join()
    told("ws.leave")


@pytest.mark.parametrize(
    ("chosen", "status"), [("chat", 101), ("other", 500), ("chat, other", 500), (None, 101)]
)
def test_subprotocols(
    server: Running, me: PID, chosen: str | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {NAME: relay.header(me)}
    if chosen is not None:
        headers["sec-websocket-protocol"] = chosen
    server.stage.app = relay.WebSocketRelay(response(200, headers))
    with asking(server.port, b"Sec-WebSocket-Protocol: soap, chat") as client:
        head = client.read_head().lower()
        assert int(head[9:12]) == status
        assert (b"sec-websocket-protocol: chat\r\n" in head) is (chosen == "chat")
        if status == 101:
            join()
    if status == 101:
        told("ws.leave")
    else:
        assert "has not offered" in logged(caplog)


def test_what_it_does_after_its_response_goes_on(server: Running, me: PID) -> None:
    """As background tasks of Starlette do; meanwhile the socket is relayed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inviting(me)(scope, receive, send)
        done.append((await receive())["type"])
        await send({"type": "http.response.body"})  # which nobody takes any more
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        done.append("background")

    done: list[str] = []
    go_on = threading.Event()
    server.stage.app = relay.WebSocketRelay(app)
    with connected(server.port) as client:
        join()
        client.say("hello")
        told("ws.message")
        assert done == ["http.disconnect"]
        client.leave()
        told("ws.leave")
        go_on.set()
        until(lambda: done[1:] == ["background"])


def test_an_exception_after_the_response_is_the_servers(server: Running, me: PID) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inviting(me)(scope, receive, send)
        raise ValueError

    server.stage.app = relay.WebSocketRelay(app)
    with connected(server.port) as client:
        join()
        client.say("hello")
        assert told("ws.message")["data"] == "hello"
        client.leave()
        told("ws.leave")


# -------------------------------------------------------------- a handler that fails


def test_the_handler_raises(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    server.stage.app = relay.WebSocketRelay(app)
    assert refusal(server.port)[0] == 500
    assert any(each.exc_info or "ValueError" in each.message for each in caplog.records)


def test_the_handler_says_nothing(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"before its start"})

    server.stage.app = relay.WebSocketRelay(app)
    assert refusal(server.port)[0] == 500
    assert "without a response" in logged(caplog)


def test_the_handler_takes_too_long(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ended = threading.Event()
    server.stage.app = relay.WebSocketRelay(app, handler_timeout="1ms")
    assert refusal(server.port)[0] == 504
    assert ended.is_set()
    assert "in time" in logged(caplog)


def test_the_response_is_too_large(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})

    for limit, status in ((100, 500), (99, 500)):
        server.stage.app = relay.WebSocketRelay(app, response_limit=limit)
        assert refusal(server.port)[0] == status
    assert "more than 99 bytes" in logged(caplog)
    assert "more than 100 bytes" not in logged(caplog)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("[" * 50_000, "no JSON"),
        ("{}", "target_pid must be"),
        ('{"target_pid": 7}', "target_pid must be"),
        ('{"target_pid": ""}', "1 to 255"),
        ('{"target_pid": "{a|b}"}', "not a PID"),
        ('{"target_pid": "x", "message_topic": ""}', "must not be empty"),
        ('{"target_pid": "x", "message_topic": 7}', "message_topic must be"),
        ('{"target_pid": "x", "heartbeat_interval": "often"}', "no number"),
        ('{"target_pid": "x", "heartbeat_interval": -1}', "above zero"),
        ('{"target_pid": "x", "heartbeat_interval": true}', "must be a number"),
        ('{"target_pid": "x", "metadata": []}', "metadata must be"),
        ('{"target_pid": "x", "target": "y"}', "no field 'target'"),
        (json.dumps({"target_pid": "x", "metadata": {"a": "x" * 70_000}}), "longer than"),
    ],
)
def test_a_header_that_is_malformed(
    server: Running, value: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.stage.app = relay.WebSocketRelay(response(headers={NAME: value}))
    assert refusal(server.port)[0] == 500
    if problem != "no number":
        assert problem in logged(caplog, logging.ERROR)


def test_a_header_that_is_there_twice(server: Running, me: PID) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pair = (NAME.encode(), relay.header(me).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [pair, pair]})
        await send({"type": "http.response.body"})

    server.stage.app = relay.WebSocketRelay(app)
    assert refusal(server.port)[0] == 500


# -------------------------------------------------------------- the target


@pytest.mark.parametrize("target", ["nobody", "ended", "{other@host|1}"])
def test_there_is_no_such_process(
    server: Running, me: PID, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    if target == "ended":
        target = str(process.spawn(int, monitor=True))
        event()
    server.stage.app = relay.WebSocketRelay(inviting(target))
    assert refusal(server.port)[0] == 404
    assert f"no process {target}" in logged(caplog)


# -------------------------------------------------------------- origins


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        (None, None, 101),
        (None, "http://{host}", 101),
        (None, "https://{host}", 101),
        (None, "http://127.0.0.1", 403),
        (None, "http://evil.example", 403),
        (None, "null", 403),
        ("", "http://evil.example", 403),
        ([], "http://{host}", 403),
        ("*", "http://evil.example", 101),
        ("*", "null", 101),
        ("https://app.example.com", "https://app.example.com", 101),
        ("https://app.example.com", "https://app.example.com:443", 101),
        ("https://app.example.com", "https://app.example.com:8443", 403),
        ("https://app.example.com", "http://app.example.com", 403),
        ("https://app.example.com", "http://{host}", 403),
        ("https://app.example.com", None, 101),
        ("https://a.example, https://b.example", "https://b.example", 101),
        (["https://a.example", "https://b.example"], "https://a.example", 101),
        (["https://a.example", "https://b.example"], "https://c.example", 403),
        ("https://*.example.com", "https://a.b.example.com", 101),
        ("https://*.example.com", "https://example.com", 403),
        ("https://*.example.com", "https://evil-example.com", 403),
        ("app.example.com", "http://app.example.com", 101),
        ("app.example.com:8000", "http://app.example.com:8000", 101),
        ("localhost:*", "http://localhost:5173", 101),
    ],
)
def test_origins(server: Running, me: PID, allowed: Any, origin: str | None, status: int) -> None:
    app = inviting(me)
    server.stage.app = relay.WebSocketRelay(app, allowed_origins=allowed)
    fields = []
    if origin is not None:
        fields.append(b"Origin: " + origin.format(host=f"127.0.0.1:{server.port}").encode())
    with asking(server.port, *fields) as client:
        assert client.status() == status
    assert len(app.scopes) == (status == 101)  # otherwise the handler is not asked
    if status == 101:
        join()
        told("ws.leave")


def test_two_origins_are_none_that_is_allowed(server: Running) -> None:
    server.stage.app = relay.WebSocketRelay(response(200))
    same = b"Origin: http://127.0.0.1:%d" % server.port
    assert refusal(server.port, same, same)[0] in (400, 403)  # the first by the server


# -------------------------------------------------------------- what else passes


def test_http_requests_pass_without_the_header(server: Running, me: PID) -> None:
    app = inviting(me)
    server.stage.app = relay.WebSocketRelay(app)
    with asking(server.port) as client:
        client.read_head()
        join()
    told("ws.leave")
    with client_peer(server.port) as peer:
        peer.ask(
            b"X-WS-Relay: mine",
            b"X-Other: theirs",
            b"Connection: close",
            without=(b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"),
        )
        head = peer.read_head().lower()
    assert head.startswith(b"http/1.1 200 ")
    assert b"x-ws-relay" not in head
    headers = dict(app.scopes[-1]["headers"])
    assert b"x-ws-relay" not in headers
    assert headers[b"x-other"] == b"theirs"


@pytest.mark.parametrize(
    ("prefix", "path", "ours"),
    [
        ("/", b"/", True),
        ("/", b"/x", True),
        ("/ws", b"/ws", True),
        ("/ws/", b"/ws/room", True),
        ("/ws", b"/wsx", False),
        ("/ws", b"/", False),
    ],
)
def test_a_prefix(server: Running, me: PID, prefix: str, path: bytes, ours: bool) -> None:
    """Other sockets are the application's own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await inviting(me)(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "not relayed"})
        await send({"type": "websocket.close"})

    server.stage.app = relay.WebSocketRelay(app, prefix=prefix)
    with connected(server.port, path=path) as client:
        if ours:
            join()
            client.leave()
            told("ws.leave")
        else:
            assert client.hear() == "not relayed"
            client.leave()


def test_there_are_too_many(server: Running, me: PID, caplog: pytest.LogCaptureFixture) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), max_connections=2)
    with connected(server.port) as first, connected(server.port):
        pids = [join(), join()]
        assert refusal(server.port)[0] == 503
        assert "no more is relayed" in logged(caplog)
        first.leave()
        assert told("ws.leave")["client_pid"] in pids
        # The count is less when the connection has ended, which is a little after the leave.
        until(lambda: refusal_or_none(server) is None)


def refusal_or_none(server: Running) -> int | None:
    with asking(server.port) as client:
        status = client.status()
    return None if status == 101 else status
