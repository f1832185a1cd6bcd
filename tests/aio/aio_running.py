"""Running a test on an event loop, with an eye on what it leaves there."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

TURNS = 20
"""How often the loop comes round before what is left over is looked for."""


def run_watched(
    main: Coroutine[Any, Any, Any], new_loop: Callable[[], Any] | None, limit: float
) -> Any:
    """Runs a coroutine for up to `limit` seconds. At its end no task is left, and none has failed
    unseen."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> Any:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: complaints.append(context)
        )
        async with asyncio.timeout(limit):
            result = await main
        for _ in range(TURNS):
            await asyncio.sleep(0)
        gc.collect()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return result

    with asyncio.Runner(loop_factory=new_loop) as runner:
        result = runner.run(watched())
    assert complaints == []
    return result
