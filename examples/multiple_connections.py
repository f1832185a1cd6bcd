"""Several servers at once, and a broadcast to all of them.

What is given as `user_data` is the last argument of each callback: here, the name of the server.
"""

import threading

from _server import run, say

import wsfast


def main(url: str) -> bool:
    servers = {name: f"{url}?server={name}" for name in ("first", "second", "third")}
    connections = {}
    echoes = {}
    opened, answered, closed = (threading.Semaphore(0) for _ in range(3))

    def on_open(name):
        say(f"Connected to {name}")
        connections[name] = wsfast.current()
        opened.release()

    def on_message(data, name):
        say(f"From {name}: {data}")
        echoes[name] = data
        answered.release()

    def on_error(text, name):
        say(f"Error from {name}: {text}")

    def on_close(code, reason, name):
        say(f"Closed {name}: {code}")
        connections.pop(name, None)
        for semaphore in (opened, answered, closed):
            semaphore.release()  # nobody waits for what cannot come any more

    def broadcast(message):
        for ws in connections.copy().values():
            wsfast.send(ws, message)

    def wait_for_all(semaphore):
        return all(semaphore.acquire(timeout=10) for _ in servers)

    for name, server in servers.items():
        wsfast.connect(
            server,
            on_open=on_open,
            on_message=on_message,
            on_error=on_error,
            on_close=on_close,
            user_data=name,
        )
    wait_for_all(opened)
    broadcast("Hello, everybody")
    wait_for_all(answered)
    wsfast.disconnect_all()
    return wait_for_all(closed) and echoes == dict.fromkeys(servers, "Hello, everybody")


if __name__ == "__main__":
    run(main, "echo")
