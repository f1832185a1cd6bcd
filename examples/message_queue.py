"""Send at any time: what is sent before the connection is open waits, and keeps its order."""

import threading

from _server import run

import wsfast


class QueuedConnection:
    """`_lock` makes sure that nothing overtakes the messages that wait."""

    def __init__(self, url: str, **callbacks) -> None:
        self._lock = threading.Lock()
        self._queue: list[str] | None = []
        self._ws = wsfast.connect(url, on_open=self._on_open, **callbacks)

    def send(self, data: str) -> None:
        with self._lock:
            if self._queue is None:
                wsfast.send(self._ws, data)
            else:
                self._queue.append(data)

    def close(self) -> None:
        wsfast.close(self._ws)

    def _on_open(self):
        with self._lock:
            waiting, self._queue = self._queue, None
            print(f"Connected, sending {len(waiting)} queued messages")
            for data in waiting:
                wsfast.send(wsfast.current(), data)


def main(url: str) -> bool:
    sent = [f"message {number}" for number in range(10)]
    received = []
    complete, closed = threading.Event(), threading.Event()

    def on_message(data):
        print("Echo:", data)
        received.append(data)
        if len(received) == len(sent):
            complete.set()

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        complete.set()
        closed.set()

    connection = QueuedConnection(url, on_message=on_message, on_error=on_error, on_close=on_close)
    for data in sent:
        connection.send(data)
    complete.wait(10)
    connection.close()
    return closed.wait(10) and received == sent


if __name__ == "__main__":
    run(main, "echo")
