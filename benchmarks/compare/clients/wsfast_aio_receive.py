"""wsfast.aio with send and receive, on uvloop."""

import coroutines
from task import DEFLATE_WINDOW_BITS, READ_LIMIT, Task

from wsfast import aio


async def open_connection(task: Task) -> aio.Connection:
    options = {}
    if task.deflate:
        options = {
            "compression": "context_takeover",
            "compression_level": task.level,
            "compression_window_bits": DEFLATE_WINDOW_BITS,
        }
    return await aio.connect(
        task.url, ssl_context=task.ssl_context, read_limit=READ_LIMIT, proxy=None, **options
    )


if __name__ == "__main__":
    coroutines.run(open_connection)
