"""websockets, its asyncio client, on uvloop."""

import coroutines
from task import READ_LIMIT, Task
from websockets.asyncio.client import connect
from websockets_sync import deflate


class Connection:
    def __init__(self, ws) -> None:
        self.send, self.receive, self.close = ws.send, ws.recv, ws.close


async def open_connection(task: Task) -> Connection:
    ws = await connect(
        task.url,
        ssl=task.ssl_context,
        max_size=READ_LIMIT,
        compression=None,
        extensions=[deflate(task)] if task.deflate else None,
        proxy=None,
    )
    return Connection(ws)


if __name__ == "__main__":
    coroutines.run(open_connection)
