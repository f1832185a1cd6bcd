"""wsfast.aio with callbacks."""

from serving import MOST, READ_LIMIT, Serving, run

from wsfast import aio


def echo(connection: aio.Connection, message: str | bytes) -> None:
    connection.send_nowait(message)


async def serve(serving: Serving) -> None:
    def to_everybody(connection: aio.Connection, message: str | bytes) -> None:
        aio.broadcast(server.connections, message)

    server = await aio.serve(
        None,
        "127.0.0.1",
        on_message=to_everybody if serving.broadcast else echo,
        read_limit=READ_LIMIT,
        ping_interval=None,
        max_connections=MOST,
    )
    serving.ready(server.port)
    await server.serve_forever()


if __name__ == "__main__":
    run(serve)
