"""The server that run.py measures: an echo of its own at /plain, a relayed one at /echo, and a room
at /room, where what one says all hear. Writes its port. `server.py PROTOCOL`"""

import asyncio
import resource
import sys
from typing import Any

import uvicorn

from wsfast import process, relay


async def plain(receive: Any, send: Any) -> None:
    """What an application without the relay does."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def echo() -> None:
    """The same as a process."""
    async for message in process.inbox():
        if message.topic == "ws.message":
            process.send(
                message.sender, "ws.send", {"type": "text", "data": message.payload["data"]}
            )
        elif message.topic == "ws.leave":
            return


async def room() -> None:
    clients = set()
    async for message in process.inbox():
        if message.topic == "ws.join":
            clients.add(message.sender)
        elif message.topic == "ws.leave":
            clients.discard(message.sender)
        else:
            payload = {"type": "text", "data": message.payload["data"]}
            for client in clients:
                process.send(client, "ws.send", payload)


async def idle() -> None:
    """A target for many that say nothing."""
    async for _ in process.inbox():
        pass


TARGETS = {"/echo": lambda: process.spawn(echo), "/room": lambda: "room", "/idle": lambda: "idle"}


async def handler(scope: Any, receive: Any, send: Any) -> None:
    target = TARGETS[scope["path"]]()
    headers = [(relay.HEADER.encode(), relay.header(target).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})


relayed = relay.WebSocketRelay(handler)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/plain":
        await plain(receive, send)
    else:
        await relayed(scope, receive, send)


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
    process.spawn(room, name="room")
    process.spawn(idle, name="idle", mailbox_size=20_000)
    config = uvicorn.Config(
        app, port=0, ws=sys.argv[1], loop="asyncio", log_level="error", lifespan="off",
        ws_ping_interval=None, ws_per_message_deflate=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
