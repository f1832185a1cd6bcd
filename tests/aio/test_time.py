"""Deadlines: keepalive, timeouts of reading, and what is no silence."""

import asyncio
import time
from typing import Any

import pytest
from aio_peers import Peer, opened, raw_server
from raw_peers import PING, PONG, TEXT

from wsfast import aio
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionLost, ConnectTimeout


async def nothing(_: aio.Connection) -> None:
    pass


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_keepalive(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, ping_interval="10ms") as (connection, peer):
            for _ in range(3):
                ping = await peer.read_frame()
                assert ping.opcode == PING
                peer.send(PONG, ping.payload)
            await until(lambda: connection.latency is not None)
            assert connection.state is State.CONNECTED

    run(main())


def test_a_silent_peer(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, ping_interval="10ms", pong_timeout="20ms") as (connection, peer):
            with pytest.raises(ConnectionLost, match="keepalive ping timeout"):
                await connection.receive()
            assert connection.close_code == 1011
            assert (await peer.read_close()).code == 1011

    run(main())


def test_a_busy_loop_is_no_silence(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, ping_interval="10ms", pong_timeout="20ms") as (connection, peer):
            for _ in range(3):
                ping = await peer.read_frame()
                peer.send(PONG, ping.payload)
                await peer.writer.drain()
                time.sleep(0.05)  # as an application does that should know better
            await connection.send("still there")
            while (frame := await peer.read_frame()).opcode == PING:
                peer.send(PONG, frame.payload)
            assert frame.payload == b"still there"

    run(main())


def test_a_full_queue_is_no_silence(run: Any, role: str) -> None:
    async def main() -> None:
        options = {"ping_interval": "10ms", "pong_timeout": "20ms", "receive_queue_messages": 1}
        async with opened(role, **options) as (connection, peer):
            peer.write(peer.frame(TEXT, b"a"))
            await until(lambda: connection._paused)
            await peer.read_frame()
            peer.send(PONG, b"unheard")
            await asyncio.sleep(0.1)
            assert connection.state is State.CONNECTED
            assert await connection.receive() == "a"

    run(main())


def test_read_timeout(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, read_timeout="30ms") as (connection, peer):
            for i in range(3):
                peer.send(TEXT, b"%d" % i)
                assert await connection.receive() == str(i)
            with pytest.raises(ConnectionLost, match="read_timeout"):
                await connection.receive()
            assert (await peer.read_close()).code == 1008

    run(main())


def test_a_request_that_does_not_come(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(nothing, "127.0.0.1", dial_timeout="30ms") as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\n")
            assert await reader.read() == b""
            writer.close()
            await until(lambda: not server.connections)

    run(main())


def test_an_answer_that_does_not_come(run: Any) -> None:
    async def handle(peer: Peer) -> None:
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(ConnectTimeout, match="timeout"):
                await aio.connect(url, dial_timeout="30ms")

    run(main())


def test_no_deadline_at_all(run: Any, role: str) -> None:
    async def main() -> None:
        options = {"ping_interval": None, "dial_timeout": None}
        async with opened(role, **options) as (connection, peer):
            assert connection._timer is None
            peer.send(TEXT, b"a")
            assert await connection.receive() == "a"

    run(main())
