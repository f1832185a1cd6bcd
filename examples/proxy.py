"""Through a proxy. Without `proxy=` it would be the one that the environment names, such as
https_proxy=http://user:password@proxy.example:3128, except for servers on this machine."""

import sys
import threading

from _proxy import running
from _server import run

import wsfast


def main(url: str) -> bool:
    if len(sys.argv) > 2:
        return echo(url, sys.argv[2])
    with running() as proxy:
        return echo(url, proxy)


def echo(url: str, proxy: str) -> bool:
    echoes = []
    closed = threading.Event()

    def on_open():
        print("Connected through the proxy")
        wsfast.send(wsfast.current(), "Hello, Echo!")

    def on_message(data):
        print("Echo:", data)
        echoes.append(data)
        wsfast.close(wsfast.current())

    def on_error(text):
        print("Error:", text)  # of the proxy, too; never with its user and password

    def on_close(code, reason):
        print("Closed:", code, reason)
        closed.set()

    ws = wsfast.connect(
        url,
        proxy=proxy,
        on_open=on_open,
        on_message=on_message,
        on_error=on_error,
        on_close=on_close,
    )
    return ws > 0 and closed.wait(10) and echoes == ["Hello, Echo!"]


if __name__ == "__main__":
    run(main, "echo")
