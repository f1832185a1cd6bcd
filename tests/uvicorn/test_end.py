"""How a connection ends, and who is told what."""

import asyncio
import gc
from typing import Any

import pytest
from aio_peers import Peer
from asgi_servers import Journal, echo, listen, serving
from raw_peers import CLOSE, PING, PONG, TEXT

from wsfast.uvicorn import protocol
from wsfast.uvicorn.conversation import Conversation

LOST = {"type": "websocket.disconnect", "code": 1005}
"""What an application is told of a client that goes away without a close frame."""


def disconnected(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


# ---------------------------------------------------------------- by the client


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        ((1001).to_bytes(2, "big") + b"gone", disconnected(1001, "gone")),
        ((4321).to_bytes(2, "big"), disconnected(4321)),
        (b"", disconnected(1005)),
    ],
    ids=["code and reason", "code", "nothing"],
)
def test_a_close_frame(run: Any, ws: str, http: str, payload: bytes, event: Any) -> None:
    async def main() -> None:
        app = Journal(echo)
        async with serving(app, ws, http=http) as server, server.client() as peer:
            peer.send(TEXT, b"first")
            assert (await peer.read_frame()).payload == b"first"
            peer.send(CLOSE, payload)
            assert (await peer.read_frame()).payload[:2] == payload[:2]
            assert await peer.read_to_end() == b""
            end = await app.end()
        assert {**end, "reason": end.get("reason") or ""} == event

    run(main())


def test_what_comes_before_the_close_is_answered(run: Any) -> None:
    """Uvicorn's own protocols have closed by the time the application sees it."""

    async def main() -> None:
        app = Journal(echo)
        async with serving(app, "wsfast") as server, server.client() as peer:
            peer.write(peer.frame(TEXT, b"first") + peer.close_frame(1000))
            assert (await peer.read_frame()).payload == b"first"
            assert (await peer.read_frame()).code == 1000
            await app.end()
        assert app.failure is None

    run(main())


@pytest.mark.parametrize("how", ["half", "close", "reset"])
def test_no_close_frame(run: Any, ws: str, how: str) -> None:
    async def main() -> None:
        app = Journal(echo)
        async with serving(app, ws) as server, server.client() as peer:
            peer.send(TEXT, b"first")
            await peer.read_frame()
            if how == "half":
                peer.writer.write_eof()
            elif how == "close":
                peer.writer.close()
            else:
                peer.reset()
            assert await app.end() == LOST
        assert app.failure is None

    run(main())


def test_messages_before_the_close_are_received(run: Any, ws: str) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def talk(receive: Any, send: Any) -> None:
            await go.wait()
            await listen(receive, send)

        app = Journal(talk)
        async with serving(app, ws) as server, server.client() as peer:
            for _ in range(3):
                peer.send(TEXT, b"abc")
            peer.send_close(1000)
            await peer.writer.drain()
            go.set()
            await app.end()
        assert [event.get("text") for event in app.received] == ["abc", "abc", "abc", None]
        assert app.received[-1]["code"] == 1000

    run(main())


def test_an_application_that_ends_before_it_hears_of_the_close(run: Any, ws: str) -> None:
    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await receive()

        async with serving(Journal(talk), ws) as server, server.client() as peer:
            peer.write(peer.frame(TEXT, b"x") * 3 + peer.close_frame(4000))
            assert (await peer.read_close()).code == 4000
            assert await peer.read_to_end() == b""

    run(main())


def test_sending_to_a_client_that_has_closed(run: Any, ws: str) -> None:
    async def talk(receive: Any, send: Any) -> None:
        await listen(receive, send)
        for _ in range(20):  # until the transport is closed
            await asyncio.sleep(0)
        await send({"type": "websocket.send", "text": "too late"})

    async def main() -> None:
        app = Journal(talk)
        async with serving(app, ws) as server, server.client() as peer:
            peer.send_close(1000)
            await peer.read_to_end()
            peer.writer.close()
            await app.over.wait()
        assert type(app.failure).__name__ == "ClientDisconnected"
        assert isinstance(app.failure, OSError)

    run(main())


