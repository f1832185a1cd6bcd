"""Applications of frameworks, unchanged, with each protocol."""

import asyncio
import importlib.util
from typing import Any

import pytest
import websockets
from asgi_servers import serving


def needs(name: str) -> Any:
    missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(missing, reason=f"NOT TESTED with {name}: it is not installed here")


def connect(server: Any, path: str, **how: Any) -> Any:
    return websockets.connect(f"ws://127.0.0.1:{server.port}{path}", **how)


async def refused(server: Any, path: str, **how: Any) -> tuple[int, bytes | None]:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await connect(server, path, **how)
    return caught.value.response.status_code, caught.value.response.body


@needs("starlette")
def test_starlette(run: Any, ws: str) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    async def main() -> None:
        left: asyncio.Queue[Any] = asyncio.Queue()

        async def talk(socket: WebSocket) -> None:
            await socket.accept(subprotocol="b", headers=[(b"x-room", b"7")])
            await socket.send_json({"query": socket.query_params["q"], **socket.path_params})
            async for text in socket.iter_text():
                await socket.send_text(text.upper())
            left.put_nowait("talk")

        async def leave(socket: WebSocket) -> None:
            await socket.accept()
            with pytest.raises(WebSocketDisconnect) as caught:
                await socket.receive_text()
            left.put_nowait((caught.value.code, caught.value.reason))

        async def close(socket: WebSocket) -> None:
            await socket.accept()
            await socket.close(4001, "enough")

        async def refuse(socket: WebSocket) -> None:
            await socket.close()

        async def deny(socket: WebSocket) -> None:
            await socket.send_denial_response(PlainTextResponse("who are you?", 401))

        async def plain(_request: Any) -> PlainTextResponse:
            return PlainTextResponse("plain")

        app = Starlette(
            routes=[
                WebSocketRoute("/rooms/{room:int}", talk),
                WebSocketRoute("/leave", leave),
                WebSocketRoute("/close", close),
                WebSocketRoute("/refuse", refuse),
                WebSocketRoute("/deny", deny),
                Route("/plain", plain),
            ]
        )
        async with serving(app, ws, lifespan="on") as server:
            async with connect(server, "/rooms/7?q=%C3%B6", subprotocols=["a", "b"]) as client:
                assert client.subprotocol == "b"
                assert client.response.headers["X-Room"] == "7"
                assert await client.recv() == '{"query":"ö","room":7}'
                for text in ("one", "two"):
                    await client.send(text)
                    assert await client.recv() == text.upper()
            assert await left.get() == "talk"
            async with connect(server, "/leave") as client:
                await client.close(3001, "bye")
            assert await left.get() == (3001, "bye")
            async with connect(server, "/close") as client:
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    await client.recv()
                assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")
            assert await refused(server, "/refuse") == (403, b"")
            assert await refused(server, "/deny") == (401, b"who are you?")
            assert (await refused(server, "/nowhere"))[0] == 403
            answer = await server.ask(
                whole=b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            assert (answer.status, answer.body) == (200, b"plain")

    run(main())


@needs("fastapi")
def test_fastapi(run: Any, ws: str) -> None:
    from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException

    async def main() -> None:
        app = FastAPI()
        rooms: dict[str, set[Any]] = {}
        left: asyncio.Queue[Any] = asyncio.Queue()

        async def user(socket: WebSocket) -> str:
            name = socket.query_params.get("user")
            if name is None:
                raise WebSocketException(code=1008, reason="no user")
            return name

        async def chat(socket: WebSocket, room: str, name: str = Depends(user)) -> None:
            await socket.accept()
            members = rooms.setdefault(room, set())
            members.add(socket)
            try:
                while True:
                    said = await socket.receive_json()
                    for member in members:
                        await member.send_json({"from": name, "said": said})
            except WebSocketDisconnect as exc:
                members.discard(socket)
                left.put_nowait((name, exc.code))

        # The decorator would look up these annotations among the names of the module.
        chat.__annotations__.update(socket=WebSocket, room=str, name=str)
        user.__annotations__.update(socket=WebSocket)
        app.websocket("/rooms/{room}")(chat)

        async with serving(app, ws, lifespan="on") as server:
            async with (
                connect(server, "/rooms/1?user=ada") as ada,
                connect(server, "/rooms/1?user=bob") as bob,
            ):
                while len(rooms.get("1", ())) < 2:
                    await asyncio.sleep(0)
                await ada.send('{"text": "hello"}')
                for each in (ada, bob):
                    assert await each.recv() == '{"from":"ada","said":{"text":"hello"}}'
                await bob.close(1001)
                assert await left.get() == ("bob", 1001)
            assert await left.get() == ("ada", 1000)
            assert (await refused(server, "/rooms/1"))[0] == 403

    run(main())


@needs("channels")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Django's, about Python's newest
def test_django_channels(run: Any, ws: str) -> None:
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
        )
    from channels.generic.websocket import AsyncJsonWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    async def main() -> None:
        left: asyncio.Queue[Any] = asyncio.Queue()

        class Chat(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
            groups = ("all",)

            async def connect(self) -> None:
                if self.scope["url_route"]["kwargs"]["room"] == "private":
                    await self.close()
                else:
                    await self.accept("chat")

            async def receive_json(self, content: Any, **_: Any) -> None:
                if content == "close":
                    await self.close(4000, "told to")
                else:
                    await self.channel_layer.group_send("all", {"type": "said", "what": content})

            async def said(self, event: Any) -> None:
                await self.send_json(event["what"])

            async def disconnect(self, code: int) -> None:
                left.put_nowait(code)

        router = URLRouter([path("rooms/<str:room>", Chat.as_asgi())])
        app = ProtocolTypeRouter({"websocket": router})
        async with serving(app, ws) as server:
            async with (
                connect(server, "/rooms/1", subprotocols=["chat"]) as one,
                connect(server, "/rooms/1", subprotocols=["chat"]) as two,
            ):
                assert one.subprotocol == "chat"
                await one.send('{"n": 1}')
                assert [await one.recv(), await two.recv()] == ['{"n": 1}'] * 2
                await two.send('"close"')
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    await two.recv()
                assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "told to")
                assert await left.get() == 4000
            assert await left.get() == 1000
            assert (await refused(server, "/rooms/private"))[0] == 403
            assert await left.get() == 1006

    run(main())
