"""Sending: what waits, what does not, and that a message leaves whole or not at all."""

import asyncio
import contextlib
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aio_peers import Peer, opened
from raw_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, response

from wsfast.aio import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, QueueFull, SendTimeout

PIECE = b"x" * 100_000


async def fill(connection: Connection, message: bytes = PIECE) -> int:
    """Sends until a send would wait; how many messages that were. The peer must not read."""
    sent = 0
    while connection._has_room:
        await connection.send(message)
        sent += 1
        await asyncio.sleep(0)
    return sent


def send_until(connection: Connection, error: type[Exception]) -> int:
    """Sends until that is raised; how many messages that were."""
    sent = 0
    while True:
        try:
            connection.send_nowait(PIECE)
        except error:
            return sent
        sent += 1


async def read_messages(peer: Peer, count: int) -> list[bytes]:
    frames = [await peer.read_frame() for _ in range(count)]
    return [frame.payload for frame in frames]


# ---------------------------------------------------------------- what a send is


def test_a_send_is_a_coroutine(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):
            await asyncio.create_task(connection.send("task"))
            await asyncio.gather(connection.send("one"), connection.send("two"))
            await asyncio.wait_for(connection.send("in time"), 10)
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.send("group"))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                connection.send("not awaited")
                gc.collect()
            received = await read_messages(peer, 6)
            assert received == [b"task", b"one", b"two", b"in time", b"group", b"not awaited"]

    run(main())


def test_the_coroutine_of_a_send_can_be_driven_by_hand(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):
            done = connection.send("x")
            with pytest.raises(StopIteration) as stopped:
                done.send(None)
            assert stopped.value.value is None
            assert [*done.__await__()] == []
            done.close()
            with pytest.raises(KeyError):
                done.throw(KeyError)
            with pytest.raises(KeyError):
                done.throw(KeyError, KeyError("x"))
            peer.send(TEXT, b"y")
            peer.send(TEXT, b"z")
            assert await connection.receive() == "y"
            with pytest.raises(StopIteration, match="z"):
                connection.receive().send(None)

    run(main())


def test_a_cancelled_task_that_was_to_send_has_sent(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):
            task = asyncio.create_task(connection.send("all or nothing"))
            task.cancel()
            await asyncio.wait([task])
            await connection.send("next")
            assert await read_messages(peer, 2) == [b"all or nothing", b"next"]

    run(main())


@pytest.mark.parametrize(
    ("data", "error"),
    [(1, TypeError), (None, TypeError), ([b"x"], TypeError), ("\ud800", ValueError)],
)
@pytest.mark.parametrize("compression", ["disabled", "no_context"])
def test_what_cannot_be_sent(run: Any, data: Any, error: type[Exception], compression: str) -> None:
    from wsfast import aio

    async def echo(connection: Connection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with (
            aio.serve(echo, "127.0.0.1", compression=compression) as server,
            aio.connect(f"ws://127.0.0.1:{server.port}/", compression=compression) as connection,
        ):
            for send in (connection.send, connection.send_nowait):
                with pytest.raises(error):
                    send(data)
            await connection.send("fine")
            assert await connection.receive() == "fine"

    run(main())


def test_nothing_is_sent_after_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            connection.close_nowait(4000, "enough")
            for send in (connection.send, connection.send_nowait):
                with pytest.raises(ConnectionClosed, match="closing"):
                    send("x")
            assert (await peer.answer_close()).code == 4000
            await connection.wait_closed()
            with pytest.raises(ConnectionClosed) as caught:
                await connection.send("x")
            assert (caught.value.code, caught.value.reason) == (4000, "enough")

    run(main())


def test_another_thread_is_told_so(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, _):
            errors: list[BaseException] = []

            def misuse() -> None:
                for method in (
                    lambda: connection.send("x"),
                    lambda: connection.send_nowait("x"),
                    connection.receive,
                    lambda: aiter(connection).__anext__(),
                    connection.close_nowait,
                    connection.abort,
                ):
                    try:
                        method()
                    except RuntimeError as exc:
                        errors.append(exc)

            thread = threading.Thread(target=misuse)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert len(errors) == 6
            assert all("thread" in str(error) for error in errors)

    run(main())


# ---------------------------------------------------------------- bursts


def test_a_burst_leaves_in_order(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            for i in range(3000):
                await connection.send(b"%d" % i)
            assert await read_messages(peer, 3000) == [b"%d" % i for i in range(3000)]

    run(main())


def test_replies_to_a_chunk_leave_in_one_piece(run: Any, role: str) -> None:
    def reply(connection: Connection, message: Any) -> None:
        connection.send_nowait(message)

    async def main() -> None:
        async with opened(role, on_message=reply) as (connection, peer):
            await asyncio.sleep(0)
            writes: list[bytes] = []
            connection._attach(lambda data: writes.append(bytes(data)), None, False)
            peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(16)))
            while not writes:
                await asyncio.sleep(0)
            assert len(writes) == 1
            assert len(writes[0]) == sum(
                len(str(i)) + (6 if role == "client" else 2) for i in range(16)
            )

    run(main())


