"""The server under test: `echo_server.py threads|aio|uvicorn`. Prints "PORT <number>" and echoes
until its standard input ends."""

import asyncio
import socket
import sys

from conformance_peers import OPTIONS, UVICORN_OPTIONS, echo, echo_aio, echo_asgi

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


async def by_uvicorn() -> None:
    from uvicorn import Config, Server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(Config(echo_asgi, **UVICORN_OPTIONS))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            print("PORT", listener.getsockname()[1], flush=True)
            await asyncio.to_thread(sys.stdin.read)
            server.should_exit = True


def main() -> None:
    match sys.argv[1]:
        case "aio":
            asyncio.run(by_aio())
        case "uvicorn":
            asyncio.run(by_uvicorn())
        case _:
            by_threads()


if __name__ == "__main__":
    main()
