"""What an application has to say while a server's connection is being opened."""

import asyncio
from typing import Any

import pytest
from aio_peers import request

from wsfast import aio
from wsfast.aio import Refusal
from wsfast.protocol.errors import ConnectError, InvalidOption, StatusError
from wsfast.protocol.handshake import Request, Response


async def echo(connection: aio.Connection) -> None:
    async for message in connection:
        await connection.send(message)


def url_of(server: aio.Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def asynchronous(hook: Any) -> Any:
    async def wrapped(*args: Any) -> Any:
        await asyncio.sleep(0)
        return hook(*args)

    return wrapped


@pytest.fixture(params=["function", "coroutine function"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Makes a hook of a function."""
    return (lambda hook: hook) if request.param == "function" else asynchronous


def test_a_request_that_passes(run: Any, kind: Any) -> None:
    seen: list[Any] = []

    def look(connection: aio.Connection, request: Request) -> None:
        assert connection.request is request
        seen.append(request.path)

    async def main() -> None:
        async with (
            aio.serve(echo, "127.0.0.1", process_request=kind(look)) as server,
            aio.connect(url_of(server) + "there") as connection,
        ):
            await connection.send("x")
            assert await connection.receive() == "x"

    run(main())
    assert seen == ["/there"]


@pytest.mark.parametrize("raising", [False, True])
def test_a_request_that_is_refused(run: Any, kind: Any, raising: bool) -> None:
    def refuse(connection: aio.Connection, request: Request) -> Refusal:
        refusal = Refusal(401, "Who are you?", {"WWW-Authenticate": "Bearer"})
        if raising:
            raise refusal
        return refusal

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1", process_request=kind(refuse)) as server:
            with pytest.raises(StatusError) as caught:
                await aio.connect(url_of(server))
            assert caught.value.status == 401
            assert caught.value.headers["WWW-Authenticate"] == "Bearer"
            await until(lambda: not server.connections)

    run(main())


@pytest.mark.parametrize("returned", ["fail", 1, "wrong header"])
def test_a_hook_that_fails(
    run: Any, kind: Any, returned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def process_request(connection: aio.Connection, request: Request) -> Any:
        if returned == "fail":
            raise KeyError("oops")
        return 1 if returned == 1 else None

    def process_response(connection: aio.Connection, response: Response) -> Any:
        return {"X-Bad": "a\r\nb"}

    async def main() -> None:
        hooks: Any = {"process_request": kind(process_request)}
        if returned == "wrong header":
            hooks = {"process_response": kind(process_response)}
        async with aio.serve(echo, "127.0.0.1", **hooks) as server:
            with pytest.raises(StatusError) as caught:
                await aio.connect(url_of(server))
            assert caught.value.status == 500

    run(main())
    assert "a hook failed" in caplog.text


def test_the_response(run: Any, kind: Any) -> None:
    def add(connection: aio.Connection, response: Response) -> dict[str, str]:
        assert response.status == 101
        assert response.headers["Upgrade"] == "websocket"
        assert response.headers["Sec-WebSocket-Protocol"] == "chat"
        assert response.headers["Server"] == "ours"
        return {"Set-Cookie": "a=b"}

    async def main() -> None:
        options: Any = {"protocols": ["chat"], "server_header": "ours"}
        async with (
            aio.serve(echo, "127.0.0.1", process_response=kind(add), **options) as server,
            aio.connect(url_of(server), protocols=["chat"]) as connection,
        ):
            assert connection.response is not None
            assert connection.response.headers["Set-Cookie"] == "a=b"
            assert connection.subprotocol == "chat"

    run(main())


def test_a_request_that_is_not_judged_in_time(run: Any) -> None:
    cancelled: list[bool] = []

    async def hang(connection: aio.Connection, request: Request) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async def main() -> None:
        options: Any = {"dial_timeout": "30ms"}
        async with aio.serve(echo, "127.0.0.1", process_request=hang, **options) as server:
            with pytest.raises(ConnectError):
                await aio.connect(url_of(server))
            await until(lambda: cancelled)

    run(main())


def test_a_client_that_does_not_wait_for_the_answer(run: Any) -> None:
    async def main() -> None:
        judging, go = asyncio.Event(), asyncio.Event()

        async def wait(connection: aio.Connection, request: Request) -> None:
            judging.set()
            await go.wait()

        async with aio.serve(echo, "127.0.0.1", process_request=wait) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            await judging.wait()
            writer.write(b"\x81\x81\0\0\0\0x")  # a frame that comes before it may
            await asyncio.sleep(0.005)
            go.set()
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(3) == b"\x81\x01x"
            writer.transport.abort()
            await until(lambda: not server.connections)

    run(main())


def test_shutdown_while_a_request_is_judged(run: Any) -> None:
    async def main() -> None:
        judging = asyncio.Event()

        async def wait(connection: aio.Connection, request: Request) -> None:
            judging.set()
            await asyncio.Event().wait()

        server = await aio.serve(echo, "127.0.0.1", process_request=wait)
        opening = asyncio.ensure_future(aio.connect(url_of(server))._open())
        await judging.wait()
        await server.shutdown()
        with pytest.raises(ConnectError):
            await opening

    run(main())


def test_what_is_no_hook() -> None:
    for name in ("process_request", "process_response"):
        with pytest.raises(TypeError, match=name):
            aio.serve(echo, **{name: 1})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((200,), InvalidOption),
        ((600,), InvalidOption),
        (("404",), TypeError),
        ((True,), TypeError),
        ((404, b"text"), TypeError),
        ((404, "text", {"A": "\r\n"}), InvalidOption),
        ((404, "text", {"Content-Length": "1"}), InvalidOption),
    ],
)
def test_what_is_no_refusal(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Refusal(*arguments)


def test_early_frames_without_end(run: Any) -> None:
    async def main() -> None:
        judging = asyncio.Event()

        async def wait(connection: aio.Connection, request: Request) -> None:
            judging.set()
            await asyncio.Event().wait()

        async with aio.serve(echo, "127.0.0.1", process_request=wait) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request())
            await judging.wait()
            writer.write(b"x" * 100_000)
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
            writer.transport.abort()
            await until(lambda: not server.connections)

    run(main())