# ---------------------------------------------------------------- a peer that does not read


def test_a_sender_waits_for_a_peer_that_does_not_read(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent = await fill(connection)
            waiting = asyncio.create_task(connection.send("waited"))
            others = [asyncio.create_task(connection.send(f"{i}")) for i in range(5)]
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            assert await read_messages(peer, sent + 6) == [
                *[PIECE] * sent, b"waited", b"0", b"1", b"2", b"3", b"4",
            ]  # fmt: skip
            await asyncio.gather(waiting, *others)
            await connection.send("again")
            assert await read_messages(peer, 1) == [b"again"]

    run(main())


def test_a_sender_that_gives_up_has_sent_nothing(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent = await fill(connection)
            tasks = [asyncio.create_task(connection.send(b"%d" % i)) for i in range(4)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
            tasks[2].cancel()
            assert await read_messages(peer, sent + 2) == [*[PIECE] * sent, b"1", b"3"]
            await asyncio.wait(tasks)
            assert [task.cancelled() for task in tasks] == [True, False, True, False]
            await connection.send("last")
            assert await read_messages(peer, 1) == [b"last"]

    run(main())


def test_write_timeout(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, write_timeout="20ms") as (connection, peer):
            sent = await fill(connection)
            tasks = [asyncio.create_task(connection.send("too late")) for _ in range(2)]
            for task in tasks:
                with pytest.raises(SendTimeout, match="timeout"):
                    await task
            assert await read_messages(peer, sent) == [PIECE] * sent
            await connection.send("in time")
            assert await read_messages(peer, 1) == [b"in time"]

    run(main())


def test_send_queue_messages(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, send_queue_messages=3) as (connection, peer):
            sent = send_until(connection, QueueFull)
            waiting = asyncio.ensure_future(connection.send("waited"))
            await asyncio.sleep(0)
            assert not waiting.done()
            assert await read_messages(peer, sent + 1) == [*[PIECE] * sent, b"waited"]
            await waiting
            sent = send_until(connection, QueueFull)
            connection.close_nowait()  # has room in any case
            assert await read_messages(peer, sent) == [PIECE] * sent
            assert (await peer.read_frame()).opcode == CLOSE

    run(main())


def test_send_overflow(run: Any, role: str) -> None:
    async def main() -> None:
        options: Any = {"send_queue_messages": 3, "send_overflow": "fail"}
        async with opened(role, **options) as (connection, peer):
            sent = send_until(connection, QueueFull)
            with pytest.raises(QueueFull):
                await connection.send("x")
            with pytest.raises(QueueFull):
                await connection.send_fragments(["x"])
            assert await read_messages(peer, sent) == [PIECE] * sent
            await connection.send_fragments(["a", "b"])
            await connection.send("c")
            assert await read_messages(peer, 3) == [b"a", b"b", b"c"]

    run(main())


@pytest.mark.parametrize("compression", ["disabled", "context_takeover"])
def test_small_messages_without_end(run: Any, compression: str) -> None:
    from wsfast import aio

    async def main() -> None:
        go, done = asyncio.Event(), asyncio.Event()

        async def take(connection: Connection) -> None:
            await go.wait()
            for i in range(20_000):
                assert await connection.receive() == f"{i:050}" * 5
            done.set()

        options: Any = {"compression": compression, "send_queue_messages": 100}
        async with (
            aio.serve(take, "127.0.0.1", receive_queue_messages=1, **options) as server,
            aio.connect(f"ws://127.0.0.1:{server.port}/", **options) as connection,
        ):

            async def send_all() -> None:
                for i in range(20_000):
                    await connection.send(f"{i:050}" * 5)

            sending = asyncio.create_task(send_all())
            await asyncio.sleep(0.01)
            go.set()
            await sending
            await done.wait()

    run(main())


def test_send_queue_bytes(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, send_queue_bytes=200_000) as (connection, peer):
            connection.send_nowait(b"y" * 300_000)  # more than fits, and nothing waits
            sent = send_until(connection, QueueFull)
            assert await read_messages(peer, sent + 1) == [b"y" * 300_000, *[PIECE] * sent]

    run(main())


def test_a_sender_that_waits_is_told_of_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            await fill(connection)
            waiting = asyncio.ensure_future(connection.send("x"))
            await asyncio.sleep(0)
            peer.writer.transport.abort()
            with pytest.raises(ConnectionLost):
                await waiting
            await connection.wait_closed()
            assert connection.state is State.ERROR

    run(main())


def test_what_the_peer_said_before_it_went_away_is_received(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.send(TEXT, b"last words")
            peer.writer.close()
            while not connection._broken and connection.state is State.CONNECTED:
                connection.send_nowait(b"x")  # first it works, then the peer's system refuses it
                await asyncio.sleep(0.001)
            with pytest.raises(ConnectionClosed):
                connection.send_nowait(b"x")
            assert await connection.receive() == "last words"

    run(main())


@contextlib.asynccontextmanager
async def over_socketpair() -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A connection to a peer that is a socket, whose end is known at once."""
    from wsfast import aio

    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    opening = asyncio.ensure_future(aio.connect("ws://localhost/", sock=ours)._open())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(theirs, 1000)
    theirs.send(response(head))
    connection = await opening
    with theirs:
        yield connection, theirs
    connection.abort()
    await connection.wait_closed()


def test_a_peer_that_takes_no_more_data(run: Any) -> None:
    async def main() -> None:
        async with over_socketpair() as (connection, peer):
            peer.send(frame(TEXT, b"last words"))
            peer.close()
            connection.send_nowait("nobody gets this")
            for send in (connection.send, connection.send_nowait):
                with pytest.raises(ConnectionLost, match="takes no more data"):
                    send("x")
            assert await connection.receive() == "last words"
            with pytest.raises(ConnectionLost):
                await connection.receive()

    run(main())


def test_a_peer_that_goes_away_within_a_fragmented_message(run: Any) -> None:
    async def main() -> None:
        async with over_socketpair() as (connection, peer):

            def chunks() -> Iterator[str]:
                yield "a"
                yield "b"
                peer.send(frame(TEXT, b"last words"))
                peer.close()
                yield from "cde"

            with pytest.raises(ConnectionLost, match="takes no more data"):
                await connection.send_fragments(chunks())
            assert await connection.receive() == "last words"

    run(main())


def test_pings_are_answered_at_the_end_of_what_waits(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent = await fill(connection)
            for i in range(100):
                peer.send(PING, b"%d" % i)
            await peer.writer.drain()
            for _ in range(50):
                await asyncio.sleep(0)
            received = [await peer.read_frame() for _ in range(sent + 1)]
            assert received[-1].opcode == PONG

    run(main())


# ---------------------------------------------------------------- fragments


def text_chunks() -> Iterator[str]:
    yield from ("one ", "two ", "", "three")


async def slow_chunks() -> AsyncIterator[bytes]:
    for chunk in (b"1", b"22", b"333"):
        await asyncio.sleep(0)
        yield chunk


def test_an_iterable_is_one_message(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            await connection.send_fragments(text_chunks())
            await connection.send_fragments(slow_chunks())
            await connection.send_fragments([b"alone"])
            await connection.send_fragments([])
            await connection.send_fragments([], text=True)
            frames = [await peer.read_frame() for _ in range(10)]
            assert [(f.opcode, f.payload, f.fin) for f in frames] == [
                (TEXT, b"one ", False), (CONTINUATION, b"two ", False), (CONTINUATION, b"", False),
                (CONTINUATION, b"three", True),
                (BINARY, b"1", False), (CONTINUATION, b"22", False), (CONTINUATION, b"333", True),
                (BINARY, b"alone", True), (BINARY, b"", True), (TEXT, b"", True),
            ]  # fmt: skip

    run(main())


def test_others_wait_for_the_end_of_a_fragmented_message(run: Any, role: str) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def chunks() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await go.wait()
            yield "c"

        async with opened(role) as (connection, peer):
            sending = asyncio.create_task(connection.send_fragments(chunks()))
            assert (await peer.read_frame()).payload == b"a"
            with pytest.raises(QueueFull, match="fragments"):
                connection.send_nowait("x")
            others = [asyncio.create_task(connection.send(f"{i}")) for i in range(2)]
            others.append(asyncio.create_task(connection.send_fragments(["d", "e"])))
            peer.send(PING)
            assert (await peer.read_frame()).opcode == PONG
            go.set()
            await asyncio.gather(sending, *others)
            assert await read_messages(peer, 6) == [b"b", b"c", b"0", b"1", b"d", b"e"]

    run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [({"write_timeout": "20ms"}, SendTimeout), ({"send_overflow": "fail"}, QueueFull)],
    ids=["block", "fail"],
)
def test_others_give_up_within_a_fragmented_message(
    run: Any, options: dict[str, str], error: type[Exception]
) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def chunks() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await go.wait()

        async with opened("client", **options) as (connection, peer):
            sending = asyncio.create_task(connection.send_fragments(chunks()))
            assert (await peer.read_frame()).payload == b"a"
            with pytest.raises(error):
                await connection.send("x")
            with pytest.raises(error):
                await connection.send_fragments(["x"])
            go.set()
            await sending
            await connection.send("y")
            assert await read_messages(peer, 2) == [b"b", b"y"]

    run(main())


def test_chunks_that_send_something_else(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):

            async def chunks(send: Any) -> AsyncIterator[str]:
                yield "a"
                yield "b"
                with pytest.raises(RuntimeError, match="another"):
                    await send("x")
                yield "c"

            async def send_at_once(data: str) -> None:
                connection.send_nowait(data)

            async def send_chunks(data: str) -> None:
                await connection.send_fragments([data])

            for send in (connection.send, send_at_once, send_chunks):
                await connection.send_fragments(chunks(send))
            assert await read_messages(peer, 9) == [b"a", b"b", b"c"] * 3

    run(main())


@pytest.mark.parametrize("chunks", ["text", b"bytes", bytearray(b"x"), 1])
def test_what_are_no_chunks(run: Any, chunks: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, _):
            with pytest.raises(TypeError):
                await connection.send_fragments(chunks)
            await connection.send("fine")

    run(main())


@pytest.mark.parametrize(
    ("chunks", "text", "error"),
    [
        ([1], None, TypeError),
        (["a"], False, TypeError),
        ([b"a"], True, TypeError),
        (["\ud800"], None, ValueError),
    ],
)
def test_a_wrong_first_chunk(run: Any, chunks: Any, text: Any, error: type[Exception]) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):
            with pytest.raises(error):
                await connection.send_fragments(chunks, text=text)
            await connection.send("fine")
            assert await read_messages(peer, 1) == [b"fine"]

    run(main())


def test_a_message_that_cannot_be_completed(run: Any, role: str) -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise KeyError("no more")

    async def main() -> None:
        async with opened(role) as (connection, peer):
            with pytest.raises(KeyError):
                await connection.send_fragments(chunks())
            assert (await peer.read_frame()).payload == b"a"
            assert (await peer.read_frame()).code == 1011
            with pytest.raises(ConnectionLost):
                await connection.send("x")

    run(main())


def test_a_fragmented_message_is_cancelled(run: Any, role: str) -> None:
    async def main() -> None:
        async def chunks(*parts: str) -> AsyncIterator[str]:
            for part in parts:
                yield part
            await asyncio.Event().wait()

        async with opened(role) as (connection, peer):
            task = asyncio.create_task(connection.send_fragments(chunks("a")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()  # before anything was sent
            await asyncio.wait([task])
            await connection.send("fine")
            assert await read_messages(peer, 1) == [b"fine"]
            task = asyncio.create_task(connection.send_fragments(chunks("a", "b")))
            assert await read_messages(peer, 1) == [b"a"]
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert (await peer.read_frame()).code == 1011

    run(main())


def test_fragments_wait_for_room(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            sent = await fill(connection)
            task = asyncio.create_task(connection.send_fragments([b"a", PIECE, PIECE, b"b"]))
            await asyncio.sleep(0)
            assert not task.done()
            assert await read_messages(peer, sent + 4) == [
                *[PIECE] * sent,
                b"a",
                PIECE,
                PIECE,
                b"b",
            ]
            await task

    run(main())


def test_fragments_have_no_time_to_wait_for_room(run: Any) -> None:
    async def main() -> None:
        async with opened("client", write_timeout="20ms") as (connection, peer):
            sent = await fill(connection)
            with pytest.raises(SendTimeout):
                await connection.send_fragments([b"a", b"b"])
            assert await read_messages(peer, sent) == [PIECE] * sent
            await connection.send("fine")
            assert await read_messages(peer, 1) == [b"fine"]

    run(main())
