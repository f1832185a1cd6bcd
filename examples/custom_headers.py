"""Headers of our own in the opening request, here to authenticate."""

import json
import threading

from _server import run

import wsfast


def main(url: str) -> bool:
    seen = []
    closed = threading.Event()

    def on_open():
        print("Connected")

    def on_message(data):
        print("The server has seen:", data)
        seen.append(json.loads(data))
        wsfast.close(wsfast.current())

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        print("Closed:", code, reason)
        closed.set()

    ws = wsfast.connect(
        url,
        headers={"Authorization": "Bearer token123", "X-Custom": "value"},
        on_open=on_open,
        on_message=on_message,
        on_error=on_error,
        on_close=on_close,
    )
    return (
        ws > 0 and closed.wait(10) and seen == [{"Authorization": "accepted", "X-Custom": "value"}]
    )


if __name__ == "__main__":
    run(main, "headers")
