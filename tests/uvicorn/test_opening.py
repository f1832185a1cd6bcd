"""From the request to the first message, or to another answer."""

import asyncio
from typing import Any

import pytest
from aio_peers import Peer, request
from asgi_servers import Journal, echo, listen, serving
from raw_peers import CLOSE, TEXT

DISCONNECTED = {"type": "websocket.disconnect", "code": 1006}


class Refusing:
    """An application that sends what it was given before it receives a second time."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.failure: BaseException | None = None
        self.last: dict[str, Any] = {}
        self.over = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert "websocket.http.response" in scope["extensions"]
        assert await receive() == {"type": "websocket.connect"}
        try:
            for event in self.events:
                await send(event)
            self.last = await receive()
        except BaseException as exc:
            self.failure = exc
            raise
        finally:
            self.over.set()


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


# ---------------------------------------------------------------- the scope


def test_the_scope(run: Any, ws: str, http: str) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws, http=http, root_path="/root") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            fields = [b"X-Name: f\xfcr", b"Sec-WebSocket-Protocol: a, b"]
            writer.write(request(*fields, path=b"/one%2Ftw%C3%B6/%20x?query=%20&y"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
            writer.close()
            await app.end()
        scope = app.scopes[0]
        headers = dict(scope.pop("headers"))
        assert headers[b"host"] == b"localhost"
        assert headers[b"upgrade"] == b"websocket" or ws == "wsproto"  # which keeps it to itself
        assert headers[b"x-name"] == b"f\xfcr"
        assert scope == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": theirs,
            "client": ours,
            "root_path": "/root",
            "path": "/root/one/twö/ x",
            "raw_path": b"/root/one%2Ftw%C3%B6/%20x",
            "query_string": b"query=%20&y",
            "subprotocols": ["a", "b"],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }

    run(main())


def test_the_state_of_the_lifespan(run: Any, ws: str) -> None:
    async def main() -> None:
        journal = Journal()
        states: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                states.append(dict(scope["state"]))
                scope["state"]["own"] = 2
                return await journal(scope, receive, send)
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["shared"] = [1]
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})

        async with serving(app, ws, lifespan="on") as server:
            for _ in range(2):
                journal.over.clear()
                async with server.client():
                    pass
                await journal.over.wait()
        assert states == [{"shared": [1]}] * 2
        assert states[0]["shared"] is states[1]["shared"]

    run(main())


def test_the_client_behind_a_proxy(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws, forwarded_allow_ips="*") as server:
            async with server.client(b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-Proto: https"):
                pass
            await app.end()
        assert app.scopes[0]["client"][0] == "203.0.113.7"
        assert app.scopes[0]["scheme"] == "wss"

    run(main())


def test_tls(run: Any, certificates: Any, new_loop: Any) -> None:
    async def main() -> None:
        app = Journal(echo)
        async with (
            serving(app, "wsfast", ssl_context_factory=lambda *_: certificates.server) as server,
        ):
            reader, writer = await asyncio.open_connection(
                "localhost", server.port, ssl=certificates.client
            )
            peer = Peer(reader, writer, client=True)
            peer.write(request())
            await reader.readuntil(b"\r\n\r\n")
            peer.send(TEXT, b"x" * 100_000)
            assert (await peer.read_frame()).payload == b"x" * 100_000
            peer.send_close(1001, b"bye")
            assert (await peer.read_close()).code == 1001
            assert await peer.read_to_end() == b""  # the server does not wait for us
            writer.close()
            assert (await app.end())["code"] == 1001
        assert app.scopes[0]["scheme"] == "wss"

    run(main(), new_loop)


# ---------------------------------------------------------------- accepting


def test_what_the_application_adds_to_the_answer(run: Any, ws: str, http: str) -> None:
    async def main() -> None:
        headers = [(b"X-One", b"1"), (b"Server", b"f\xfcr"), (b"x-one", b"2")]
        app = Journal(accept={"headers": headers, "subprotocol": "b"})
        async with serving(app, ws, http=http, headers=[("X-All", "yes")]) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request(b"Sec-WebSocket-Protocol: a, b"))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            writer.close()
            await app.end()
        assert "\r\nsec-websocket-protocol: b\r\n" in head
        assert "\r\nx-all: yes\r\n" in head
        names = [line.partition(":")[0] for line in head.split("\r\n")]
        assert [names.count(each) for each in ("x-one", "server", "date")] == [2, 2, 1]

    run(main())


def test_without_headers_of_uvicorn(run: Any, ws: str) -> None:
    async def main() -> None:
        async with (
            serving(Journal(), ws, server_header=False, date_header=False) as server,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            writer.close()
        assert b"\r\nserver:" not in head
        assert b"\r\ndate:" not in head

    run(main())


@pytest.mark.parametrize("wanted", [True, False])
def test_compression(run: Any, ws: str, wanted: bool) -> None:
    import websockets

    async def main() -> None:
        async with (
            serving(Journal(echo), ws, ws_per_message_deflate=wanted) as server,
            websockets.connect(f"ws://127.0.0.1:{server.port}") as client,
        ):
            extensions = [each.name for each in client.protocol.extensions]
            assert extensions == (["permessage-deflate"] if wanted else [])
            for message in ("text " * 1000, b"bytes" * 1000):
                await client.send(message)
                assert await client.recv() == message

    run(main())


@pytest.mark.parametrize(
    "accept",
    [
        {"headers": [(b"X-One", b"1\r\nX-Two: 2")]},
        {"headers": [(b"X One", b"1")]},
        {"subprotocol": "a\r\nX-Two: 2"},
    ],
)
def test_an_answer_that_would_be_none(run: Any, accept: Any) -> None:
    """Uvicorn's own protocols do not look."""

    async def main() -> None:
        app = Journal(accept=accept)
        async with serving(app, "wsfast") as server:
            assert (await server.ask()).status == 500
        assert isinstance(app.failure, ValueError)

    run(main())


