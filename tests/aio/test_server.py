"""Servers: handlers, limits, and the end."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from aio_peers import raw_client, request

from wsfast import aio
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectError, ConnectionClosed, InvalidOption, StatusError


async def echo(connection: aio.Connection) -> None:
    async for message in connection:
        await connection.send(message)


def url_of(server: aio.Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_handler_that_returns(run: Any) -> None:
    async def handler(connection: aio.Connection) -> None:
        await connection.send("bye")

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1") as server:
            async with aio.connect(url_of(server)) as connection:
                assert [message async for message in connection] == ["bye"]
            assert connection.close_code == 1000
            await until(lambda: not server.connections)

    run(main())


def test_a_handler_that_fails(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: aio.Connection) -> None:
        raise KeyError("oops")

    async def main() -> None:
        async with (
            aio.serve(handler, "127.0.0.1") as server,
            aio.connect(url_of(server)) as connection,
        ):
            with pytest.raises(ConnectionClosed, match="handler failed"):
                await connection.receive()
            assert connection.close_code == 1011

    run(main())
    assert "oops" in caplog.text


def test_a_handler_that_lets_the_end_pass(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: aio.Connection) -> None:
        await connection.receive()

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1") as server:
            async with aio.connect(url_of(server)):
                pass
            await until(lambda: not server.connections)

    run(main())
    assert caplog.text == ""


def test_a_handler_that_leaves_messages_behind(run: Any) -> None:
    async def handler(connection: aio.Connection) -> None:
        await connection.receive()
        await until(lambda: connection._paused)

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1", receive_queue_messages=1) as server:
            connection = await aio.connect(url_of(server))
            for _ in range(10):
                await connection.send(b"x" * 100_000)
            await connection.wait_closed()
            assert connection.close_code == 1000

    run(main())


def test_no_handler(run: Any) -> None:
    def reply(connection: aio.Connection, message: Any) -> None:
        connection.send_nowait(message)

    async def main() -> None:
        async with (
            aio.serve(None, "127.0.0.1", on_message=reply) as server,
            aio.connect(url_of(server)) as connection,
        ):
            await connection.send("x")
            assert await connection.receive() == "x"
            assert server.connections[0].state is State.CONNECTED

    run(main())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"handler": None}, TypeError),
        ({"handler": 1}, TypeError),
        ({"host": "localhost", "path": "x"}, InvalidOption),
        ({"port": 1, "sock": "x"}, InvalidOption),
        ({"path": "x", "sock": "x"}, InvalidOption),
        ({"streaming": True}, InvalidOption),
        ({"read_limit": "x"}, TypeError),
        ({"max_connection": 1}, TypeError),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_at_the_call(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        aio.serve(**{"handler": echo, **arguments})


def test_a_port_that_is_taken(run: Any) -> None:
    async def main() -> None:
        server = await aio.serve(echo, "127.0.0.1")
        with pytest.raises(OSError, match="in use"):
            await aio.serve(echo, "127.0.0.1", server.port)
        await server.shutdown()

    run(main())


def test_every_address_of_a_name(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "localhost") as server:
            assert len({address[1] for address in server.addresses}) == 1
            async with aio.connect(f"ws://localhost:{server.port}/") as connection:
                await connection.send("x")
                assert await connection.receive() == "x"

    run(main())


def test_max_connections(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1", max_connections=2) as server:
            first = await aio.connect(url_of(server))
            async with aio.connect(url_of(server)):
                assert len(server.connections) == 2
                with pytest.raises(ConnectError):
                    await aio.connect(url_of(server))
            await until(lambda: len(server.connections) == 1)
            async with aio.connect(url_of(server)) as third:
                await third.send("x")
                assert await third.receive() == "x"
            await first.close()

    run(main())
    assert "max_connections" in caplog.text


def test_requests_that_are_refused(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:
            with pytest.raises(StatusError, match="403"):
                await aio.connect(url_of(server), origin="https://example.com")
            for head, status in (
                (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426"),
                (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
                (b"rubbish\r\n\r\n", b"400"),
                (request() + b"x" * 100, b"101"),
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(head)
                assert (await reader.readline()).split()[1] == status
                writer.write_eof()
                await reader.read()
                writer.close()
            await until(lambda: not server.connections)

    run(main())


def test_headers_and_subprotocols(run: Any) -> None:
    async def main() -> None:
        options: Any = {"headers": {"X-Served-By": "wsfast"}, "protocols": ["b", "a"]}
        async with (
            aio.serve(echo, "127.0.0.1", server_header="ours", **options) as server,
            aio.connect(url_of(server), protocols=["a", "b"]) as connection,
        ):
            assert connection.response is not None
            assert connection.response.headers["X-Served-By"] == "wsfast"
            assert connection.response.headers["Server"] == "ours"
            assert connection.subprotocol == "b"

    run(main())


# ---------------------------------------------------------------- the end


def test_shutdown_says_goodbye(run: Any) -> None:
    endings: list[int | None] = []

    async def handler(connection: aio.Connection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.receive()
        endings.append(connection.close_code)

    async def main() -> None:
        server = await aio.serve(handler, "127.0.0.1")
        connections = [await aio.connect(url_of(server)) for _ in range(5)]
        forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        server.close()
        await forever
        assert endings == [1001] * 5
        for connection in connections:
            assert connection.close_code == 1001
            await connection.wait_closed()
        with pytest.raises(ConnectError):
            await aio.connect(url_of(server))
        await server.shutdown()

    run(main())


def test_shutdown_drops_who_does_not_answer(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def handler(connection: aio.Connection) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        server = await aio.serve(handler, "127.0.0.1")
        async with raw_client(server.port) as peer:
            await server.shutdown(0.03, code=1012, reason="restart")
            assert (await peer.read_close()).code == 1012
            assert ended == ["cancelled"]
            await peer.read_to_end()

    run(main())
    assert caplog.text == ""


def test_handlers_that_do_not_end(
    run: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.aio.server.AFTER_CANCEL", 0.02)

    async def main() -> None:
        go = asyncio.Event()

        async def handler(connection: aio.Connection) -> None:
            while not go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()

        server = await aio.serve(handler, "127.0.0.1")
        async with raw_client(server.port):
            await server.shutdown(0.01)
        go.set()
        await server.wait_closed()

    run(main())
    assert "1 handlers do not end" in caplog.text


def test_shutdown_while_connections_open(run: Any) -> None:
    async def main() -> None:
        server = await aio.serve(echo, "127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until(lambda: server.connections)
        await server.shutdown()
        assert await reader.read() == b""
        writer.close()

    run(main())


def test_a_server_whose_block_is_cancelled(run: Any) -> None:
    async def main() -> None:
        servers: list[aio.Server] = []

        async def serve() -> None:
            async with aio.serve(echo, "127.0.0.1") as server:
                servers.append(server)
                await server.serve_forever()

        task = asyncio.create_task(serve())
        await until(lambda: servers)
        connection = await aio.connect(url_of(servers[0]))
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await connection.wait_closed()
        assert connection.close_code == 1001

    run(main())


def test_a_shutdown_that_is_cancelled(run: Any) -> None:
    async def main() -> None:
        server = await aio.serve(echo, "127.0.0.1")
        async with raw_client(server.port) as peer:
            task = asyncio.create_task(server.shutdown())
            await peer.read_close()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await peer.read_to_end()
            await server.wait_closed()

    run(main())


def test_a_server_closes_while_it_has_nobody(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server, server:
            server.close()
            await server.serve_forever()

    run(main())


def test_many_connections(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:

            async def client(number: int) -> None:
                async with aio.connect(url_of(server)) as connection:
                    for i in range(20):
                        await connection.send(f"{number} {i}")
                        assert await connection.receive() == f"{number} {i}"

            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(client(number))
            await until(lambda: not server.connections)

    run(main())
    assert caplog.text == ""
