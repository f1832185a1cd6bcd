"""Receiving: the queue and its bounds, callbacks, and what cancellation does."""

import asyncio
import logging
from typing import Any

import pytest
from aio_peers import opened
from raw_peers import BINARY, CLOSE, PING, PONG, TEXT

from wsfast.aio import Connection
from wsfast.codec import Ping
from wsfast.protocol.errors import ConnectionClosed, ProtocolError


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


# ---------------------------------------------------------------- cancellation


def test_a_cancelled_receive_loses_nothing(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            wire = peer.frame(BINARY, bytes(range(100))) + peer.frame(TEXT, b"next")
            for at in range(len(wire)):
                peer.write(wire[at : at + 1])
                task = asyncio.ensure_future(connection.receive())
                await turns(3)
                if task.done():
                    break
                task.cancel()
                await asyncio.wait([task])
            assert await task == bytes(range(100))
            peer.write(wire[at + 1 :])
            assert await connection.receive() == "next"

    run(main())


def test_a_message_that_comes_as_its_receiver_is_cancelled(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            task = asyncio.ensure_future(connection.receive())
            await turns()
            connection._deliver(["a"])
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            peer.send(TEXT, b"b")
            assert [await connection.receive() for _ in range(2)] == ["a", "b"]

    run(main())


def test_a_receive_that_is_cancelled_before_it_has_begun(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.send(TEXT, b"a")
            await until(lambda: connection._count)
            unused = connection.receive()
            task = asyncio.ensure_future(connection.receive())
            if not task.done():  # as an eager one is
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
                task = asyncio.ensure_future(unused)
            assert await task == "a"

    run(main())


def test_timeouts_of_receive(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            for i in range(5):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await connection.receive()
                peer.send(TEXT, b"%d" % i)
                assert await asyncio.wait_for(connection.receive(), 10) == str(i)

    run(main())


def test_one_task_receives_at_a_time(run: Any) -> None:
    async def main() -> None:
        async with opened("client") as (connection, peer):
            first = asyncio.ensure_future(connection.receive())
            await turns()
            with pytest.raises(RuntimeError, match="another task"):
                await connection.receive()
            peer.send(TEXT, b"a")
            assert await first == "a"

    run(main())


def test_many_messages_in_a_loop_of_tasks(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            for i in range(2000):
                peer.send(TEXT, b"%d" % i)
            for i in range(2000):
                assert await asyncio.create_task(connection.receive()) == str(i)

    run(main())


# ---------------------------------------------------------------- the queue


@pytest.mark.parametrize(
    "options", [{"receive_queue_messages": 10}, {"receive_queue_bytes": 10_000}], ids=str
)
def test_a_full_queue_stops_the_peer(run: Any, role: str, options: dict[str, int]) -> None:
    async def main() -> None:
        async with opened(role, **options) as (connection, peer):
            wire = peer.frame(BINARY, b"x" * 1000)
            sent = 0
            while not connection._paused or peer.writer.transport.get_write_buffer_size() < 1 << 20:
                peer.write(wire)
                sent += 1
                await asyncio.sleep(0)
            kept = connection._count
            await asyncio.sleep(0.01)
            assert connection._count == kept
            for _ in range(sent):
                assert await connection.receive() == b"x" * 1000
            assert not connection._paused

    run(main())


def test_a_full_queue_is_emptied_after_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, receive_queue_messages=1) as (connection, peer):
            peer.send(TEXT, b"a")
            await until(lambda: connection._paused)
            connection.abort()
            await connection.wait_closed()
            assert await connection.receive() == "a"
            with pytest.raises(ConnectionClosed):
                await connection.receive()

    run(main())


def test_the_oldest_make_room(run: Any, role: str) -> None:
    async def main() -> None:
        options = {"receive_queue_messages": 3, "receive_overflow": "drop_oldest"}
        async with opened(role, **options) as (connection, peer):
            for i in range(100):
                peer.send(TEXT, b"%d" % i)
            peer.send(PING)
            assert (await peer.read_frame()).opcode == PONG
            assert [await connection.receive() for _ in range(3)] == ["97", "98", "99"]
            peer.send(TEXT, b"x" * 100)
            assert await connection.receive() == "x" * 100

    run(main())


def test_the_oldest_of_control_frames_too(run: Any, role: str) -> None:
    async def main() -> None:
        options = {"receive_queue_messages": 2, "receive_overflow": "drop_oldest"}
        async with opened(role, control_messages=True, **options) as (connection, peer):
            for i in range(10):
                peer.send(PING, b"%d" % i)
                assert (await peer.read_frame()).opcode == PONG
            assert [await connection.receive() for _ in range(2)] == [Ping(b"8"), Ping(b"9")]

    run(main())


def test_large_messages_are_kept_one_by_one(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, receive_queue_bytes=1) as (connection, peer):
            for i in range(5):
                peer.send(BINARY, b"%d" % i * 500_000)
            for i in range(5):
                assert await connection.receive() == b"%d" % i * 500_000

    run(main())


def test_a_close_is_heard_behind_a_full_queue(
    run: Any, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.aio.driver.TAKE", 0.02)

    async def main() -> None:
        async with opened(role, receive_queue_messages=2) as (connection, peer):
            for _ in range(10):
                peer.send(TEXT, b"x" * 100_000)
            await until(lambda: connection._paused)
            closing = asyncio.ensure_future(connection.close())
            await peer.answer_close()
            await closing
            assert connection.close_code == 1000
            assert connection.error is None

    run(main())


def test_what_comes_after_our_close_is_received_by_who_takes_it(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, receive_queue_messages=2) as (connection, peer):
            for i in range(10):
                peer.send(TEXT, b"%d" % i * 100_000)
            await until(lambda: connection._paused)
            connection.close_nowait()
            for i in range(10):
                assert await connection.receive() == str(i) * 100_000
                await asyncio.sleep(0.001)
            await peer.answer_close()
            with pytest.raises(ConnectionClosed):
                await connection.receive()

    run(main())


def test_a_queue_that_fills_after_our_close(
    run: Any, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsfast.aio.driver.TAKE", 0.02)

    async def main() -> None:
        async with opened(role, receive_queue_messages=2) as (connection, peer):
            connection.close_nowait()
            for _ in range(10):
                peer.send(TEXT, b"x" * 100_000)
            await peer.answer_close()
            await connection.wait_closed()
            assert connection.close_code == 1000

    run(main())


# ---------------------------------------------------------------- callbacks


class Recorder:
    """A callback that writes down what it gets."""

    def __init__(self, enough: int) -> None:
        self.messages: list[Any] = []
        self.enough = enough
        self.done = asyncio.Event()

    def __call__(self, connection: Connection, message: Any) -> None:
        self.messages.append(message)
        if len(self.messages) == self.enough:
            self.done.set()


def test_a_callback_gets_every_message_in_order(run: Any, role: str) -> None:
    async def main() -> None:
        recorder = Recorder(1000)
        async with opened(role, on_message=recorder) as (connection, peer):
            for i in range(1000):
                peer.send(TEXT, b"%d" % i)
            await recorder.done.wait()
            assert recorder.messages == [str(i) for i in range(1000)]
            with pytest.raises(RuntimeError, match="on_message"):
                await connection.receive()
            with pytest.raises(RuntimeError, match="on_message"):
                await anext(connection)

    run(main())


def test_a_callback_gets_what_comes_with_the_handshake(run: Any, role: str) -> None:
    from raw_peers import KEY, frame

    async def main() -> None:
        recorder = Recorder(1)
        early = frame(TEXT, b"early", key=KEY if role == "server" else None)
        async with opened(role, early=early, on_message=recorder):
            await recorder.done.wait()
            assert recorder.messages == ["early"]

    run(main())


def test_a_callback_that_fails(run: Any, role: str) -> None:
    recorder: list[str] = []

    def fail(connection: Connection, message: str) -> None:
        recorder.append(message)
        if message.startswith("bad"):
            raise KeyError(message)

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        async with opened(role, on_message=fail) as (_, peer):
            peer.write(b"".join(peer.frame(TEXT, m) for m in (b"bad 1", b"2", b"bad 3", b"4")))
            await until(lambda: len(recorder) == 4)
        loop.set_exception_handler(before)
        assert [str(c["exception"]) for c in complaints] == ["'bad 1'", "'bad 3'"]

    run(main())


def test_a_callback_that_closes(run: Any, role: str) -> None:
    recorder: list[str] = []

    def close(connection: Connection, message: str) -> None:
        recorder.append(message)
        if message == "2":
            connection.send_nowait("bye")
            connection.close_nowait(4001)

    async def main() -> None:
        async with opened(role, on_message=close) as (connection, peer):
            peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(5)))
            assert (await peer.read_frame()).payload == b"bye"
            assert (await peer.answer_close()).code == 4001
            await connection.wait_closed()
            assert recorder == ["0", "1", "2", "3", "4"]

    run(main())


def test_a_callback_that_aborts(run: Any, role: str) -> None:
    recorder: list[str] = []

    def abort(connection: Connection, message: str) -> None:
        recorder.append(message)
        connection.abort()

    async def main() -> None:
        async with opened(role, on_message=abort) as (connection, peer):
            peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(5)))
            await connection.wait_closed()
            assert recorder == ["0"]
            assert await peer.read_to_end() == b""

    run(main())


def test_replies_of_a_callback_leave_before_the_answer_to_a_close(run: Any, role: str) -> None:
    def reply(connection: Connection, message: str) -> None:
        connection.send_nowait(message)

    async def main() -> None:
        async with opened(role, on_message=reply) as (_, peer):
            peer.write(peer.frame(TEXT, b"a") + peer.frame(TEXT, b"b") + peer.close_frame(1000))
            frames = [await peer.read_frame() for _ in range(3)]
            assert [frame.opcode for frame in frames] == [TEXT, TEXT, CLOSE]

    run(main())


def test_a_callback_whose_replies_are_not_read(run: Any, role: str) -> None:
    def reply(connection: Connection, message: bytes) -> None:
        connection.send_nowait(message)

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        options = {"send_queue_bytes": 100_000}
        async with opened(role, on_message=reply, **options) as (_, peer):
            peer.writer.transport.pause_reading()
            while not complaints:
                peer.send(BINARY, b"x" * 50_000)
                await asyncio.sleep(0)
        loop.set_exception_handler(before)
        assert "full" in str(complaints[0]["exception"])

    run(main())


def test_what_is_no_callback() -> None:
    from wsfast import aio

    async def wrong(connection: Connection, message: str) -> None:
        pass

    for callback in (1, wrong):
        with pytest.raises(TypeError, match="on_message"):
            aio.connect("ws://localhost", on_message=callback)
        with pytest.raises(TypeError, match="on_message"):
            aio.serve(None, on_message=callback)


# ---------------------------------------------------------------- limits


def test_read_limit(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, read_limit=10) as (connection, peer):
            peer.write(peer.frame(TEXT, b"x" * 10) + peer.frame(TEXT, b"x" * 11))
            assert await connection.receive() == "x" * 10
            with pytest.raises(ProtocolError) as caught:
                await connection.receive()
            assert caught.value.code == 1009
            assert (await peer.read_close()).code == 1009

    run(main())


def test_no_memory_for_a_message(
    run: Any, role: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    async def main() -> None:
        async with opened(role) as (connection, peer):
            connection._out_of_memory()
            with pytest.raises(ProtocolError) as caught:
                await connection.receive()
            assert caught.value.code == 1011
            assert (await peer.read_close()).code == 1011

    run(main())
