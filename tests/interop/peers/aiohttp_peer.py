"""The peer that is `aiohttp`. It has no way to send a message in fragments."""

import asyncio
import json

import aiohttp
from aiohttp import WSMessage, WSMsgType, web
from interop_common import SUBPROTOCOL, Job, Message, Report, contexts, jobs, listen, ready

SERVER_TLS, CLIENT_TLS = contexts()

AnyWebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def send(ws: AnyWebSocket, message: Message) -> None:
    if isinstance(message, str):
        await ws.send_str(message)
    else:
        await ws.send_bytes(message)


async def echo(ws: AnyWebSocket, message: Message) -> None:
    await send(ws, message)


async def ping(ws: AnyWebSocket, message: Message) -> None:
    """Sends a ping that bears the size of the message, and waits for the pong."""
    data = b"%d" % len(message)
    await ws.ping(data)
    pong = await ws.receive()
    if (pong.type, bytes(pong.data)) != (WSMsgType.PONG, data):
        raise AssertionError(f"not the pong: {pong}")


async def pings(ws: AnyWebSocket, message: Message) -> None:
    await ping(ws, message)
    await send(ws, message)


async def close(ws: AnyWebSocket, message: Message) -> None:
    code, reason = json.loads(message)
    await ws.close(code=code, message=reason.encode())


ANSWERS = {"/echo": echo, "/pings": pings, "/close": close}


async def handler(request: web.Request) -> web.WebSocketResponse:
    # With autoping it would keep the pongs to itself; then it answers no ping either.
    ws = web.WebSocketResponse(protocols=[SUBPROTOCOL], autoping=request.path != "/pings")
    await ws.prepare(request)
    report = Report.of_request(request.raw_path, request.headers.items(), ws.ws_protocol)
    answer = ANSWERS[request.path]
    last: WSMessage | None = None
    while not ws.closed:
        last = await ws.receive()
        if last.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            report.got(last.data)
            await answer(ws, last.data)
    # Of the frame that answers its own close frame it keeps the code only.
    report.closed(ws.close_code, close_reason(last))
    return ws


def close_reason(last: WSMessage | None) -> str:
    return last.extra or "" if last is not None and last.type is WSMsgType.CLOSE else ""


async def run(job: Job, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(
        job.url,
        ssl=CLIENT_TLS,
        protocols=job.subprotocols or (),
        headers=job.headers,
        compress=15,  # offers permessage-deflate, which it does not do of itself
        autoping=job.way != "pings",
    ) as ws:
        extensions = "permessage-deflate" if ws.compress else ""
        report = Report(job.token, subprotocol=ws.protocol, extensions=extensions)
        for message in job.messages:
            if job.way == "pings":
                await ping(ws, message)
            await send(ws, message)
            report.got((await ws.receive()).data)
        last: WSMessage | None = None
        if job.close is None:
            last = await ws.receive()
        else:
            code, reason = job.close
            await ws.close(code=code, message=reason.encode())
        report.closed(ws.close_code, close_reason(last))


async def main() -> None:
    application = web.Application()
    application.router.add_get("/{behaviour}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    listeners = listen()
    for at in listeners:
        tls = SERVER_TLS if at.scheme == "wss" else None
        await web.SockSite(runner, at.sock, ssl_context=tls).start()
    ready(f"aiohttp {aiohttp.__version__}", listeners)
    todo = iter(jobs())
    async with aiohttp.ClientSession() as session:
        while (job := await asyncio.to_thread(next, todo, None)) is not None:
            with job:
                await run(job, session)
    await runner.cleanup()


asyncio.run(main())