def test_the_client_leaves_before(run: Any, ws: str) -> None:
    async def main() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            asked.set()
            seen.append(await receive())
            try:
                await send({"type": "websocket.accept"})
            except OSError as exc:
                seen.append(type(exc).__name__)
                raise
            finally:
                gone.set()

        async with serving(app, ws) as server:
            _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            await asked.wait()
            writer.close()
            await gone.wait()
        assert seen == [DISCONNECTED, "ClientDisconnected"]

    run(main())


def test_what_has_come_before_the_answer(run: Any, ws: str) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await go.wait()
            await send({"type": "websocket.accept"})
            await echo(receive, send)

        async with serving(app, ws) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            peer = Peer(reader, writer, client=True)
            peer.write(request())
            while not server.server.server_state.tasks:
                await asyncio.sleep(0)
            peer.send(TEXT, b"early")
            go.set()
            await reader.readuntil(b"\r\n\r\n")
            assert (await peer.read_frame()).payload == b"early"
            writer.close()

    run(main())


def test_too_much_has_come_before_the_answer(run: Any) -> None:
    async def main() -> None:
        app = Refusing()
        async with serving(app, "wsfast") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            while not server.server.server_state.tasks:
                await asyncio.sleep(0)
            writer.write(b"x" * 40_000)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.close()
            await app.over.wait()
        assert app.last == DISCONNECTED

    run(main())


def conversation(server: Any) -> Any:
    """Ours, of the one connection that there is."""
    (protocol,) = server.server.server_state.connections
    return protocol._conversation


# ---------------------------------------------------------------- refusing


def test_closing_instead(run: Any, ws: str, http: str) -> None:
    async def main() -> None:
        app = Refusing({"type": "websocket.close", "code": 4000, "reason": "no"})
        async with serving(app, ws, http=http) as server:
            answer = await server.ask()
            await app.over.wait()
        assert (answer.status, answer.body) == (403, b"")
        assert app.last == DISCONNECTED

    run(main())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([start(400), body(b"no")], (400, b"no")),
        ([start(401, (b"Content-Length", b"4")), body(b"no", more=True), body(b"pe")],
         (401, b"nope")),
        ([start(404), body(b"not", more=True), body(b" here")], (404, b"not here")),
        ([start(302, (b"Location", b"/other")), body(b"")], (302, b"")),
    ],
    ids=["one piece", "two pieces", "two pieces of unknown length", "a redirect"],
)  # fmt: skip
def test_another_response(run: Any, ws: str, events: Any, expected: Any) -> None:
    async def main() -> None:
        app = Refusing(*events)
        async with serving(app, ws) as server:
            answer = await server.ask()
            await app.over.wait()
        assert (answer.status, answer.body) == expected
        assert app.last == DISCONNECTED
        if ws == "wsfast":
            assert answer.headers["connection"] == "close"
            assert answer.headers["server"] == "uvicorn"
            assert "date" in answer.headers
        for name, value in events[0]["headers"]:
            assert answer.headers[name.decode().lower()] == value.decode()

    run(main())


