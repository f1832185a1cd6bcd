"""An ASGI application under uvicorn, with the protocol that --ws names."""

import socket

import uvicorn
from serving import BACKLOG, READ_LIMIT, Serving, run


async def echo(scope, receive, send) -> None:
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


def to_everybody():
    connected = set()

    async def application(scope, receive, send) -> None:
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
                connected.add(send)
            else:
                message = {"type": "websocket.send", "bytes": event["bytes"]}
                for each in connected:
                    await each(message)
        connected.discard(send)

    return application


async def serve(serving: Serving) -> None:
    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            serving.ready(self.servers[0].sockets[0].getsockname()[1])

    config = uvicorn.Config(
        to_everybody() if serving.broadcast else echo,
        "127.0.0.1",
        0,
        ws=serving.ws,
        ws_max_size=READ_LIMIT,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=BACKLOG,
    )
    await Server(config).serve()


if __name__ == "__main__":
    run(serve)
