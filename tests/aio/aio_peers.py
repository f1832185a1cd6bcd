"""Peers made of an asyncio stream and bytes, on the loop of the test; see `raw_peers`."""

import asyncio
import base64
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

from raw_peers import CLOSE, KEY, Frame, close_frame, frame, mask, response

from wsfast import aio
from wsfast.aio import Connection

Role = str
"""Of our end: "client" or "server"."""


class Peer:
    """The other end of a connection. What it sends is masked if it is the client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._key = KEY if client else None

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def frame(self, opcode: int, payload: bytes = b"", **details: Any) -> bytes:
        """A frame as this end sends it."""
        return frame(opcode, payload, key=self._key, **details)

    def send(self, opcode: int, payload: bytes = b"", **details: Any) -> None:
        self.write(self.frame(opcode, payload, **details))

    def close_frame(self, code: int, reason: bytes = b"") -> bytes:
        return close_frame(code, reason, key=self._key)

    def send_close(self, code: int, reason: bytes = b"") -> None:
        self.write(self.close_frame(code, reason))

    async def read_frame(self) -> Frame:
        read = self.reader.readexactly
        first, second = await read(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(await read(2 if length == 126 else 8), "big")
        key = await read(4) if second & 0x80 else None
        payload = await read(length)
        if key is not None:
            payload = mask(payload, key)
        return Frame(first & 0xF, payload, bool(first & 0x80), first >> 4 & 7, key)

    async def read_close(self) -> Frame:
        """The next close frame; what comes before it is dropped."""
        while True:
            received = await self.read_frame()
            if received.opcode == CLOSE:
                return received

    async def read_to_end(self) -> bytes:
        """All that comes before the other end closes or resets the connection."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                data += piece
        return data

    async def answer_close(self) -> Frame:
        """As a good peer does."""
        received = await self.read_close()
        self.send(CLOSE, received.payload)
        if self._key is None:  # the server closes TCP
            self.writer.write_eof()
        await self.read_to_end()
        self.writer.close()
        return received

    def reset(self) -> None:
        """Closes with RST rather than FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_server(handle: Callable[[Peer], Any], **how: Any) -> AsyncIterator[str]:
    """Listens, and runs `handle` for each connection, none of which has been answered yet; the
    URL. What a handler raises is raised at the end."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(Peer(reader, writer, client=False))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # our end went away
        except asyncio.CancelledError:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again below
            failures.append(exc)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **how)
    scheme = "wss" if "ssl" in how else "ws"
    try:
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        while tasks:
            await asyncio.sleep(0)
    if failures:
        raise failures[0]


async def upgrade(peer: Peer, early: bytes = b"", *further: bytes) -> bytes:
    """Answers a request as a server should; returns it. `early` leaves with the answer."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    peer.write(response(head, *further) + early)
    return head


def request(*further: bytes, path: bytes = b"/") -> bytes:
    """A request as a client should send it."""
    lines = [
        b"GET " + path + b" HTTP/1.1",
        b"Host: localhost",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)),
        b"Sec-WebSocket-Version: 13",
        *further,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@contextlib.asynccontextmanager
async def raw_client(port: int | None, early: bytes = b"", *further: bytes) -> AsyncIterator[Peer]:
    """A raw peer connected to a server; `early` leaves with the request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    peer = Peer(reader, writer, client=True)
    try:
        peer.write(request(*further) + early)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield peer
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def opened(
    role: Role, *, early: bytes = b"", on_message: Any = None, **options: Any
) -> AsyncIterator[tuple[Connection, Peer]]:
    """A connection of ours in that role, and its peer. Both are dropped at the end."""
    if role == "client":
        arrived: asyncio.Queue[Peer] = asyncio.Queue()
        over = asyncio.Event()

        async def handle(peer: Peer) -> None:
            await upgrade(peer, early)
            arrived.put_nowait(peer)
            await over.wait()

        async with raw_server(handle) as url:
            connection = await aio.connect(url, on_message=on_message, **options)
            try:
                yield connection, await arrived.get()
            finally:
                over.set()
                connection.abort()
                await connection.wait_closed()
    else:
        connections: asyncio.Queue[Connection] = asyncio.Queue()

        async def keep(connection: Connection) -> None:
            connections.put_nowait(connection)
            await connection.wait_closed()

        async with (
            aio.serve(keep, "127.0.0.1", on_message=on_message, **options) as server,
            raw_client(server.port, early) as peer,
        ):
            connection = await connections.get()
            try:
                yield connection, peer
            finally:
                connection.abort()
