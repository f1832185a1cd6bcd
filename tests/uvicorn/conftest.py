"""The protocols that every test here runs with, and what must hold at its end."""

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn.server
from aio_running import run_watched

LIMIT = 60.0
"""Seconds for what a test does on its loop. Only a failing test takes that long."""


@pytest.fixture(scope="session", autouse=True)
def first_loop() -> None:
    """libuv keeps two descriptors from its first loop on."""
    if importlib.util.find_spec("uvloop") is not None:
        importlib.import_module("uvloop").new_event_loop().close()


class _Impatient:
    """asyncio for uvicorn's server, which looks around every 0.1 s."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay / 20)


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.server, "asyncio", _Impatient())


@pytest.fixture(params=["wsfast", "websockets", "wsproto"])
def ws(request: pytest.FixtureRequest) -> str:
    """Ours, and those of uvicorn's that it must not be told from."""
    return str(request.param)


@pytest.fixture(params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    """What reads the request before."""
    if request.param == "httptools" and importlib.util.find_spec("httptools") is None:
        pytest.skip("NOT TESTED with httptools: it is not installed here")
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    """What makes the loop, for `run`."""
    if request.param == "asyncio":
        return asyncio.new_event_loop
    if importlib.util.find_spec("uvloop") is None:
        pytest.skip("NOT TESTED on uvloop: it is not installed here")
    return importlib.import_module("uvloop").new_event_loop


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine. At its end no task is left, and none has failed unseen."""

    def run(main: Coroutine[Any, Any, Any], loop_factory: Any = None) -> Any:
        return run_watched(main, loop_factory, LIMIT)

    return run
