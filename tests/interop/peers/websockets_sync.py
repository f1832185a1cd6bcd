"""The peer that is the threaded half of `websockets`."""

import json
import threading
from collections.abc import Iterator
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
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.sync.server import ServerConnection, serve
from websockets_deflate import client_compression, idea, server_compression

SERVER_TLS, CLIENT_TLS = contexts()


def echo(ws: Connection, message: Message) -> None:
    ws.send(message)


def fragments(ws: Connection, message: Message) -> None:
    ws.send(pieces(message))


def ragged(ws: Connection, message: Message) -> None:
    def fragments() -> Iterator[bytes]:
        for piece in cut(message):
            yield piece
            ws.ping()

    ws.send(fragments(), text=isinstance(message, str))


def pings(ws: Connection, message: Message) -> None:
    ws.ping().wait()
    ws.send(message)


def close(ws: Connection, message: Message) -> None:
    ws.close(*json.loads(message))


ANSWERS = {
    "/echo": echo,
    "/fragments": fragments,
    "/ragged": ragged,
    "/pings": pings,
    "/close": close,
}


def handler(ws: ServerConnection) -> None:
    request = ws.request
    report = Report.of_request(request.path, request.headers.raw_items(), ws.subprotocol)
    report.deflate = idea(ws)
    answer_all(ws, report, urlsplit(request.path).path)


def answer_all(ws: Connection, report: Report, path: str) -> None:
    answer = ANSWERS[path]
    try:
        while True:
            message = ws.recv()
            report.got(message)
            answer(ws, message)
    except ConnectionClosed:
        report.closed(ws.close_code, ws.close_reason)


def select_subprotocol(ws: ServerConnection, offered: list[str]) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def run(job: Job) -> None:
    with connect(
        job.url,
        ssl=CLIENT_TLS if job.url.startswith("wss:") else None,
        proxy=None,
        subprotocols=job.subprotocols,
        additional_headers=job.headers,
        **client_compression(job),
    ) as ws:
        extensions = ws.response.headers.get("Sec-WebSocket-Extensions", "")
        report = Report(job.token, subprotocol=ws.subprotocol, extensions=extensions)
        report.deflate = idea(ws)
        if job.messages is None:
            answer_all(ws, report, f"/{job.way}")
            return
        for message in job.messages:
            if job.way == "pings":
                ws.ping().wait()
            ws.send(pieces(message) if job.way == "fragments" else message)
            report.got(ws.recv())
        if job.close is None:
            wait_closed(ws)
        else:
            ws.close(*job.close)
        report.closed(ws.close_code, ws.close_reason)


def wait_closed(ws: Connection) -> None:
    try:
        ws.recv()
    except ConnectionClosed:
        return
    raise AssertionError("a message where a close was expected")


def main() -> None:
    listeners = listen()
    for at in listeners:
        tls = SERVER_TLS if at.scheme == "wss" else None
        server = serve(
            handler,
            sock=at.sock,
            ssl=tls,
            select_subprotocol=select_subprotocol,
            process_request=server_compression,
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ready(f"websockets {websockets.__version__}", listeners)
    for job in jobs():
        with job:
            run(job)


main()
