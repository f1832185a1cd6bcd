"""Client programs on asyncio run on uvloop."""

import asyncio
from collections.abc import Callable, Coroutine

import uvloop
from task import Task, main

AsyncTask = Callable[[Task], Coroutine[object, object, None]]


def run(tasks: dict[str, AsyncTask]) -> None:
    """As `task.main`, for coroutine functions. The loop's transports are aiofastnet's where it is
    asked for by `--transport`, for libraries that do not choose themselves."""

    def on_loop(function: AsyncTask) -> Callable[[Task], None]:
        def start(task: Task) -> None:
            new_loop = uvloop.new_event_loop
            if task.transport == "aiofastnet":
                import aiofastnet

                new_loop = aiofastnet.loop_factory(new_loop)
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(function(task))

        return start

    main({name: on_loop(function) for name, function in tasks.items()})
