"""wsfast.aio with a handler that iterates."""

from serving import MOST, READ_LIMIT, Serving, run

from wsfast import aio


async def echo(connection: aio.Connection) -> None:
    async for message in connection:
        await connection.send(message)


async def serve(serving: Serving) -> None:
    async def to_everybody(connection: aio.Connection) -> None:
        async for message in connection:
            aio.broadcast(server.connections, message)

    server = await aio.serve(
        to_everybody if serving.broadcast else echo,
        "127.0.0.1",
        read_limit=READ_LIMIT,
        ping_interval=None,
        max_connections=MOST,
    )
    serving.ready(server.port)
    await server.serve_forever()


if __name__ == "__main__":
    run(serve)
