"""A pool of connections with an upper bound, and messages to all of them."""

import threading

from _server import run, say

import wsfast


class Pool:
    def __init__(self, max_connections: int = 5) -> None:
        self.max_connections = max_connections
        self.ids: list[int] = []

    def connect(self, url: str, **callbacks) -> int | None:
        # Those that have ended make room.
        self.ids = [ws for ws in self.ids if wsfast.get_state(ws) in ("connecting", "connected")]
        if len(self.ids) >= self.max_connections:
            say("Max connections reached")
            return None
        ws = wsfast.connect(url, **callbacks)
        if not ws:
            return None
        self.ids.append(ws)
        return ws

    def send_all(self, data: str | bytes) -> int:
        """Returns how many of them took it."""
        return sum(wsfast.send(ws, data) for ws in self.ids)

    def close_all(self) -> None:
        for ws in self.ids:
            wsfast.close(ws)
        self.ids.clear()


def main(url: str) -> bool:
    pool = Pool()
    echoes = []
    opened, answered, closed = (threading.Semaphore(0) for _ in range(3))

    def on_message(data):
        say(f"Connection {wsfast.current()}: {data}")
        echoes.append(data)
        answered.release()

    def on_close(code, reason):
        for semaphore in (opened, answered, closed):
            semaphore.release()  # nobody waits for what cannot come any more

    callbacks = {
        "on_open": opened.release,
        "on_message": on_message,
        "on_error": lambda text: say(f"Error: {text}"),
        "on_close": on_close,
    }

    def wait_for_all(semaphore):
        return all(semaphore.acquire(timeout=10) for _ in range(pool.max_connections))

    for _ in range(pool.max_connections):
        pool.connect(url, **callbacks)
    wait_for_all(opened)
    refused = pool.connect(url, **callbacks) is None
    say(f"Sent to {pool.send_all('Hello, pool')} connections")
    wait_for_all(answered)
    pool.close_all()
    return refused and wait_for_all(closed) and echoes == ["Hello, pool"] * pool.max_connections


if __name__ == "__main__":
    run(main, "echo")
