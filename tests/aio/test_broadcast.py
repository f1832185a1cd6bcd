"""One message to many connections."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aio_peers import raw_client
from raw_peers import BINARY, TEXT

from wsfast import aio
from wsfast.aio import Connection, broadcast
from wsfast.protocol.errors import QueueFull

PIECE = b"x" * 100_000


async def keep(connection: Connection) -> None:
    await connection.wait_closed()


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def clients_of(
    server: aio.Server, count: int, **options: Any
) -> AsyncIterator[list[Connection]]:
    scheme = "wss" if "ssl_context" in options else "ws"
    url = f"{scheme}://127.0.0.1:{server.port}/"
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(aio.connect(url, **options)) for _ in range(count)
        ]
        await until(lambda: all(each._is_open for each in server.connections))
        yield opened


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("message", ["text \N{SNOWMAN}", b"binary", "", bytearray(b"x" * 300_000)])
def test_everybody_gets_it(run: Any, certificates: Any, scheme: str, message: Any) -> None:
    async def main() -> None:
        options: Any = {"ssl_context": certificates.server} if scheme == "wss" else {}
        ours: Any = {"ssl_context": certificates.client} if scheme == "wss" else {}
        async with (
            aio.serve(keep, "127.0.0.1", **options) as server,
            clients_of(server, 5, **ours) as clients,
        ):
            for _ in range(3):
                assert broadcast(server.connections, message) == []
            for client in clients:
                for _ in range(3):
                    assert await client.receive() == message

    run(main())


def test_it_keeps_its_place_among_other_messages(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(keep, "127.0.0.1") as server, clients_of(server, 2) as clients:
            for connection in server.connections:
                connection.send_nowait("a")
                connection.send_nowait("b")
            assert broadcast(server.connections, "c") == []
            for connection in server.connections:
                connection.send_nowait("d")
            for client in clients:
                assert [await client.receive() for _ in range(4)] == ["a", "b", "c", "d"]

    run(main())


@pytest.mark.parametrize("compression", ["no_context", "context_takeover"])
def test_compressed(run: Any, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsfast.protocol.deflate import Deflater

    compressed: list[int] = []
    compress = Deflater.compress

    def count(self: Deflater, payload: Any, **how: Any) -> Any:
        compressed.append(len(payload))
        return compress(self, payload, **how)

    monkeypatch.setattr(Deflater, "compress", count)

    async def main() -> None:
        options: Any = {"compression": compression}
        async with (
            aio.serve(keep, "127.0.0.1", **options) as server,
            clients_of(server, 3, **options) as some,
            clients_of(server, 2, compression_window_bits=9, **options) as others,
            clients_of(server, 2) as plain,
        ):
            for message in ("x" * 10_000, "short", "y" * 10_000):
                assert broadcast(server.connections, message) == []
                for client in (*some, *others, *plain):
                    assert await client.receive() == message
        # Two sets of parameters, or five connections with contexts of their own.
        assert compressed == [10_000] * (4 if compression == "no_context" else 10)

    run(main())


def test_a_slow_client_is_left_out(run: Any) -> None:
    async def main() -> None:
        async with (
            aio.serve(keep, "127.0.0.1", send_queue_bytes=1_000_000) as server,
            raw_client(server.port) as slow,
        ):
            await until(lambda: server.connections and server.connections[0]._is_open)
            (slow_one,) = server.connections
            async with clients_of(server, 3) as clients:
                sent = 0
                while (late := broadcast(server.connections, PIECE)) == []:
                    sent += 1
                    for client in clients:
                        assert await client.receive() == PIECE
                assert late == [slow_one]
                for client in clients:
                    assert await client.receive() == PIECE
                with pytest.raises(QueueFull):
                    slow_one.send_nowait(PIECE)
                for _ in range(sent):
                    assert (await slow.read_frame()).payload == PIECE
                await until(lambda: not slow_one._unsent)
                assert broadcast(server.connections, "again") == []
                assert (await slow.read_frame()).payload == b"again"

    run(main())


def test_who_is_not_open_is_left_out(run: Any) -> None:
    async def main() -> None:
        async def chunks() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await go.wait()

        go = asyncio.Event()
        async with aio.serve(keep, "127.0.0.1") as server, clients_of(server, 3) as clients:
            closing, fragmenting, fine = server.connections
            ours = {each.remote_address: each for each in server.connections}
            closing, fragmenting, fine = (ours[each.local_address] for each in clients)
            closing.close_nowait()
            task = asyncio.create_task(fragmenting.send_fragments(chunks()))
            await until(lambda: fragmenting._protocol.fragmenting)
            assert broadcast([closing, fragmenting, fine], "x") == [closing, fragmenting]
            assert await clients[2].receive() == "x"
            go.set()
            await task
            assert await clients[1].receive() == "ab"

    run(main())


def test_who_takes_no_more_is_left_out(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(keep, "127.0.0.1") as server, raw_client(server.port) as peer:
            await until(lambda: server.connections and server.connections[0]._is_open)
            (connection,) = server.connections
            peer.reset()
            await asyncio.sleep(0)
            while connection._protocol.state == 2 and not connection._broken:
                broadcast([connection], "x")
                await asyncio.sleep(0)
            assert broadcast([connection], "x") == [connection]

    run(main())


def test_clients_may_broadcast_too(run: Any) -> None:
    got: list[Any] = []

    def note(connection: Connection, message: Any) -> None:
        got.append(message)

    async def main() -> None:
        async with (
            aio.serve(None, "127.0.0.1", on_message=note, send_queue_messages=1) as server,
            clients_of(server, 3, send_queue_messages=1) as clients,
        ):
            assert broadcast(clients, "x") == []
            await until(lambda: len(got) == 3)
            assert got == ["x"] * 3
            for connection in server.connections:
                connection._pause()
            while broadcast(clients[:1], PIECE) == []:
                await asyncio.sleep(0)
            for connection in server.connections:
                connection._resume()

    run(main())


def test_what_cannot_be_broadcast(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(keep, "127.0.0.1") as server, clients_of(server, 1) as clients:
            for message, error in ((1, TypeError), (None, TypeError), ("\ud800", ValueError)):
                with pytest.raises(error):
                    broadcast(server.connections, message)
            assert broadcast([], "x") == []
            broadcast(server.connections, "fine")
            assert await clients[0].receive() == "fine"

    run(main())


def test_another_thread_is_told_so(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(keep, "127.0.0.1") as server, clients_of(server, 1):
            errors: list[Any] = []

            def misuse() -> None:
                try:
                    broadcast(server.connections, "x")
                except RuntimeError as exc:
                    errors.append(exc)

            thread = threading.Thread(target=misuse)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert "thread" in str(errors[0])

    run(main())


def test_the_wire(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(keep, "127.0.0.1") as server, raw_client(server.port) as peer:
            await until(lambda: server.connections and server.connections[0]._is_open)
            broadcast(server.connections, "a")
            broadcast(server.connections, b"b")
            frames = [await peer.read_frame() for _ in range(2)]
            assert [(f.opcode, f.payload, f.key) for f in frames] == [
                (TEXT, b"a", None), (BINARY, b"b", None),
            ]  # fmt: skip

    run(main())
