"""A peer that sends ten messages and closes at once, again and again.

WSFAST_RUNS says how often; the more, the longer it takes.
"""

import asyncio
import os
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

import pytest
from raw_peers import TEXT, RawServerPeer, close_frame, frame

from wsfast.channel import after, aselect, select
from wsfast.client import Client, Message, connect
from wsfast.server import Connection

RUNS = int(os.environ.get("WSFAST_RUNS", "100"))
WAIT = "20s"
COUNT = 10
EXPECTED = [Message("text", f"message {number}") for number in range(COUNT)]
END = (4000, "that was all")

pytestmark = pytest.mark.timeout(120 + RUNS)


def raw_peer(peer: RawServerPeer) -> None:
    """All in one segment, or in as many as it likes; then the end of TCP."""
    peer.upgrade()
    parts = [frame(TEXT, message.data.encode()) for message in EXPECTED if message.type == "text"]
    parts.append(close_frame(END[0], END[1].encode()))
    cut = random.randrange(COUNT + 2)
    for part in (b"".join(parts[:cut]), b"".join(parts[cut:])):
        peer.send(part)
    peer.sock.shutdown(socket.SHUT_WR)
    peer.read_to_end()


def our_peer(connection: Connection) -> None:
    for message in EXPECTED:
        connection.send(message.data)
    connection.close(*END)


@pytest.fixture(params=["raw", "ours"])
def url(request: pytest.FixtureRequest, raw_server: Any, start_server: Any) -> str:
    server = raw_server(raw_peer) if request.param == "raw" else start_server(our_peer)
    return str(server.url)


class Slow:
    """A consumer that takes its time before each message, sometimes: others run meanwhile."""

    options: ClassVar[dict[str, Any]] = {"channel_capacity": 1}
    _never = threading.Event()

    def __call__(self) -> None:
        if random.random() < 0.3:
            self._never.wait(random.random() * 0.003)

    async def wait(self) -> None:
        if random.random() < 0.3:
            await asyncio.sleep(random.random() * 0.003)


class Quick:
    options: ClassVar[dict[str, Any]] = {}

    def __call__(self) -> None:
        pass

    async def wait(self) -> None:
        pass


@pytest.fixture(params=[Quick, Slow], ids=["quick", "slow"])
def pause(request: pytest.FixtureRequest) -> Any:
    return request.param()


def by_receive(client: Client, pause: Callable[[], None]) -> Iterator[Message]:
    channel = client.channel()
    pause()
    while (received := channel.receive(WAIT))[1]:
        assert received[0] is not None
        yield received[0]
        pause()


def by_iteration(client: Client, pause: Callable[[], None]) -> Iterator[Message]:
    pause()
    for message in client:
        yield message
        pause()


def by_select(client: Client, pause: Callable[[], None]) -> Iterator[Message]:
    channel, late = client.channel(), after(WAIT)
    pause()
    while (chosen := select([late.case_receive(), channel.case_receive()])).ok:
        assert chosen.channel is channel
        yield chosen.value
        pause()


def by_polling(client: Client, pause: Callable[[], None]) -> Iterator[Message]:
    channel = client.channel()
    tick = threading.Event()
    while (chosen := select([channel.case_receive()], default=True)).ok or chosen.default:
        if chosen.default:
            tick.wait(0.0001)
        else:
            yield chosen.value
            pause()


@pytest.mark.parametrize("way", [by_receive, by_iteration, by_select, by_polling])
def test_threads_get_all_and_then_the_end(url: str, pause: Any, way: Any) -> None:
    for _ in range(RUNS):
        client = connect(url, pause.options)
        assert list(way(client, pause)) == EXPECTED
        check_end(client)


async def by_areceive(client: Client, pause: Any) -> AsyncIterator[Message]:
    channel = client.channel()
    await pause.wait()
    while (received := await channel.areceive(WAIT))[1]:
        assert received[0] is not None
        yield received[0]
        await pause.wait()


async def by_aselect(client: Client, pause: Any) -> AsyncIterator[Message]:
    channel, late = client.channel(), after(WAIT)
    await pause.wait()
    while (chosen := await aselect([late.case_receive(), channel.case_receive()])).ok:
        assert chosen.channel is channel
        yield chosen.value
        await pause.wait()


async def by_async_iteration(client: Client, pause: Any) -> AsyncIterator[Message]:
    async for message in client.channel():
        yield message
        await pause.wait()


@pytest.mark.parametrize("way", [by_areceive, by_aselect, by_async_iteration])
def test_so_do_tasks(url: str, pause: Any, way: Any) -> None:
    async def main() -> None:
        for _ in range(RUNS):
            client = connect(url, pause.options)
            assert [message async for message in way(client, pause)] == EXPECTED
            check_end(client)

    asyncio.run(main())


def check_end(client: Client) -> None:
    assert client.channel().receive() == (None, False)
    assert (client.close_code, client.close_reason) == END
    assert client.error is None
    assert client.close() is True
    assert (client.close_code, client.close_reason) == END
