"""Messages both ways, and what bounds them."""

import asyncio
import zlib
from collections import OrderedDict
from typing import Any

import pytest
from asgi_servers import Journal, echo, listen, serving
from raw_peers import BINARY, CLOSE, CONTINUATION, TEXT


def test_echo(run: Any, ws: str, http: str, new_loop: Any) -> None:
    async def main() -> None:
        async with serving(Journal(echo), ws, http=http) as server, server.client() as peer:
            for opcode, payload in [
                (TEXT, b""),
                (TEXT, "wörld".encode()),
                (BINARY, b""),
                (BINARY, b"\x00" * 70_000),
                (TEXT, b"x" * 3_000_000),
            ]:
                peer.send(opcode, payload)
                received = await peer.read_frame()
                assert (received.opcode, received.payload) == (opcode, payload)

    run(main(), new_loop)


def test_what_is_received(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws) as server, server.client() as peer:
            peer.send(TEXT, b"text")
            peer.send(BINARY, b"bin", fin=False)
            peer.send(CONTINUATION, b"ary")
            peer.send_close(1000)
            await app.end()
        events = [
            {name: value for name, value in event.items() if value is not None}
            for event in app.received
        ]
        assert events == [
            {"type": "websocket.receive", "text": "text"},
            {"type": "websocket.receive", "bytes": b"binary"},
            {"type": "websocket.disconnect", "code": 1000, "reason": ""},
        ]

    run(main())


def test_what_is_sent(run: Any, ws: str) -> None:
    async def talk(receive: Any, send: Any) -> None:
        for data in (
            {"text": "text"},
            {"bytes": b"bytes", "text": None},
            {"bytes": None, "text": "text"},
            {"bytes": b"", "text": "not this"},
        ):
            await send({"type": "websocket.send", **data})
        await send(OrderedDict(type="websocket.send", text="ordered"))
        await listen(receive, send)

    async def main() -> None:
        async with serving(Journal(talk), ws) as server, server.client() as peer:
            frames = [await peer.read_frame() for _ in range(5)]
            assert [(frame.opcode, frame.payload) for frame in frames] == [
                (TEXT, b"text"),
                (BINARY, b"bytes"),
                (TEXT, b"text"),
                (BINARY, b""),
                (TEXT, b"ordered"),
            ]

    run(main())


def test_what_cannot_be_sent(run: Any) -> None:
    """It raises, nothing is sent, and the connection goes on."""

    async def talk(receive: Any, send: Any) -> None:
        for wrong in ({"bytes": "str"}, {"text": b"bytes"}, {"bytes": 7}, {"text": 7}):
            with pytest.raises(TypeError):
                await send({"type": "websocket.send", **wrong})
        with pytest.raises(ValueError, match="surrogates"):
            await send({"type": "websocket.send", "text": "\ud800"})
        with pytest.raises(RuntimeError, match="Expected ASGI message 'websocket.send'"):
            await send({"type": "websocket.accept"})
        with pytest.raises(KeyError):
            await send({})
        with pytest.raises(ValueError, match="reserved"):
            await send({"type": "websocket.close", "code": 1006})
        await send({"type": "websocket.send"})  # as with uvicorn's own
        await echo(receive, send)

    async def main() -> None:
        app = Journal(talk)
        async with serving(app, "wsfast") as server, server.client() as peer:
            peer.send(TEXT, b"alive")
            assert (await peer.read_frame()).payload == b"alive"
        assert app.failure is None

    run(main())


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("size", [10, 11, 100_000])
def test_the_largest_message(run: Any, ws: str, size: int, compressed: bool) -> None:
    if compressed and ws == "wsproto":
        pytest.skip("wsproto finds out only once it has inflated the whole of it")

    async def main() -> None:
        app = Journal(echo)
        offer = [b"Sec-WebSocket-Extensions: permessage-deflate"] if compressed else []
        payload = b"x" * size
        async with (
            serving(app, ws, ws_max_size=10) as server,
            server.client(*offer) as peer,
        ):
            if compressed:
                deflater = zlib.compressobj(wbits=-15)
                deflated = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
                peer.send(BINARY, deflated[:-4], rsv=4)
            else:
                peer.send(BINARY, payload)
            if size > 10:
                assert (await peer.read_close()).code == 1009
                assert (await app.end())["code"] == 1009
            else:
                await peer.read_frame()
                assert app.received[0]["bytes"] == payload

    run(main())


