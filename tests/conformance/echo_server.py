"""The server under test: `echo_server.py threads|aio`. Prints "PORT <number>" and echoes until its
standard input ends."""

import asyncio
import sys

from conformance_peers import OPTIONS, echo, echo_aio

from wsfast import aio
from wsfast.server import serve


def by_threads() -> None:
    with serve(echo, "127.0.0.1", **OPTIONS) as server:
        print("PORT", server.port, flush=True)
        sys.stdin.read()


async def by_aio() -> None:
    async with aio.serve(echo_aio, "127.0.0.1", **OPTIONS) as server:
        print("PORT", server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    if sys.argv[1] == "aio":
        asyncio.run(by_aio())
    else:
        by_threads()


if __name__ == "__main__":
    main()
