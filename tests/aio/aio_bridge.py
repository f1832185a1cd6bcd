"""`wsfast.aio` behind the face of the threaded driver, so that its tests can be run on both.

A loop runs on a thread of its own; what is called here waits for what is done there.
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from wsfast import aio
from wsfast.protocol.errors import ConnectionClosed

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that anything may take. Only a failing test waits that long."""


class Loop:
    """A loop on a thread of its own. `close` it."""

    def __init__(self, new_loop: Callable[[], Any] = asyncio.new_event_loop) -> None:
        self.complaints: list[dict[str, Any]] = []
        self.servers: list[aio.Server] = []
        self._loop: asyncio.AbstractEventLoop = new_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self._thread = threading.Thread(target=self._run, name="aio-bridge")
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = PATIENCE) -> T:
        return self.start(work).result(timeout)

    def settle(self) -> None:
        """Waits until its servers have no connections."""

        async def wait() -> None:
            while any(server.connections for server in self.servers):
                await asyncio.sleep(0.001)

        self.run(wait())

    def close(self) -> None:
        """Ends it. No task may be left, and none may have failed unseen."""

        async def rest() -> set[Any]:
            await self._loop.shutdown_default_executor()
            for _ in range(20):
                await asyncio.sleep(0)
            return asyncio.all_tasks() - {asyncio.current_task()}

        left = self.run(rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        assert not left
        assert self.complaints == []


class Connection:
    """A connection of `wsfast.aio`, as one of `wsfast.threads`."""

    def __init__(self, loop: Loop, inner: aio.Connection) -> None:
        self.inner = inner
        self._loop = loop
        self._pings: list[concurrent.futures.Future[float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        async def call() -> Any:
            return function(*args)

        return self._loop.run(call())

    def send(self, data: Any) -> None:
        async def send() -> None:
            await self.inner.send(data)

        self._loop.run(send())

    def send_fragments(self, chunks: Any, *, text: bool | None = None) -> None:
        self._loop.run(self.inner.send_fragments(chunks, text=text))

    def receive(self, timeout: float | None = None) -> Any:
        async def receive() -> Any:
            async with asyncio.timeout(timeout):
                return await self.inner.receive()

        return self._loop.run(receive(), None if timeout is None else PATIENCE)

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as exc:
                if exc.clean:
                    return
                raise
            yield message

    def ping(self, data: Any = None) -> int:
        self._pings.append(self._loop.start(self.inner.ping(data)))
        return len(self._pings)

    def wait_pong(self, number: int, timeout: float | None = None) -> bool:
        with contextlib.suppress(ConnectionClosed, TimeoutError, concurrent.futures.TimeoutError):
            self._pings[number - 1].result(timeout)
            return True
        return False

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._call(self.inner.close_nowait, code, reason)

    def finish(self, code: int = 1000, reason: str = "") -> None:
        self._call(self.inner._let_go, code, reason)
        self._loop.run(self.inner.wait_closed())

    def wait_ended(self, timeout: float | None = None) -> bool:
        try:
            self._loop.run(asyncio.wait_for(self.inner.wait_closed(), timeout))
        except TimeoutError:
            return False
        return True


class Server:
    """A server of `wsfast.aio` whose handlers run on threads."""

    def __init__(
        self, loop: Loop, handler: Callable[[Connection], object], *where: Any, **options: Any
    ) -> None:
        self._loop = loop

        async def handle(connection: aio.Connection) -> None:
            await asyncio.to_thread(handler, Connection(loop, connection))

        async def start() -> aio.Server:
            return await aio.serve(handle, *where, **options)

        self._server = loop.run(start())
        loop.servers.append(self._server)
        self.port = self._server.port

    @property
    def connections(self) -> list[Connection]:
        return [Connection(self._loop, each) for each in self._server.connections]

    def shutdown(self, timeout: float = 10.0, **how: Any) -> None:
        self._loop.run(self._server.shutdown(timeout, **how))


def connect(loop: Loop, url: str, **options: Any) -> Connection:
    """As `wsfast.threads.client.connect`."""

    async def open_() -> aio.Connection:
        return await aio.connect(url, **options)

    return Connection(loop, loop.run(open_()))