def test_closing_after_the_client_has(run: Any) -> None:
    async def talk(receive: Any, send: Any) -> None:
        await listen(receive, send)
        await send({"type": "websocket.close"})

    async def main() -> None:
        app = Journal(talk)
        async with serving(app, "wsfast") as server, server.client() as peer:
            peer.send_close(1000)
            await app.over.wait()
        assert type(app.failure).__name__ == "ClientDisconnected"

    run(main())


def test_receiving_again(run: Any) -> None:
    """With uvicorn's own protocols it never ends."""

    async def talk(receive: Any, send: Any) -> None:
        await listen(receive, send)
        assert await receive() == await receive() == disconnected(4000, "x")

    async def main() -> None:
        app = Journal(talk)
        async with serving(app, "wsfast") as server, server.client() as peer:
            peer.send_close(4000, b"x")
            await app.over.wait()
        assert app.failure is None

    run(main())


@pytest.mark.parametrize("ws", ["wsfast", "websockets"])  # the third says nothing to the client
@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\xf1\x80\0\0\0\0", 1002), (b"\x81\x81\0\0\0\0\xff", 1007)],
    ids=["reserved bits", "no UTF-8"],
)
def test_what_no_client_may_send(run: Any, ws: str, data: bytes, code: int) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws) as server, server.client() as peer:
            peer.write(data)
            assert (await peer.read_close()).code == code
            assert (await app.end())["code"] == code

    run(main())


# ---------------------------------------------------------------- by the application


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 3000}, 3000, ""),
        ({"code": 1001, "reason": None}, 1001, ""),
        ({"code": 4000, "reason": "över"}, 4000, "över"),
    ],
)
def test_the_application_closes(run: Any, ws: str, said: Any, code: int, reason: str) -> None:
    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.close", **said})
            with pytest.raises(RuntimeError, match="after sending 'websocket.close'"):
                await send({"type": "websocket.send", "text": "more"})
            await listen(receive, send)

        app = Journal(talk)
        async with serving(app, ws) as server, server.client() as peer:
            peer.send(TEXT, b"go")
            frame = await peer.read_close()
            assert (frame.code, frame.payload[2:].decode()) == (code, reason)
            for _ in range(100):  # are not received by anybody
                peer.send(TEXT, b"late" * 1000)
            peer.send(CLOSE, frame.payload)
            assert await peer.read_to_end() == b""
            assert await app.end() == disconnected(code, reason)
        assert len(app.received) == 2
        assert app.failure is None

    run(main())


