"""Servers in threads, an application made of one response, and clients that speak bytes."""

import asyncio
import contextlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config
from process_helpers import SECONDS, until
from raw_peers import BINARY, KEY, TEXT, RawClientPeer, client_peer, close_frame, frame

from wsfast import process, relay

PROTOCOLS = ["websockets-sansio", "wsproto", "hypercorn"]
if importlib.util.find_spec("wsfast.uvicorn"):
    PROTOCOLS.append("wsfast.uvicorn:WebSocketProtocol")


class Stage:
    """What a server runs: whatever the test puts there."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Running:
    """A server in a thread of its own."""

    def __init__(self, protocol: str, **options: Any) -> None:
        self.protocol = protocol
        self.stage = Stage()
        self.port = 0
        self._stop: Callable[[], object] = int
        serving = self._hypercorn if protocol == "hypercorn" else self._uvicorn
        self._thread = threading.Thread(target=self._run, args=(serving(**options),), name="server")
        self._thread.start()
        until(lambda: self.port)

    @staticmethod
    def _run(serving: Coroutine[Any, Any, None]) -> None:
        asyncio.run(serving)

    async def _uvicorn(self, **options: Any) -> None:
        config = uvicorn.Config(
            self.stage, port=0, ws=self.protocol, log_config=None, lifespan="off", **options
        )
        server = uvicorn.Server(config)

        async def announce() -> None:
            while not server.started:
                await asyncio.sleep(0.001)
            self.port = server.servers[0].sockets[0].getsockname()[1]

        def stop() -> None:
            server.should_exit = True

        self._stop = stop
        announcing = asyncio.create_task(announce())
        await server.serve()
        await announcing

    async def _hypercorn(self, **options: Any) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        config = Config.from_mapping(
            bind=["127.0.0.1:0"], graceful_timeout=1, accesslog=None, **options
        )
        sockets = config.create_sockets()
        config.create_sockets = lambda: sockets  # type: ignore[method-assign]
        self._stop = lambda: loop.call_soon_threadsafe(stopping.set)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                self.port = sockets.insecure_sockets[0].getsockname()[1]
            else:
                await self.stage(scope, receive, send)

        await serve(app, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._stop()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


def response(
    status: int = 200, headers: dict[str, str] | None = None, body: bytes = b""
) -> Callable[..., Any]:
    """An application that answers every request so, and notes its scopes in `scopes`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        app.scopes.append(scope)
        assert (await receive())["type"] == "http.request"
        pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    app.scopes = []
    return app


def inviting(target: Any, /, **fields: Any) -> Callable[..., Any]:
    """An application that hands every socket to a process."""
    return response(headers={relay.HEADER: relay.header(target, **fields)})


class Client(RawClientPeer):
    """A client that has been accepted."""

    def say(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.send(frame(TEXT, data.encode(), key=KEY))
        else:
            self.send(frame(BINARY, data, key=KEY))

    def hear(self) -> str | bytes:
        received = self.read_frame()
        assert received.opcode in (TEXT, BINARY), received
        return received.payload.decode() if received.opcode == TEXT else received.payload

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Closes, and waits for the answer."""
        self.send(close_frame(code, reason.encode(), key=KEY))
        self.read_to_end()

    def closed_with(self) -> tuple[int, str]:
        """The close frame that comes next but for messages; it is answered."""
        received = self.read_close()
        self.send(frame(received.opcode, received.payload, key=KEY))
        self.read_to_end()
        return received.code, received.payload[2:].decode()


@contextlib.contextmanager
def asking(port: int, *fields: bytes, path: bytes = b"/") -> Iterator[Client]:
    """A client that has sent its request."""
    with client_peer(port) as peer:
        client = Client(peer.sock)
        client.ask(*fields, line=b"GET " + path + b" HTTP/1.1", host=b"127.0.0.1:%d" % port)
        yield client


@contextlib.contextmanager
def connected(port: int, *fields: bytes, path: bytes = b"/") -> Iterator[Client]:
    """A client that has been accepted."""
    with asking(port, *fields, path=path) as client:
        head = client.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield client


def refusal(port: int, *fields: bytes, path: bytes = b"/") -> tuple[int, bytes, bytes]:
    """Status, head and body of the response in place of an upgrade."""
    with asking(port, *fields, path=path) as client:
        head = client.read_head()
        return int(head[9:12]), head.lower(), client.read_to_end()


def join() -> process.PID:
    """Receives a `ws.join`; returns who has joined."""
    return told("ws.join")["client_pid"]  # type: ignore[no-any-return]


def told(topic: str) -> dict[str, Any]:
    """The payload of the next message, which must have that topic."""
    message, ok = process.inbox().receive("60s")
    assert ok
    assert message is not None
    assert message.topic == topic, message
    assert message.sender == message.payload["client_pid"]
    return dict(message.payload)


def logged(caplog: Any, level: int = logging.WARNING) -> str:
    """What wsfast has logged, of that level and above."""
    return "\n".join(
        each.getMessage()
        for each in caplog.records
        if each.name == "wsfast" and each.levelno >= level
    )
