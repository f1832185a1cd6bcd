"""How connections end: by us, by the peer, by the transport, and by time."""

import asyncio
from typing import Any

import pytest
from aio_peers import Peer, opened, raw_server, upgrade
from raw_peers import CLOSE, TEXT

from wsfast import aio
from wsfast.aio import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_close_waits_for_the_handshake(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            await connection.send("before")
            closing = asyncio.ensure_future(connection.close(4000, "r" * 123))
            assert (await peer.read_frame()).payload == b"before"
            frame = await peer.answer_close()
            assert (frame.code, frame.payload[2:]) == (4000, b"r" * 123)
            await closing
            assert connection.state is State.DISCONNECTED
            assert (connection.close_code, connection.close_reason) == (4000, "r" * 123)
            await connection.close()
            connection.close_nowait(4001)
            connection.abort()
            assert connection.close_code == 4000
            assert connection.error is None

    run(main())


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (999, "", ValueError),
        (1005, "", ValueError),
        (1000, "r" * 124, ValueError),
        ("1000", "", TypeError),
        (1000, b"", TypeError),
    ],
)
def test_what_cannot_be_closed_with(
    run: Any, code: Any, reason: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        async with opened("client") as (connection, _):
            with pytest.raises(error):
                await connection.close(code, reason)
            with pytest.raises(error):
                connection.close_nowait(code, reason)
            assert connection.state is State.CONNECTED

    run(main())


def test_a_peer_that_does_not_answer_a_close(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, close_timeout="30ms") as (connection, peer):
            await connection.close()
            assert connection.state is State.ERROR
            assert connection.close_code == 1006
            assert "close_timeout" in connection.close_reason
            assert (await peer.read_frame()).opcode == CLOSE
            assert await peer.read_to_end() == b""

    run(main())


def test_a_peer_that_answers_a_close_and_keeps_tcp(
    run: Any, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", 0.03)

    async def main() -> None:
        async with opened(role) as (connection, peer):
            closing = asyncio.ensure_future(connection.close())
            peer.send(CLOSE, (await peer.read_close()).payload)
            await closing
            assert connection.error is None
            assert connection.state is State.DISCONNECTED

    run(main())


def test_a_peer_that_does_not_read(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, close_timeout="30ms") as (connection, _):
            while connection._has_room:
                await connection.send(b"x" * 100_000)
                await asyncio.sleep(0)
            await connection.close()
            assert connection.close_code == 1006

    run(main())


def test_the_peer_closes(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.send_close(4001, "gr\xfc\xdfe".encode())
            assert (await peer.read_frame()).code == 4001
            if role == "server":
                assert await peer.read_to_end() == b""
                peer.writer.close()
            else:
                peer.writer.close()
            await connection.wait_closed()
            assert (connection.close_code, connection.close_reason) == (4001, "gr\xfc\xdfe")
            assert connection.state is State.DISCONNECTED

    run(main())


def test_a_close_is_answered_though_nobody_receives(
    run: Any, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.aio.driver.ANSWER", 0.03)

    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(peer.frame(TEXT, b"a") + peer.close_frame(1000))
            assert (await peer.read_close()).code == 1000
            assert await connection.receive() == "a"
            with pytest.raises(ConnectionClosed):
                await connection.receive()

    run(main())


def test_both_close_at_once(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.send_close(4002)
            connection.close_nowait(4001)
            assert (await peer.answer_close()).code == 4001
            await connection.wait_closed()
            assert connection.close_code == 4002

    run(main())


def test_abort(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            waiting = asyncio.ensure_future(connection.wait_closed())
            receiving = asyncio.ensure_future(connection.receive())
            await asyncio.sleep(0)
            connection.abort()
            await waiting
            with pytest.raises(ConnectionLost, match="aborted"):
                await receiving
            assert connection.close_code == 1006
            assert await peer.read_to_end() == b""

    run(main())


def test_a_peer_that_vanishes(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            await connection.send("x")
            await peer.read_frame()
            peer.reset()
            with pytest.raises(ConnectionLost) as caught:
                await connection.receive()
            assert caught.value.code == 1006
            await connection.wait_closed()

    run(main())


def test_what_waits_for_a_peer_that_has_closed_is_sent(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.writer.transport.pause_reading()
            sent = 0
            while connection._has_room:
                await connection.send(b"x" * 100_000)
                sent += 1
                await asyncio.sleep(0)
            peer.send_close(1000)
            peer.writer.write_eof()
            await until(lambda: connection.state is not State.CONNECTED)
            peer.writer.transport.resume_reading()
            for _ in range(sent):
                assert len((await peer.read_frame()).payload) == 100_000
            assert (await peer.read_frame()).code == 1000
            assert await peer.read_to_end() == b""
            await connection.wait_closed()
            assert connection.error is None

    run(main())


def test_several_wait_for_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            async with asyncio.TaskGroup() as group:
                cancelled = group.create_task(connection.wait_closed())
                for _ in range(3):
                    group.create_task(connection.wait_closed())
                closing = group.create_task(connection.close())
                await asyncio.sleep(0)
                cancelled.cancel()
                closing.cancel()
                assert (await peer.answer_close()).code == 1000
            assert closing.cancelled()

    run(main())


# ---------------------------------------------------------------- async with


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1000), (KeyError("x"), 1011), (asyncio.CancelledError(), 1001)],
    ids=["left", "failed", "cancelled"],
)
def test_a_block_closes_its_connection(run: Any, error: BaseException | None, code: int) -> None:
    async def main() -> None:
        codes: asyncio.Queue[int] = asyncio.Queue()
        connections: list[Connection] = []

        async def handle(peer: Peer) -> None:
            await upgrade(peer)
            codes.put_nowait((await peer.answer_close()).code)

        async def use(url: str) -> None:
            async with aio.connect(url) as connection:
                connections.append(connection)
                if error is not None:
                    raise error

        async with raw_server(handle) as url:
            task = asyncio.ensure_future(use(url))
            await asyncio.wait([task])
            assert task.cancelled() or task.exception() is error
            assert await codes.get() == code
            assert connections[0]._gone

    run(main())


def test_a_block_is_cancelled_while_it_closes(run: Any) -> None:
    async def main() -> None:
        over = asyncio.Event()
        connections: list[Connection] = []

        async def handle(peer: Peer) -> None:
            await upgrade(peer)
            await over.wait()

        async def use(url: str) -> None:
            async with aio.connect(url) as connection:
                connections.append(connection)

        async with raw_server(handle) as url:
            task = asyncio.create_task(use(url))
            await until(lambda: connections and connections[0].state is State.CLOSING)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await connections[0].wait_closed()
            over.set()

    run(main())