def test_a_client_that_does_not_answer(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CLOSE_TIMEOUT", 0.05)
    protocol._options.cache_clear()

    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await send({"type": "websocket.close"})

        async with serving(Journal(talk), "wsfast") as server, server.client() as peer:
            await peer.read_close()
            assert await peer.read_to_end() == b""

    run(main())
    protocol._options.cache_clear()


@pytest.mark.parametrize("how", ["returns", "returns something", "raises", "accepts twice"])
def test_the_application_ends_without_closing(run: Any, ws: str, how: str, caplog: Any) -> None:
    async def main() -> None:
        async def talk(receive: Any, send: Any) -> Any:
            await send({"type": "websocket.send", "text": "last"})
            if how == "raises":
                raise LookupError("its own")
            if how == "accepts twice":
                await send({"type": "websocket.accept"})
            return 123 if how == "returns something" else None

        async with serving(Journal(talk), ws) as server, server.client() as peer:
            assert (await peer.read_frame()).payload == b"last"
            assert await peer.read_to_end() == b""  # without a close frame

    run(main())
    said = {
        "returns": "",
        "returns something": "ASGI callable should return None, but returned '123'.",
        "raises": "Exception in ASGI application",
        "accepts twice": "Expected ASGI message 'websocket.send' or 'websocket.close', but got",
    }
    assert said[how] in caplog.text


def test_what_was_sent_last_arrives(run: Any, ws: str) -> None:
    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await send({"type": "websocket.send", "bytes": b"x" * 20_000_000})

        app = Journal(talk)
        async with serving(app, ws) as server, server.client() as peer:
            await app.over.wait()
            assert len((await peer.read_frame()).payload) == 20_000_000
            assert await peer.read_to_end() == b""

    run(main())


def test_what_was_sent_last_is_not_kept_for_ever(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol, "CLOSE_TIMEOUT", 0.05)
    protocol._options.cache_clear()

    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            for _ in range(2):
                task = asyncio.create_task(
                    send({"type": "websocket.send", "bytes": b"x" * 20_000_000})
                )
            task.cancel()

        async with serving(Journal(talk), "wsfast") as server, server.client():
            while not server.server.server_state.connections:
                await asyncio.sleep(0)
            while server.server.server_state.connections:  # the client does not read
                await asyncio.sleep(0.01)

    run(main())
    protocol._options.cache_clear()


# ---------------------------------------------------------------- by the server


def test_shutdown(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws) as server, server.client() as peer:
            stopping = asyncio.create_task(server.stop())
            frame = await peer.read_close()
            assert (frame.code, frame.payload[2:]) == (1012, b"")
            peer.send(CLOSE, frame.payload)
            assert await peer.read_to_end() == b""
            peer.writer.close()
            await stopping
        assert app.received == [{"type": "websocket.disconnect", "code": 1012}]

    run(main())


def test_shutdown_with_a_client_that_does_not_answer(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol, "SHUTDOWN_TIMEOUT", 0.05)

    async def main() -> None:
        async with serving(Journal(), "wsfast") as server, server.client() as peer:
            stopping = asyncio.create_task(server.stop())
            assert (await peer.read_close()).code == 1012
            assert await peer.read_to_end() == b""
            await stopping

    run(main())


def test_shutdown_while_closing(run: Any, ws: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol, "SHUTDOWN_TIMEOUT", 0.05)

    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await send({"type": "websocket.close", "code": 4000})

        async with serving(Journal(talk), ws) as server, server.client() as peer:
            assert (await peer.read_close()).code == 4000
            stopping = asyncio.create_task(server.stop())
            assert await peer.read_to_end() == b""
            peer.writer.close()
            await stopping

    run(main())


def test_sending_when_the_server_has_ended(run: Any) -> None:
    async def talk(receive: Any, send: Any) -> None:
        await listen(receive, send)
        await send({"type": "websocket.send", "text": "too late"})

    async def main() -> None:
        app = Journal(talk)
        async with serving(app, "wsfast") as server, server.client() as peer:
            stopping = asyncio.create_task(server.stop())
            await peer.answer_close()
            await stopping
        assert type(app.failure).__name__ == "ClientDisconnected"

    run(main())


def test_shutdown_before_the_answer(run: Any, ws: str) -> None:
    async def main() -> None:
        received: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            received.append(await receive())
            received.append(await receive())

        async with serving(app, ws) as server:
            asking = asyncio.create_task(server.ask())
            while not received:
                await asyncio.sleep(0)
            await server.stop()
            answer = await asking
        assert (answer.status, answer.body) == (500, b"Internal Server Error")
        assert received[1] == {"type": "websocket.disconnect", "code": 1006}

    run(main())


def test_shutdown_within_a_response(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(protocol, "SHUTDOWN_TIMEOUT", 0.05)

    async def main() -> None:
        begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            begun.set()
            assert (await receive())["code"] == 1006

        async with serving(app, "wsfast") as server:
            asking = asyncio.create_task(server.ask())
            await begun.wait()
            await server.stop()
            assert (await asking).status == 404

    run(main())


def test_an_application_that_does_not_end(run: Any, ws: str) -> None:
    """It is cancelled, as uvicorn does with every one."""

    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            await asyncio.Event().wait()

        app = Journal(talk)
        async with (
            serving(app, ws, timeout_graceful_shutdown=0.2) as server,
            server.client() as peer,
        ):
            stopping = asyncio.create_task(server.stop())
            assert (await peer.answer_close()).code == 1012
            await stopping
            await app.over.wait()
            for _ in range(5):
                await asyncio.sleep(0)
        assert isinstance(app.failure, asyncio.CancelledError)

    run(main())


def test_connections_count(run: Any, ws: str) -> None:
    """For limit_concurrency."""

    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await Journal()(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        get = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        async with serving(app, ws, limit_concurrency=2) as server:
            assert (await server.ask(whole=get)).status == 204
            async with server.client() as peer:
                assert (await server.ask(whole=get)).status == 503
                peer.send_close(1000)
                await peer.read_to_end()
                peer.writer.close()
                while server.server.server_state.connections:
                    await asyncio.sleep(0.01)
            assert (await server.ask(whole=get)).status == 204

    run(main())


def test_nothing_is_left(run: Any) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/":
                await Journal(echo)(scope, receive, send)
            elif scope["path"] == "/refused":
                await send({"type": "websocket.close"})

        async with serving(app, "wsfast") as server:
            for path in (b"/refused", b"/left alone"):
                await server.ask(path=path.replace(b" ", b"%20"))
            for leave in (Peer.reset, lambda peer: peer.send_close(1000), lambda peer: None):
                async with server.client() as peer:
                    peer.send(TEXT, b"x" * 100_000)
                    await peer.read_frame()
                    leave(peer)
            while server.server.server_state.connections or server.server.server_state.tasks:
                await asyncio.sleep(0.01)
            gc.collect()
            left = [each for each in gc.get_objects() if isinstance(each, Conversation)]
            assert left == []

    run(main())


# ---------------------------------------------------------------- by time


def test_pings(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 30}
        async with serving(app, ws, **options) as server, server.client() as peer:
            for _ in range(3):
                frame = await peer.read_frame()
                assert frame.opcode == PING
                peer.send(PONG, frame.payload)
            peer.send(PING, b"ours")
            while (frame := await peer.read_frame()).opcode == PING:
                peer.send(PONG, frame.payload)
            assert (frame.opcode, frame.payload) == (PONG, b"ours")
            peer.send_close(1000)
            assert (await app.end())["code"] == 1000

    run(main())


def test_pings_that_are_not_answered(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}
        async with serving(app, ws, **options) as server, server.client() as peer:
            frame = await peer.read_close()
            assert (frame.code, frame.payload[2:]) == (1011, b"keepalive ping timeout")
            assert await peer.read_to_end() == b""
            assert await app.end() == LOST

    run(main())


@pytest.mark.parametrize("interval", [None, 0, 0.0])
def test_no_pings(run: Any, interval: Any) -> None:
    async def main() -> None:
        app = Journal()
        async with (
            serving(app, "wsfast", ws_ping_interval=interval) as server,
            server.client() as peer,
        ):
            (connection,) = server.server.server_state.connections
            assert connection._conversation._protocol.deadline is None
            peer.send_close(1000)
            await app.end()

    run(main())


def test_the_trace(run: Any, caplog: Any) -> None:
    async def main() -> None:
        async with serving(Journal(), "wsfast") as server:
            async with server.client() as peer:
                host, port = peer.writer.get_extra_info("sockname")
            while server.server.server_state.connections:
                await asyncio.sleep(0.01)
        assert f"{host}:{port} - WebSocket connection made" in caplog.text
        assert "WebSocket connection lost" in caplog.text
        assert f'{host}:{port} - "WebSocket /" [accepted]' in caplog.text

    with caplog.at_level(5, "uvicorn.error"):
        run(main())
