"""The peer that is `aiohttp`. It has no way to send a message in fragments."""

import asyncio
import json
from typing import Any

import aiohttp
from aiohttp import WSMessage, WSMsgType, web
from interop_common import (
    SUBPROTOCOL,
    Compression,
    Job,
    Message,
    Report,
    compression_for,
    contexts,
    deflate_idea,
    jobs,
    listen,
    ready,
)

SERVER_TLS, CLIENT_TLS = contexts()

AnyWebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def send(ws: AnyWebSocket, message: Message) -> None:
    if isinstance(message, str):
        await ws.send_str(message)
    else:
        await ws.send_bytes(message)


async def echo(ws: AnyWebSocket, message: Message) -> None:
    await send(ws, message)


async def anew(ws: AnyWebSocket, message: Message) -> None:
    """Compresses without what came before, although a context was agreed on."""
    if isinstance(message, str):
        await ws.send_str(message, compress=15)
    else:
        await ws.send_bytes(message, compress=15)


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


ANSWERS = {"/echo": echo, "/anew": anew, "/pings": pings, "/close": close}


async def handler(request: web.Request) -> web.WebSocketResponse:
    # With autoping it would keep the pongs to itself; then it answers no ping either.
    autoping = request.path != "/pings"
    compress = compression_for(request.raw_path) is not False
    ws = web.WebSocketResponse(protocols=[SUBPROTOCOL], autoping=autoping, compress=compress)
    await ws.prepare(request)
    report = Report.of_request(request.raw_path, request.headers.items(), ws.ws_protocol)
    report.deflate = idea(ws)
    await answer_all(ws, report, request.path)
    return ws


async def answer_all(ws: AnyWebSocket, report: Report, path: str) -> None:
    answer = ANSWERS[path]
    last: WSMessage | None = None
    while not ws.closed:
        last = await ws.receive()
        if last.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            report.got(last.data)
            await answer(ws, last.data)
    # Of the frame that answers its own close frame it keeps the code only.
    report.closed(ws.close_code, close_reason(last))


def idea(ws: AnyWebSocket) -> dict[str, Any] | None:
    """What it believes was agreed on. It inflates with all the window there can be, always."""
    if not ws.compress:
        return None
    return deflate_idea((ws._writer.compress, not ws._writer.notakeover), (15, True))


def offer(compression: Compression) -> int:
    """How its client is to compress. Of itself it offers no compression; usual here is that."""
    if isinstance(compression, dict):
        return compression["compress"]
    return 0 if compression is False else 15


def close_reason(last: WSMessage | None) -> str:
    return last.extra or "" if last is not None and last.type is WSMsgType.CLOSE else ""


async def run(job: Job, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(
        job.url,
        ssl=CLIENT_TLS,
        protocols=job.subprotocols or (),
        headers=job.headers,
        compress=offer(job.compression),
        autoping=job.way != "pings",
    ) as ws:
        extensions = "permessage-deflate" if ws.compress else ""
        report = Report(job.token, subprotocol=ws.protocol, extensions=extensions)
        report.deflate = idea(ws)
        if job.messages is None:
            await answer_all(ws, report, f"/{job.way}")
            return
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