def test_the_largest_message_in_fragments(run: Any, ws: str) -> None:
    async def main() -> None:
        app = Journal()
        async with serving(app, ws, ws_max_size=2048) as server, server.client() as peer:
            peer.send(BINARY, b"x" * 1024, fin=False)
            for _ in range(60):
                peer.send(CONTINUATION, b"x" * 1024, fin=False)
            assert (await peer.read_close()).code == 1009
            assert (await app.end())["code"] == 1009

    run(main())


def test_no_bounds(run: Any) -> None:
    async def main() -> None:
        bounds: Any = {"ws_max_size": None, "ws_max_queue": 0, "ws_ping_timeout": None}
        async with serving(Journal(echo), "wsfast", **bounds) as server, server.client() as peer:
            peer.send(BINARY, b"x" * 20_000_000)
            assert len((await peer.read_frame()).payload) == 20_000_000

    run(main())


def conversation(server: Any) -> Any:
    """Ours, of the one connection that there is."""
    (protocol,) = server.server.server_state.connections
    return protocol._conversation


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_the_queue(run: Any) -> None:
    """What an application does not receive is not read any more from some point on."""

    async def main() -> None:
        go = asyncio.Event()

        async def talk(receive: Any, send: Any) -> None:
            await go.wait()
            await listen(receive, send)

        app = Journal(talk)
        async with serving(app, "wsfast", ws_max_queue=3) as server, server.client() as peer:
            for number in range(3):
                peer.send(TEXT, b"%d" % number)
                await until(lambda count=number: conversation(server)._count > count)
            await until(lambda: conversation(server)._paused)
            for number in range(3, 50):
                peer.send(TEXT, b"%d" % number)
            await peer.writer.drain()
            for _ in range(20):
                await asyncio.sleep(0)
            assert conversation(server)._count == 3
            go.set()
            peer.send_close(1000)
            await app.end()
        assert [event["text"] for event in app.received[:-1]] == [str(n) for n in range(50)]

    run(main())


def test_a_client_that_does_not_read(run: Any, ws: str) -> None:
    """Who sends waits for it."""

    async def main() -> None:
        sent = 0
        over = asyncio.Event()

        async def talk(receive: Any, send: Any) -> None:
            nonlocal sent
            while sent < 40:
                sent += 1
                await send({"type": "websocket.send", "bytes": b"x" * 1_000_000})
            over.set()
            await listen(receive, send)

        app = Journal(talk)
        async with serving(app, ws) as server, server.client() as peer:
            before = -1
            while before != sent or not sent:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < 40
            for _ in range(40):
                assert len((await peer.read_frame()).payload) == 1_000_000
            await over.wait()
            peer.send(CLOSE)
            await app.end()

    run(main())


def test_a_client_that_leaves_without_reading(run: Any, ws: str) -> None:
    async def main() -> None:
        sent = 0

        async def talk(receive: Any, send: Any) -> None:
            nonlocal sent
            while True:
                sent += 1
                await send({"type": "websocket.send", "bytes": b"x" * 1_000_000})

        app = Journal(talk)
        async with serving(app, ws) as server:
            async with server.client() as peer:
                before = -1
                while before != sent or not sent:
                    before = sent
                    await asyncio.sleep(0.05)
                peer.reset()
            await app.over.wait()
        assert isinstance(app.failure, OSError)
        assert type(app.failure).__name__ == "ClientDisconnected"

    run(main())


def test_senders_wait_in_turn(run: Any) -> None:
    """Also for one that closes the connection."""

    async def main() -> None:
        async def talk(receive: Any, send: Any) -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(30):
                    data = b"%d" % number * 500_000
                    group.create_task(send({"type": "websocket.send", "bytes": data}))
                group.create_task(send({"type": "websocket.close", "code": 4000}))
            await listen(receive, send)

        app = Journal(talk)
        async with serving(app, "wsfast") as server, server.client() as peer:
            await until(lambda: conversation(server)._waiting)
            for number in range(30):
                assert (await peer.read_frame()).payload[:2] == (b"%d" % number * 2)[:2]
            assert (await peer.read_close()).code == 4000
            peer.send_close(4000)
            assert (await app.end())["code"] == 4000

    run(main())
