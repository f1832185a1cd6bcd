"""The smallest client: say hello to an echo server, print what comes back, leave."""

import threading

from _server import run

import wsfast


def main(url: str) -> bool:
    echoes = []
    closed = threading.Event()

    def on_open():
        print("Connected!")
        # Inside a callback, current() is the connection it belongs to.
        wsfast.send(wsfast.current(), "Hello, Echo!")

    def on_message(data):
        print("Echo:", data)
        echoes.append(data)
        wsfast.close(wsfast.current())

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        print("Closed:", code, reason)
        closed.set()

    ws = wsfast.connect(
        url, on_open=on_open, on_message=on_message, on_error=on_error, on_close=on_close
    )
    return ws > 0 and closed.wait(10) and echoes == ["Hello, Echo!"]


if __name__ == "__main__":
    run(main, "echo")
