"""websockets' asyncio server, on uvloop."""

from collections.abc import Callable, Coroutine
from typing import Any

from serving import BACKLOG, READ_LIMIT, Serving, forever, run


async def echo(ws) -> None:
    async for message in ws:
        await ws.send(message)


def serve_by(
    start: Callable[..., Any], broadcast: Callable[..., None]
) -> Callable[[Serving], Coroutine[object, object, None]]:
    """By a library with this API."""

    async def serve(serving: Serving) -> None:
        connected = set()

        async def to_everybody(ws) -> None:
            connected.add(ws)
            try:
                async for message in ws:
                    broadcast(connected, message)
            finally:
                connected.discard(ws)

        async with start(
            to_everybody if serving.broadcast else echo,
            "127.0.0.1",
            0,
            compression=None,
            max_size=READ_LIMIT,
            ping_interval=None,
            backlog=BACKLOG,
        ) as server:
            serving.ready(next(iter(server.sockets)).getsockname()[1])
            await forever()

    return serve


if __name__ == "__main__":
    from websockets.asyncio.server import broadcast, serve

    run(serve_by(serve, broadcast))
