"""An event loop for coroutine functions that are spawned where none runs."""

import asyncio
import os
import threading
from collections.abc import Callable

from wsfast.system.background import start_thread

__all__ = ["own_loop"]


class OwnLoop:
    """One loop in one thread, for as long as there are processes in it. Thread-safe.

    `_lock` guards all fields, and is not held while anything is called.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything. For the child of a fork: the thread stays in the parent."""
        self._lock = threading.Lock()
        self._inside = 0
        self._calls: list[Callable[[], object]] = []
        self._wake: Callable[[], object] | None = None
        self._has_thread = False

    def enter(self, begin: Callable[[], object]) -> None:
        """Calls `begin` in the loop, which stays until `leave`. `RuntimeError` if there is no
        thread for it; `leave` is due all the same."""
        with self._lock:
            self._inside += 1
            if not self._has_thread and not self._start():
                raise RuntimeError("there is no thread for the process")
            self._calls.append(begin)
            self._notify()

    def call(self, act: Callable[[], object]) -> None:
        """Calls `act` in the loop, if there is still one."""
        with self._lock:
            if self._inside:
                self._calls.append(act)
                self._notify()

    def leave(self) -> None:
        """Undoes one `enter`."""
        with self._lock:
            self._inside -= 1
            self._notify()

    def _start(self) -> bool:
        self._has_thread = start_thread(self._run, "wsfast-process-loop") is not None
        return self._has_thread

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake()

    def _run(self) -> None:
        asyncio.run(self._serve())
        with self._lock:
            self._has_thread = False
            if self._inside:
                self._start()  # for who has entered since the last look

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        with self._lock:
            self._wake = lambda: loop.call_soon_threadsafe(changed.set)
        while (calls := self._take()) is not None:
            for each in calls:
                each()
            if not calls:
                await changed.wait()
                changed.clear()

    def _take(self) -> list[Callable[[], object]] | None:
        with self._lock:
            calls, self._calls = self._calls, []
            if calls or self._inside:
                return calls
            self._wake = None
            return None


own_loop = OwnLoop()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=own_loop.reset)
