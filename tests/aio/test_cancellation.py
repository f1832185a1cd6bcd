"""Cancellation at every point where something waits: nothing is left, lost, or half sent."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aio_cancel import Point, Rest, at_every_suspension, cancel_everywhere, until
from aio_peers import Peer, opened
from proxy_peers import HTTPProxy, SOCKSProxy
from raw_peers import CLOSE, CONTINUATION, TEXT

from wsfast import aio
from wsfast.aio import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionLost

LARGE = b"x" * 300_000


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.send(message)


async def pause(*_: Any) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def tls(certificates: Any, scheme: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a server and of its clients."""
    if scheme == "ws":
        return {}, {}
    return {"ssl_context": certificates.server}, {"ssl_context": certificates.client}


# ---------------------------------------------------------------- connect


def check_connect(
    run: Any, serving: aio.Serving, url: str, cancel: Any = at_every_suspension, **options: Any
) -> None:
    """`{port}` in the URL is the server's."""

    async def main() -> None:
        async with serving as server:
            where = url.format(port=server.port)
            rest = Rest()

            async def work() -> None:
                connection = await aio.connect(where, **({"proxy": None} | options))
                connection.abort()

            async def after() -> None:
                await until(lambda: not server.connections)
                await rest.come()

            await cancel(work, after)

    run(main())


def test_connect(run: Any, scheme: str, tls: Any) -> None:
    serving = aio.serve(echo, "127.0.0.1", **tls[0])
    check_connect(run, serving, f"{scheme}://localhost:{{port}}/", cancel_everywhere, **tls[1])


