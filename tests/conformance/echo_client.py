"""The client under test: `echo_client.py threads|callbacks|aio|aio-callbacks URL AGENT COUNT`.

Connects to the suite once for each of COUNT cases and echoes what comes, then asks it to write its
reports about AGENT. `threads` is `wsfast.threads`, `callbacks` the ID API, and the others are
`wsfast.aio`, by iteration and by `on_message`.
"""

import asyncio
import queue
import sys
from collections.abc import Coroutine
from urllib.parse import urlencode

from conformance_peers import OPTIONS, echo, echo_aio, send_back

import wsfast
from wsfast import aio
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect


def by_threads(url: str) -> None:
    try:
        connection = connect(parse_url(url), client_options(**OPTIONS))
    except WebSocketError as error:
        print(f"{url}: {error}", file=sys.stderr)  # the suite, too, will say that it failed
        return
    echo(connection)
    connection.finish()


def by_callbacks(url: str) -> None:
    ended: queue.Queue[int] = queue.Queue()

    def answer(data: str | bytes) -> None:
        wsfast.send(wsfast.current(), data)

    wsfast.connect(
        url, on_message=answer, on_close=lambda code, _reason: ended.put(code), **OPTIONS
    )
    ended.get()


def by_aio(url: str) -> None:
    async def run() -> None:
        async with aio.connect(url, **OPTIONS) as connection:
            await echo_aio(connection)

    _on_loop(url, run())


def by_aio_callbacks(url: str) -> None:
    async def run() -> None:
        async with aio.connect(url, on_message=send_back, **OPTIONS) as connection:
            await connection.wait_closed()

    _on_loop(url, run())


def _on_loop(url: str, work: Coroutine[object, object, None]) -> None:
    try:
        asyncio.run(work)
    except WebSocketError as error:
        print(f"{url}: {error}", file=sys.stderr)


def main() -> None:
    api, url, agent, count = sys.argv[1:]
    run = {
        "threads": by_threads,
        "callbacks": by_callbacks,
        "aio": by_aio,
        "aio-callbacks": by_aio_callbacks,
    }[api]
    for case in range(1, int(count) + 1):
        run(f"{url}/runCase?{urlencode({'case': case, 'agent': agent})}")
    run(f"{url}/updateReports?{urlencode({'agent': agent})}")


if __name__ == "__main__":
    main()
