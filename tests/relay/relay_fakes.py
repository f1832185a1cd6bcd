"""A server that is the test."""

import asyncio
from typing import Any

from wsfast import process
from wsfast.process import PID


class Fake:
    """A server that does what the test says."""

    def __init__(self, **scope: Any) -> None:
        self.scope = {"type": "websocket", "path": "/", "headers": [], **scope}
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.events.put_nowait({"type": "websocket.connect"})
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def send(self, event: Any) -> None:
        self.sent.append(event)

    def disconnect(self) -> None:
        self.events.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})

    def start(self, app: Any) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(app(self.scope, self.receive, self.send))

    async def start_joined(self, app: Any) -> tuple["asyncio.Task[None]", PID]:
        task = self.start(app)
        message, _ = await process.inbox().areceive("60s")
        assert message is not None
        assert message.topic == "ws.join"
        return task, message.payload["client_pid"]
