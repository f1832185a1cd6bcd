"""aiohttp's server."""

from aiohttp import WSMsgType, web
from serving import BACKLOG, READ_LIMIT, Serving, forever, run


async def serve(serving: Serving) -> None:
    connected = set()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, max_msg_size=READ_LIMIT)
        await ws.prepare(request)
        connected.add(ws)
        try:
            async for message in ws:
                if message.type is not WSMsgType.BINARY:
                    continue
                if serving.broadcast:
                    for each in connected:
                        await each.send_bytes(message.data)
                else:
                    await ws.send_bytes(message.data)
        finally:
            connected.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG)
    await site.start()
    serving.ready(site._server.sockets[0].getsockname()[1])
    await forever()


if __name__ == "__main__":
    run(serve)
