"""The peer that is the asyncio half of `websockets`."""

import asyncio
import json
from urllib.parse import urlsplit

import websockets
from interop_common import (
    SUBPROTOCOL,
    Job,
    Message,
    Report,
    contexts,
    jobs,
    listen,
    pieces,
    ready,
)
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

SERVER_TLS, CLIENT_TLS = contexts()


async def echo(ws: Connection, message: Message) -> None:
    await ws.send(message)


async def fragments(ws: Connection, message: Message) -> None:
    await ws.send(pieces(message))


async def pings(ws: Connection, message: Message) -> None:
    await (await ws.ping())
    await ws.send(message)


async def close(ws: Connection, message: Message) -> None:
    await ws.close(*json.loads(message))


ANSWERS = {"/echo": echo, "/fragments": fragments, "/pings": pings, "/close": close}


async def handler(ws: ServerConnection) -> None:
    request = ws.request
    report = Report.of_request(request.path, request.headers.raw_items(), ws.subprotocol)
    answer = ANSWERS[urlsplit(request.path).path]
    try:
        while True:
            message = await ws.recv()
            report.got(message)
            await answer(ws, message)
    except ConnectionClosed:
        report.closed(ws.close_code, ws.close_reason)


def select_subprotocol(ws: ServerConnection, offered: list[str]) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


async def run(job: Job) -> None:
    tls = {"ssl": CLIENT_TLS} if job.url.startswith("wss:") else {}
    async with connect(
        job.url,
        proxy=None,
        subprotocols=job.subprotocols,
        additional_headers=job.headers,
        **tls,
    ) as ws:
        headers = ws.response.headers
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        report = Report(job.token, subprotocol=ws.subprotocol, extensions=extensions)
        for message in job.messages:
            if job.way == "pings":
                await (await ws.ping())
            await ws.send(pieces(message) if job.way == "fragments" else message)
            report.got(await ws.recv())
        if job.close is None:
            await ws.wait_closed()
        else:
            await ws.close(*job.close)
        report.closed(ws.close_code, ws.close_reason)


async def main() -> None:
    listeners = listen()
    for at in listeners:
        tls = SERVER_TLS if at.scheme == "wss" else None
        await serve(handler, sock=at.sock, ssl=tls, select_subprotocol=select_subprotocol)
    ready(f"websockets {websockets.__version__}", listeners)
    todo = iter(jobs())
    while (job := await asyncio.to_thread(next, todo, None)) is not None:
        with job:
            await run(job)


asyncio.run(main())
