"""The loops that every test here runs on, and what must hold at its end."""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aio_running import run_watched

LIMIT = 30.0
"""Seconds for what a test does on its loop. Only a failing test takes that long."""


def _asyncio() -> Any:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = LIMIT
    return loop


def _eager() -> Any:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def _uvloop() -> Any:
    import uvloop

    return uvloop.new_event_loop()


def _aiofastnet() -> Any:
    import aiofastnet

    return aiofastnet.loop_factory(asyncio.new_event_loop)()


LOOPS: dict[str, Callable[[], Any]] = {
    "asyncio": _asyncio,
    "uvloop": _uvloop,
    "aiofastnet": _aiofastnet,
}
if sys.version_info >= (3, 12):
    LOOPS["eager"] = _eager


@pytest.fixture(scope="session", autouse=True)
def first_loop() -> None:
    """libuv keeps two descriptors from its first loop on."""
    if importlib.util.find_spec("uvloop") is not None:
        _uvloop().close()


@pytest.fixture(params=list(LOOPS))
def new_loop(request: pytest.FixtureRequest) -> Callable[[], Any]:
    name = str(request.param)
    if name in ("uvloop", "aiofastnet") and importlib.util.find_spec(name) is None:
        pytest.skip(f"NOT TESTED on {name}: it is not installed here")
    return LOOPS[name]


@pytest.fixture
def run(new_loop: Callable[[], Any]) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on each kind of loop. At its end no task is left, and none has failed
    unseen."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        return run_watched(main, new_loop, LIMIT)

    return run


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    """Of our end."""
    return str(request.param)
