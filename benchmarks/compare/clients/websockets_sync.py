"""websockets, its threaded client."""

import blocking
from task import DEFLATE_WINDOW_BITS, READ_LIMIT, Task
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect


def deflate(task: Task) -> ClientPerMessageDeflateFactory:
    return ClientPerMessageDeflateFactory(
        server_max_window_bits=DEFLATE_WINDOW_BITS,
        client_max_window_bits=DEFLATE_WINDOW_BITS,
        compress_settings={"level": task.level},
    )


class Connection:
    def __init__(self, task: Task) -> None:
        self._ws = connect(
            task.url,
            ssl=task.ssl_context,
            max_size=READ_LIMIT,
            compression=None,
            extensions=[deflate(task)] if task.deflate else None,
            proxy=None,
        )
        self.send, self.receive, self.close = self._ws.send, self._ws.recv, self._ws.close


if __name__ == "__main__":
    blocking.run(Connection)
