"""websocket-client: `WebSocket.send` and `recv`, which are faster than its `WebSocketApp`."""

import blocking
import websocket
from task import Task


class Connection:
    def __init__(self, task: Task) -> None:
        options = {"context": task.ssl_context} if task.ssl_context else None
        self._ws = websocket.create_connection(task.url, timeout=30, sslopt=options)
        self.receive = self._ws.recv

    def send(self, data: str | bytes) -> object:
        return self._ws.send_text(data) if isinstance(data, str) else self._ws.send_bytes(data)

    def close(self) -> None:
        self._ws.close()


if __name__ == "__main__":
    blocking.run(Connection)
