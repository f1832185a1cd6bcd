"""What `waiting.py` is to a thread, for a task of asyncio."""

import asyncio
from collections.abc import Awaitable

from wsfast.channel.waiting import Waiter

__all__ = ["TaskWaiter"]


class TaskWaiter(Waiter):
    """Sleeps on a future of the running loop. Any thread may wake it."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        # Without a detour if a task of the same loop does so: that saves a system call.
        if asyncio._get_running_loop() is self._loop:
            self._resolve()
        else:
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def sleep(self, timeout: float | None) -> Awaitable[None]:
        """Waits, once awaited, up to `timeout` seconds to be woken."""
        return self._future if timeout is None else self._sleep_for(timeout)

    async def _sleep_for(self, timeout: float) -> None:
        timer = self._loop.call_later(timeout, self._resolve)
        try:
            await self._future
        finally:
            timer.cancel()
