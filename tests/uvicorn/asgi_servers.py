"""ASGI applications under a real uvicorn, with our protocol and with its own, on the loop of the
test; and raw clients for them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aio_peers import Peer, raw_client, request
from uvicorn import Config, Server

PROTOCOLS = {
    "wsfast": "wsfast.uvicorn:WebSocketProtocol",
    "websockets": "websockets-sansio",
    "wsproto": "wsproto",
}
"""Our protocol and the two of uvicorn's that it is compared with, as `--ws` takes them."""

Event = dict[str, Any]
App = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Any]


@dataclass
class Running:
    """A server, and how to reach it."""

    server: Server
    port: int
    task: "asyncio.Task[None]"

    def client(self, *further: bytes, early: bytes = b"") -> Any:
        """A raw client whose request has been accepted."""
        return raw_client(self.port, early, *further)

    async def ask(self, *further: bytes, path: bytes = b"/", whole: bytes = b"") -> "Answer":
        """What comes in answer to a request, until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(whole or request(*further, path=path))
        data = await Peer(reader, writer, client=True).read_to_end()
        writer.close()
        return Answer.of(data)

    async def stop(self) -> None:
        """Asks it to end, and waits for that."""
        self.server.should_exit = True
        await self.task


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> "Answer":
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in rest)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        if headers.get("transfer-encoding") == "chunked":
            body = dechunked(body)
        return cls(int(first.split()[1]), headers, body)


def dechunked(data: bytes) -> bytes:
    """The body of a chunked response, as far as it has come."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return body


@contextlib.asynccontextmanager
async def serving(app: Any, ws: str, **options: Any) -> AsyncIterator[Running]:
    """Runs uvicorn with an application. What comes before it listens waits in the backlog."""
    options = {"lifespan": "off", "http": "h11", "log_config": None, **options}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(Config(app, ws=PROTOCOLS[ws], **options))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        running = Running(server, listener.getsockname()[1], task)
        try:
            yield running
        finally:
            await running.stop()


@dataclass
class Journal:
    """An application that accepts, does what it was made for, and writes down what it receives."""

    talk: Callable[[Any, Any], Awaitable[object]] | None = None
    """Called with `receive` and `send` once it has accepted."""
    accept: Event = field(default_factory=dict)
    """What is said in accepting."""
    received: list[Event] = field(default_factory=list)
    scopes: list[Event] = field(default_factory=list)
    failure: BaseException | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has ended."""

    async def __call__(self, scope: Event, receive: Any, send: Any) -> Any:
        self.scopes.append(scope)
        assert await receive() == {"type": "websocket.connect"}

        async def noting() -> Event:
            event: Event = await receive()
            self.received.append(event)
            return event

        try:
            await send({"type": "websocket.accept", **self.accept})
            return await (self.talk or listen)(noting, send)
        except BaseException as exc:
            self.failure = exc
            raise
        finally:
            self.over.set()

    async def end(self) -> Event:
        """What it received last, when it has ended."""
        await self.over.wait()
        return self.received[-1]


async def listen(receive: Any, send: Any) -> None:
    """Takes what comes until the end."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def echo(receive: Any, send: Any) -> None:
    """Sends it back as well."""
    while (event := await receive())["type"] != "websocket.disconnect":
        await send({**event, "type": "websocket.send"})
