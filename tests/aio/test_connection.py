"""Our end of a connection, in both roles: messages in both directions."""

import asyncio
from typing import Any

import pytest
from aio_peers import opened
from raw_peers import BINARY, CONTINUATION, PING, PONG, TEXT

from wsfast.aio import Connection
from wsfast.codec import Ping
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, ProtocolError

MESSAGES = ["", "\N{SNOWMAN}", b"", b"\xff", "x" * 126, b"x" * 65535, "y" * 65536, b"z" * 1_000_000]


def wire_of(message: str | bytes) -> tuple[int, bytes]:
    if isinstance(message, str):
        return TEXT, message.encode()
    return BINARY, message


def test_messages_come_as_str_and_bytes_in_order(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            for message in MESSAGES:
                peer.send(*wire_of(message))
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES

    run(main())


def test_messages_leave_as_text_and_binary_in_order(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer), asyncio.TaskGroup() as group:

            async def send_all() -> None:
                for message in [*MESSAGES, bytearray(b"1"), memoryview(b"0123")[::2]]:
                    await connection.send(message)

            group.create_task(send_all())
            received = [await peer.read_frame() for _ in range(len(MESSAGES) + 2)]
            assert all(frame.fin and not frame.rsv for frame in received)
            assert all((frame.key is not None) is (role == "client") for frame in received)
            assert [(frame.opcode, frame.payload) for frame in received] == [
                *map(wire_of, MESSAGES), (BINARY, b"1"), (BINARY, b"02"),
            ]  # fmt: skip

    run(main())


def test_messages_cut_anywhere(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            wire = peer.frame(TEXT, b"a" * 200) + peer.frame(TEXT, b"b", fin=False)
            wire += peer.frame(PING, b"?") + peer.frame(CONTINUATION, b"c") + peer.frame(BINARY)
            for at in range(len(wire)):
                peer.write(wire[at : at + 1])
                await peer.writer.drain()
                await asyncio.sleep(0)
            assert [await connection.receive() for _ in range(3)] == ["a" * 200, "bc", b""]
            pong = await peer.read_frame()
            assert (pong.opcode, pong.payload) == (PONG, b"?")

    run(main())


def test_messages_that_come_with_the_handshake(run: Any, role: str) -> None:
    async def main() -> None:
        from raw_peers import KEY, frame

        early = frame(TEXT, b"early", key=KEY if role == "server" else None)
        async with opened(role, early=early) as (connection, _):
            assert await connection.receive() == "early"

    run(main())


def test_iteration_ends_quietly_after_a_closing_handshake(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(peer.frame(TEXT, b"a") + peer.frame(TEXT, b"b") + peer.close_frame(1000))
            assert [message async for message in connection] == ["a", "b"]
            assert [message async for message in connection] == []
            assert (await peer.read_close()).code == 1000

    run(main())


@pytest.mark.parametrize(
    ("opcode", "payload", "error", "code"),
    [
        (None, b"", ConnectionLost, 1006),
        (TEXT, b"\xff", ProtocolError, 1007),
        (3, b"", ProtocolError, 1002),
    ],
    ids=["no close frame", "bad UTF-8", "bad opcode"],
)
def test_iteration_raises_what_ended_it(
    run: Any,
    role: str,
    opcode: int | None,
    payload: bytes,
    error: type[ConnectionClosed],
    code: int,
) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(peer.frame(TEXT, b"a") + (peer.frame(opcode, payload) if opcode else b""))
            peer.writer.write_eof()
            messages = aiter(connection)
            assert await anext(messages) == "a"
            with pytest.raises(error) as caught:
                await anext(messages)
            assert (caught.value.code, caught.value.clean) == (code, False)
            await peer.read_to_end()
            await connection.wait_closed()
            assert connection.state is State.ERROR
            assert connection.close_code == code
            assert connection.error is not None

    run(main())


def test_what_has_arrived_is_received_before_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(10)))
            peer.write(peer.close_frame(4000, b"done"))
            assert [await connection.receive() for _ in range(10)] == [str(i) for i in range(10)]
            for _ in range(2):
                with pytest.raises(ConnectionClosed) as caught:
                    await connection.receive()
                error = caught.value
                assert (error.code, error.reason, error.clean) == (4000, "done", True)
            assert (await peer.read_close()).code == 4000

    run(main())


def test_what_has_arrived_can_be_received_after_the_end(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(peer.frame(TEXT, b"a") + peer.frame(TEXT, b"b"))
            peer.writer.write_eof()
            await connection.wait_closed()
            assert await connection.receive() == "a"
            assert [message async for message in _quietly(connection)] == ["b"]

    async def _quietly(connection: Connection) -> Any:
        while True:
            try:
                yield await connection.receive()
            except ConnectionLost:
                return

    run(main())


def test_replies_leave_before_the_answer_to_a_close(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(5)))
            peer.write(peer.close_frame(1000))
            async for message in connection:
                await connection.send(message)
            received = [await peer.read_frame() for _ in range(6)]
            assert [frame.payload for frame in received[:5]] == [b"%d" % i for i in range(5)]
            assert received[5].code == 1000

    run(main())


def test_pings_are_answered_while_nobody_receives(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (_, peer):
            peer.send(PING, b"are you there?")
            pong = await peer.read_frame()
            assert (pong.opcode, pong.payload) == (PONG, b"are you there?")

    run(main())


def test_ping_waits_for_its_pong(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer), asyncio.TaskGroup() as group:
            assert connection.latency is None
            asking = group.create_task(connection.ping(b"data"))
            ping = await peer.read_frame()
            assert (ping.opcode, ping.payload) == (PING, b"data")
            peer.send(PONG, b"another")
            peer.send(PONG, b"data")
            assert await asking == connection.latency
            assert connection.latency is not None
            assert connection.latency >= 0

    run(main())


def test_a_ping_that_the_end_overtakes(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role) as (connection, peer):
            with pytest.raises(ValueError, match="126"):
                await connection.ping(bytes(126))
            asking = asyncio.ensure_future(connection.ping())
            await peer.read_frame()
            peer.writer.transport.abort()
            with pytest.raises(ConnectionLost):
                await asking
            with pytest.raises(ConnectionLost):
                await connection.ping()

    run(main())


def test_control_messages(run: Any, role: str) -> None:
    async def main() -> None:
        async with opened(role, control_messages=True) as (connection, peer):
            peer.write(peer.frame(PING, b"1") + peer.frame(TEXT, b"a"))
            assert [await connection.receive() for _ in range(2)] == [Ping(b"1"), "a"]

    run(main())


def test_compression(run: Any, role: str) -> None:
    from wsfast import aio

    async def echo(connection: Connection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with (
            aio.serve(echo, "127.0.0.1", compression="context_takeover") as server,
            aio.connect(f"ws://127.0.0.1:{server.port}/", compression=1) as connection,
        ):
            assert connection.compressed
            for message in MESSAGES:
                await connection.send(message)
                assert await connection.receive() == message

    run(main())


def test_what_a_connection_is(run: Any) -> None:
    from wsfast import aio

    seen: list[Connection] = []

    async def handler(connection: Connection) -> None:
        seen.append(connection)
        assert connection.url is None
        assert connection.response is None
        assert connection.request is not None
        assert connection.request.path == "/chat"
        assert connection.subprotocol == "b"
        await connection.receive()

    async def main() -> None:
        async with aio.serve(handler, "127.0.0.1", protocols=["b"]) as server:
            url = f"ws://127.0.0.1:{server.port}/chat"
            async with aio.connect(url, protocols=["a", "b"]) as connection:
                assert connection.state is State.CONNECTED
                assert str(connection.url) == url
                assert connection.subprotocol == "b"
                assert not connection.compressed
                assert connection.response is not None
                assert connection.response.status == 101
                assert connection.request is None
                assert connection.close_code is None
                assert connection.error is None
                await asyncio.sleep(0)
                assert connection.remote_address == ("127.0.0.1", server.port)
                assert connection.local_address == seen[0].remote_address
            assert connection.state is State.DISCONNECTED
            assert (connection.close_code, connection.close_reason) == (1000, "")
            assert connection.remote_address is None
            assert connection.local_address is None

    run(main())