def test_a_response_with_headers_of_its_own(run: Any) -> None:
    async def main() -> None:
        given = [(b"Server", b"mine"), (b"Connection", b"close"), (b"Content-Type", b"a/b")]
        async with serving(Refusing(start(404, *given), body(b"x")), "wsfast") as server:
            answer = await server.ask()
        assert answer.headers["server"] == "mine"
        assert answer.headers["content-type"] == "a/b"
        assert answer.headers["content-length"] == "1"

    run(main())


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([{"type": "websocket.send", "text": "early"}], "Expected ASGI message 'websocket.accept'"),
        ([start(700)], "Invalid HTTP status code '700' in response."),
        ([], None),
    ],
    ids=["a message", "a status that is none", "nothing"],
)
def test_no_answer(run: Any, ws: str, events: Any, text: str | None, caplog: Any) -> None:
    async def main() -> None:
        app = Refusing(*events)

        async def at_once(scope: Any, receive: Any, send: Any) -> None:
            if events:
                await app(scope, receive, send)

        async with serving(at_once, ws) as server:
            answer = await server.ask()
        assert (answer.status, answer.body) == (500, b"Internal Server Error")
        assert answer.headers["content-length"] == "21"
        assert answer.headers["connection"] == "close"
        if text is not None:
            assert isinstance(app.failure, RuntimeError)
            assert str(app.failure).startswith(text)

    run(main())
    if text is None:
        assert "ASGI callable returned without completing handshake." in caplog.text


@pytest.mark.parametrize("ws", ["wsfast", "wsproto"])  # the other waits for all of the body
@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([start(404)], None),
        ([start(404, (b"content-length", b"0")), start(404)], "but got"),
        ([start(404, (b"content-length", b"9")), body(b"half", more=True), start(404)], "but got"),
    ],
    ids=["no body", "twice", "half of it"],
)
def test_half_a_response(run: Any, ws: str, events: Any, text: str | None) -> None:
    async def main() -> None:
        app = Refusing(*events)

        async def app_(scope: Any, receive: Any, send: Any) -> None:
            if text is None:
                await receive()
                await send(*events)
            else:
                await app(scope, receive, send)

        async with serving(app_, ws) as server:
            answer = await server.ask()
        assert answer.status == 404
        assert answer.body == (b"half" if len(events) == 3 else b"")
        if text is not None:
            assert isinstance(app.failure, RuntimeError)
            assert str(app.failure).startswith(
                "Expected ASGI message 'websocket.http.response.body' but got"
            )

    run(main())


def test_a_long_response_waits_for_the_client(run: Any) -> None:
    """A body without end is not gathered in memory."""

    async def main() -> None:
        pieces = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal pieces
            await send(start(404))
            for pieces in range(1, 65):
                await send(body(b"x" * 1_000_000, more=pieces < 64))

        async with serving(app, "wsfast") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            while not (server.server.server_state.tasks and conversation(server)._waiting):
                await asyncio.sleep(0)
            assert pieces < 64
            data = await reader.read()
            writer.close()
        assert data.count(b"x" * 1_000_000) == 64

    run(main())


@pytest.mark.parametrize("ws", ["wsfast", "websockets"])  # the third asks the application
@pytest.mark.parametrize(
    ("change", "statuses"),
    [
        ((b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 11"), (426, 400)),
        ((b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: !"), (400, 400)),
        ((b"Sec-WebSocket-Key: ", b"X-Key: "), (400, 400)),
    ],
    ids=["version", "wrong key", "no key"],
)
def test_no_request_for_a_websocket(run: Any, ws: str, change: Any, statuses: Any) -> None:
    async def main() -> None:
        app = Refusing()
        async with serving(app, ws) as server:
            answer = await server.ask(whole=request().replace(*change))
        assert answer.status == statuses[ws != "wsfast"]
        assert not app.over.is_set()  # nobody has asked it

    run(main())


def test_a_response_that_is_still_on_its_way(run: Any, ws: str) -> None:
    """What answers the request of a pipeline before has not been written when ours begins."""

    async def main() -> None:
        size = 20_000_000

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.send", "text": "next"})
                return await listen(receive, send)
            headers = [(b"content-length", str(size).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x" * size})

        async with serving(app, ws) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            peer = Peer(reader, writer, client=True)
            peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + request())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(size) == b"x" * size
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert (await peer.read_frame()).payload == b"next"
            peer.send(CLOSE)
            await peer.read_to_end()
            writer.close()

    run(main())