def test_connect_to_a_unix_socket(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    check_connect(run, aio.serve(echo, path=path), "ws://localhost/", path=path)


def test_connect_while_the_server_thinks(run: Any) -> None:
    serving = aio.serve(echo, "127.0.0.1", process_request=pause, process_response=pause)
    check_connect(run, serving, "ws://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [("ws", "http"), ("wss", "https"), ("ws", "https"), ("wss", "socks4a"), ("ws", "socks5h")],
)
def test_connect_through_a_proxy(
    run: Any, scheme: str, tls: Any, kind: str, raw_server: Any, certificates: Any
) -> None:
    handle = HTTPProxy() if kind.startswith("http") else SOCKSProxy()
    context = certificates.server if kind == "https" else None
    options = {
        "proxy": f"{kind}://localhost:{raw_server(handle, context).port}",
        "proxy_ssl_context": certificates.client if kind == "https" else None,
    }
    serving = aio.serve(echo, "127.0.0.1", **tls[0])
    check_connect(run, serving, f"{scheme}://localhost:{{port}}/", **options, **tls[1])


def test_connect_after_a_redirect(run: Any) -> None:
    def elsewhere(connection: Connection, request: Any) -> aio.Refusal | None:
        if request.path == "/there":
            return None
        return aio.Refusal(302, headers={"Location": "/there"})

    serving = aio.serve(echo, "127.0.0.1", process_request=elsewhere)
    check_connect(run, serving, "ws://127.0.0.1:{port}/", max_redirects=1)


# ---------------------------------------------------------------- send, receive, ping, close


def test_a_whole_life(run: Any, scheme: str, tls: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1", **tls[0]) as server:
            rest = Rest()

            async def work() -> None:
                url = f"{scheme}://127.0.0.1:{server.port}/"
                async with aio.connect(url, **tls[1]) as connection:
                    await connection.send(LARGE)
                    assert len(await connection.receive()) == len(LARGE)
                    await connection.send_fragments([LARGE, b"y"])
                    async for message in connection:
                        assert len(message) == len(LARGE) + 1
                        break
                    await connection.ping()

            async def after() -> None:
                await until(lambda: not server.connections)
                await rest.come()

            await cancel_everywhere(work, after)

    run(main())


@pytest.mark.parametrize("take", ["receive", "__anext__"])
def test_receive(run: Any, role: str, take: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent, received = 0, []

            async def work() -> None:
                nonlocal sent
                peer.send(TEXT, b"%d" % sent)
                sent += 1
                received.append(await getattr(connection, take)())

            async def after() -> None:
                while len(received) < sent:
                    received.append(await connection.receive())

            await cancel_everywhere(work, after)
            assert received == [str(number) for number in range(sent)]

    run(main())


def shrink(connection: Connection, peer: Peer) -> None:
    """Lets the system take little, so that senders wait."""
    assert connection._transport is not None
    for transport in (connection._transport, peer.writer):
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, 65536)


def test_send(run: Any, role: str) -> None:
    """What the peer gets are whole messages, each of those that were not cancelled among them."""

    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent: list[bytes] = []
            numbers = itertools.count()
            shrink(connection, peer)

            async def take(received: list[bytes]) -> None:
                while True:
                    received.append((await peer.read_frame()).payload[:8])
                    if received[-1] == b"the last":
                        return

            async def work() -> None:
                for _ in range(5):
                    message = b"%08d" % next(numbers)
                    await connection.send(message + LARGE)
                    sent.append(message)

            received: list[bytes] = []
            taking = asyncio.ensure_future(take(received))
            await cancel_everywhere(work, lambda: until(lambda: connection._has_room))
            await connection.send(b"the last")
            await taking
            assert received == sorted(received)
            assert {*sent} <= {*received}

    run(main())


async def slow_chunks() -> AsyncIterator[bytes]:
    for piece in (LARGE, b"y", LARGE):
        await asyncio.sleep(0)
        yield piece


async def read_all(peer: Peer) -> list[bytes]:
    """The messages that are whole, up to a close frame, which may stand within one."""
    messages, parts = [], []
    while (frame := await peer.read_frame()).opcode != CLOSE:
        assert (frame.opcode == CONTINUATION) == bool(parts)
        parts.append(frame.payload)
        if frame.fin:
            messages.append(b"".join(parts))
            parts = []
    assert not parts or frame.code == 1011
    return messages


def test_send_fragments(run: Any, role: str) -> None:
    """Before the second chunk nothing was sent; later the peer is told that the rest is missing."""

    async def main() -> None:
        async def send(connection: Connection, sent: list[bytes]) -> None:
            await connection.send_fragments(slow_chunks())
            sent.append(LARGE + b"y" + LARGE)
            await connection.send_fragments([b"a", b"b"])
            sent.append(b"ab")

        for late in (False, True):
            for number in itertools.count():
                point, sent = Point(number, late=late), []
                async with opened(role) as (connection, peer):
                    shrink(connection, peer)
                    reading = asyncio.ensure_future(read_all(peer))
                    sending = asyncio.ensure_future(point.step(send(connection, sent)))
                    await asyncio.wait([sending])
                    assert sending.cancelled() == point.reached, str(point)
                    if connection.state is State.CONNECTED:
                        await connection.send(b"the next")
                        sent.append(b"the next")
                    connection.close_nowait()
                    assert await reading == sent, str(point)
                if not point.reached:
                    break

    run(main())


def test_ping(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):

            async def answer() -> None:
                while (frame := await peer.read_frame()).opcode != CLOSE:
                    peer.send(10, frame.payload)

            answering = asyncio.ensure_future(answer())
            await cancel_everywhere(connection.ping, pause)
            assert await connection.ping() > 0
            connection.close_nowait()
            await answering

    run(main())


@pytest.mark.parametrize("way", ["close", "wait_closed"])
def test_close(run: Any, role: str, way: str) -> None:
    """The handshake goes on without who has begun it."""

    async def close(connection: Connection) -> None:
        if way == "close":
            await connection.close()
        else:
            connection.close_nowait()
            await connection.wait_closed()

    async def main() -> None:
        for late in (False, True):
            for number in itertools.count():
                point = Point(number, late=late)
                async with opened(role) as (connection, peer):
                    answering = asyncio.ensure_future(peer.answer_close())
                    closing = asyncio.ensure_future(point.step(close(connection)))
                    await asyncio.wait([closing])
                    assert closing.cancelled() == point.reached, str(point)
                    assert connection.state is not State.CONNECTED
                    assert (await answering).code == 1000
                    await connection.wait_closed()
                    assert connection.close_code == 1000, str(point)
                if not point.reached:
                    assert number > 0
                    break

    run(main())


# ---------------------------------------------------------------- serve


def test_serve(run: Any, scheme: str, tls: Any) -> None:
    async def main() -> None:
        async def work() -> None:
            async with aio.serve(
                echo, "localhost", process_request=pause, process_response=pause, **tls[0]
            ) as server:
                url = f"{scheme}://localhost:{server.port}/"
                async with aio.connect(url, proxy=None, **tls[1]) as connection:
                    await connection.send("hello")
                    assert await connection.receive() == "hello"
                    await server.shutdown()

        await work()  # uvloop keeps a descriptor from its first server on
        await cancel_everywhere(work, Rest().come)

    run(main())


async def close_server(server: aio.Server) -> None:
    server.close()
    await server.wait_closed()


async def serve_forever(server: aio.Server) -> None:
    asyncio.get_running_loop().call_later(0.001, server.close)
    await server.serve_forever()


@pytest.mark.parametrize("end", [aio.Server.shutdown, close_server, serve_forever])
def test_the_end_of_a_server(run: Any, end: Callable[[aio.Server], Any]) -> None:
    """Whoever waits for it may be cancelled; the next one finds nothing left."""

    async def main() -> None:
        async def work() -> None:
            server = await aio.serve(echo, "127.0.0.1")
            try:
                async with aio.connect(f"ws://127.0.0.1:{server.port}/") as connection:
                    await connection.send("hello")
                    assert await connection.receive() == "hello"
                    await end(server)
            finally:
                await server.shutdown(0)

        await work()  # uvloop keeps a descriptor from its first server on
        await at_every_suspension(work, Rest().come)

    run(main())


def test_a_handler(run: Any) -> None:
    """Its client loses its connection, another keeps its own."""

    async def main() -> None:
        points: asyncio.Queue[Point] = asyncio.Queue()
        codes: list[int | None] = []

        async def talk(connection: Connection) -> None:
            assert await connection.receive() == "hello"
            await connection.send(LARGE)
            await connection.send(LARGE)
            await connection.ping()
            async for message in connection:
                await connection.send(message)

        async def handle(connection: Connection) -> None:
            if connection.request is not None and connection.request.path == "/other":
                await echo(connection)
            else:
                await points.get_nowait().step(talk(connection))

        async with aio.serve(handle, "127.0.0.1") as server:
            url = f"ws://127.0.0.1:{server.port}/"
            async with aio.connect(url + "other") as other:
                for late in (False, True):
                    for number in itertools.count():
                        point = Point(number, late=late)
                        points.put_nowait(point)
                        async with aio.connect(url) as connection:
                            await connection.send("hello")
                            await connection.send("and goodbye")
                            with contextlib.suppress(ConnectionLost):
                                for _ in range(3):
                                    await connection.receive()
                        codes.append(connection.close_code)
                        await other.send(str(point))
                        assert await other.receive() == str(point)
                        if not point.reached:
                            break
            assert {*codes} == {1000, 1006}
            assert codes[-1] == 1000
            await until(lambda: not server.connections)

    run(main())
