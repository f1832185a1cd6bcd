"""What every server program here shares: its arguments, its loop, and the port that it prints.

A server echoes, or broadcasts: whoever sends a message has it sent to everybody.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import uvloop

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of a message that every server must take, and no more."""

MOST = 100_000
"""Connections."""

BACKLOG = 1024
"""Connections that wait to be accepted."""


@dataclass(frozen=True)
class Serving:
    broadcast: bool
    transport: str | None
    ws: str

    def ready(self, port: int) -> None:
        print(port, flush=True)


def run(serve: Callable[[Serving], Coroutine[object, object, object]]) -> None:
    """Runs the coroutine that `serve` gives on uvloop. It calls `ready`, and goes on for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--broadcast", action="store_true")
    parser.add_argument("--transport", choices=["uvloop", "aiofastnet", "asyncio"])
    parser.add_argument("--ws", default="", help="uvicorn's protocol")
    serving = Serving(**vars(parser.parse_args()))
    new_loop = asyncio.new_event_loop if serving.transport == "asyncio" else uvloop.new_event_loop
    if serving.transport == "aiofastnet":
        import aiofastnet

        new_loop = aiofastnet.loop_factory(new_loop)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(serving))


async def forever() -> None:
    await asyncio.Event().wait()
