"""Where connections may go: one server is allowed, everything else is refused."""

import threading
from urllib.parse import urlsplit

from _server import run

import wsfast
from wsfast import security
from wsfast.security import allow, deny


def attempt(url: str) -> bool:
    """Connects, has a message echoed, closes; False if that was refused or failed."""
    echoed = False
    closed = threading.Event()

    def on_open():
        wsfast.send(wsfast.current(), "Hello, Echo!")

    def on_message(data):
        nonlocal echoed
        print("Echo:", data)
        echoed = data == "Hello, Echo!"
        wsfast.close(wsfast.current())

    def on_error(text):
        print(f"{url}: {text}")

    def on_close(code, reason):
        closed.set()

    ws = wsfast.connect(
        url,
        on_open=on_open,
        on_message=on_message,
        on_error=on_error,
        on_close=on_close,
    )
    if ws == 0:  # refused at once; on_error has been called, on_close will not be
        return False
    closed.wait()
    return echoed


def main(url: str) -> bool:
    server = urlsplit(url)._replace(path="", query="").geturl()
    policy = security.Policy(
        [
            allow("websocket.connect"),
            allow("websocket.connect.url", server, "*.example.com", "localhost:*"),
            deny("websocket.connect.url", "internal.example.com"),
        ],
        allow_private=True,  # the server of this example runs here
    )
    with security.use(policy):
        connected = attempt(url)
        attempts = [
            attempt("wss://example.org/"),  # no rule allows it
            attempt("wss://internal.example.com/"),  # one rule denies it
            attempt("wss://www.example.com@example.org/"),  # the host is what follows the @
        ]
    # Rules may be as wide as they like: what is not of the public Internet is left out.
    with security.use(security.Policy(policy.rules)):
        attempts.append(attempt("ws://localhost/"))
    return connected and not any(attempts)


if __name__ == "__main__":
    run(main, "echo")
