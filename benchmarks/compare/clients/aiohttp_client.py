"""aiohttp's client on uvloop. It compresses by zlib-ng, at level 1, which cannot be chosen."""

import aiohttp
import coroutines
import zlib_ng.zlib_ng
from task import DEFLATE_WINDOW_BITS, READ_LIMIT, Task


class Connection:
    def __init__(self, session: aiohttp.ClientSession, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._session, self._ws = session, ws

    async def send(self, data: str | bytes) -> None:
        await (self._ws.send_str(data) if isinstance(data, str) else self._ws.send_bytes(data))

    async def receive(self) -> str | bytes:
        return (await self._ws.receive()).data

    async def close(self) -> None:
        await self._ws.close()
        await self._session.close()


async def open_connection(task: Task) -> Connection:
    session = aiohttp.ClientSession()
    ws = await session.ws_connect(
        task.url,
        ssl=task.ssl_context or True,
        max_msg_size=READ_LIMIT,
        compress=DEFLATE_WINDOW_BITS if task.deflate else 0,
    )
    return Connection(session, ws)


if __name__ == "__main__":
    aiohttp.set_zlib_backend(zlib_ng.zlib_ng)
    coroutines.run(open_connection)
