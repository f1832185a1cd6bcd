"""wsfast.server: a thread for each connection."""

from serving import MOST, READ_LIMIT

from wsfast.server import Connection, serve


def echo(connection: Connection) -> None:
    for message in connection:
        connection.send(message)


if __name__ == "__main__":
    with serve(
        echo, "127.0.0.1", read_limit=READ_LIMIT, ping_interval=None, max_connections=MOST
    ) as server:
        print(server.port, flush=True)
        server.serve_forever()
