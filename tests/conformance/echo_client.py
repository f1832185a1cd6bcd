"""The client under test: `echo_client.py threads|callbacks URL AGENT COUNT`.

Connects to the suite once for each of COUNT cases and echoes what comes, then asks it to write its
reports about AGENT. `threads` is `wsfast.threads`, `callbacks` the ID API.
"""

import queue
import sys
from urllib.parse import urlencode

from conformance_peers import OPTIONS, echo

import wsfast
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

    def send_back(data: str | bytes) -> None:
        wsfast.send(wsfast.current(), data)

    wsfast.connect(
        url, on_message=send_back, on_close=lambda code, _reason: ended.put(code), **OPTIONS
    )
    ended.get()


def main() -> None:
    api, url, agent, count = sys.argv[1:]
    run = {"threads": by_threads, "callbacks": by_callbacks}[api]
    for case in range(1, int(count) + 1):
        run(f"{url}/runCase?{urlencode({'case': case, 'agent': agent})}")
    run(f"{url}/updateReports?{urlencode({'agent': agent})}")


if __name__ == "__main__":
    main()
