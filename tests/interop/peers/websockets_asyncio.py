"""The peer that is the asyncio half of `websockets`."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import websockets
from interop_common import (
    SUBPROTOCOL,
    Job,
    Message,
    Report,
    contexts,
    cut,
    jobs,
    listen,
    pieces,
    ready,
)
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets_deflate import client_compression, idea, server_compression

SERVER_TLS, CLIENT_TLS = contexts()


async def echo(ws: Connection, message: Message) -> None:
    await ws.send(message)


async def fragments(ws: Connection, message: Message) -> None:
    await ws.send(pieces(message))


async def ragged(ws: Connection, message: Message) -> None:
    async def fragments() -> AsyncIterator[bytes]:
        for piece in cut(message):
            yield piece
            await ws.ping()

    await ws.send(fragments(), text=isinstance(message, str))


async def pings(ws: Connection, message: Message) -> None:
    await (await ws.ping())
    await ws.send(message)


async def close(ws: Connection, message: Message) -> None:
    await ws.close(*json.loads(message))


ANSWERS = {
    "/echo": echo,
    "/fragments": fragments,
    "/ragged": ragged,
    "/pings": pings,
    "/close": close,
}


async def handler(ws: ServerConnection) -> None:
    request = ws.request
    report = Report.of_request(request.path, request.headers.raw_items(), ws.subprotocol)
    report.deflate = idea(ws)
    await answer_all(ws, report, urlsplit(request.path).path)


async def answer_all(ws: Connection, report: Report, path: str) -> None:
    answer = ANSWERS[path]
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
        **client_compression(job),
        **tls,
    ) as ws:
        headers = ws.response.headers
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        report = Report(job.token, subprotocol=ws.subprotocol, extensions=extensions)
        report.deflate = idea(ws)
        if job.messages is None:
            await answer_all(ws, report, f"/{job.way}")
            return
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
        await serve(
            handler,
            sock=at.sock,
            ssl=tls,
            select_subprotocol=select_subprotocol,
            process_request=server_compression,
        )
    ready(f"websockets {websockets.__version__}", listeners)
    todo = iter(jobs())
    while (job := await asyncio.to_thread(next, todo, None)) is not None:
        with job:
            await run(job)


asyncio.run(main())
