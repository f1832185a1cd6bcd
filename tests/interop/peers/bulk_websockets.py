"""One end of the bulk transfer, by `websockets`: arguments role, certificates, URL (for a client).

See interop_bulk.py.
"""

import asyncio
import json
import sys
from typing import Any

from interop_bulk import COUNT, PAUSES, STALL, TO_CLIENT, TO_SERVER, Check, Messages
from interop_common import contexts, say
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedOK

OPTIONS: dict[str, Any] = {"ping_interval": None, "compression": None}
SERVER_TLS, CLIENT_TLS = contexts()
ROLE, WHERE = sys.argv[3:5]


class End:
    """One end of the one connection there is."""

    def __init__(self, sends: int, receives: int) -> None:
        self._messages = Messages(sends)
        self._check = Check(Messages(receives))
        self._resume = asyncio.Event()
        self._watched = False
        self._all_sent = False

    async def run(self, ws: Connection) -> None:
        listener = asyncio.create_task(self._listen())
        await asyncio.gather(self._send_all(ws), self._receive_all(ws))
        if ROLE == "client":
            await ws.close(1000, "all is said")
        else:
            await self._wait_closed(ws)
        listener.cancel()
        say(done=self._check.result(), close=[ws.close_code, ws.close_reason])

    async def _listen(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if "resume" in json.loads(line):
                self._resume.set()
            else:
                self._watched = True
                self._tell_blocked(by_end=True)

    def _tell_blocked(self, *, by_end: bool) -> None:
        if self._watched and by_end == self._all_sent:
            self._watched = False
            say(blocked=not by_end)

    async def _send_all(self, ws: Connection) -> None:
        for index in range(COUNT):
            sending = asyncio.ensure_future(ws.send(self._messages[index]))
            while not (await asyncio.wait({sending}, timeout=STALL))[0]:
                self._tell_blocked(by_end=False)
            await sending
        self._all_sent = True
        self._tell_blocked(by_end=True)

    async def _receive_all(self, ws: Connection) -> None:
        for index in range(COUNT):
            if index in PAUSES:
                self._resume.clear()
                say(paused=True)
                await self._resume.wait()
            self._check.got(await ws.recv())

    async def _wait_closed(self, ws: Connection) -> None:
        try:
            self._check.got(await ws.recv())
        except ConnectionClosedOK:
            return


async def serve_one() -> None:
    over = asyncio.Event()
    end = End(TO_CLIENT, TO_SERVER)

    async def handler(ws: Connection) -> None:
        try:
            await end.run(ws)
        finally:
            over.set()

    tls = SERVER_TLS if WHERE == "wss" else None
    async with serve(handler, "127.0.0.1", 0, ssl=tls, **OPTIONS) as server:
        say(port=server.sockets[0].getsockname()[1])
        await over.wait()


async def connect_once() -> None:
    tls = {"ssl": CLIENT_TLS} if WHERE.startswith("wss:") else {}
    async with connect(WHERE, proxy=None, **tls, **OPTIONS) as ws:
        await End(TO_SERVER, TO_CLIENT).run(ws)


asyncio.run(serve_one() if ROLE == "server" else connect_once())
