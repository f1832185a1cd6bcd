"""Opening connections: what can go wrong, and that nothing is left of it."""

import asyncio
import os
import socket
import ssl
from typing import Any

import pytest
from aio_peers import Peer, raw_server, upgrade

from wsfast import aio
from wsfast.protocol.constants import State
from wsfast.protocol.errors import (
    CertificateError,
    ConnectError,
    ConnectTimeout,
    HandshakeError,
    InvalidOption,
    InvalidURL,
    RedirectError,
    StatusError,
    TLSError,
)


async def echo(connection: aio.Connection) -> None:
    async for message in connection:
        await connection.send(message)


async def check(connection: aio.Connection) -> None:
    await connection.send("hello")
    assert await connection.receive() == "hello"


def test_await_and_async_with(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:
            opening = aio.connect(f"ws://127.0.0.1:{server.port}/")
            first = await opening
            async with opening as second, opening as third:
                for connection in (first, second, third):
                    await check(connection)
            assert second.state is third.state is State.DISCONNECTED
            await first.close()

    run(main())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"url": "http://localhost"}, InvalidURL),
        ({"url": 1}, TypeError),
        ({"read_limit": -1}, InvalidOption),
        ({"streaming": True}, InvalidOption),
        ({"read_limits": 1}, TypeError),
        ({"path": "x", "sock": socket.socket}, InvalidOption),
        ({"path": "x", "max_redirects": 1}, InvalidOption),
        ({"sock": "x", "max_redirects": 1}, InvalidOption),
        ({"path": 1}, TypeError),
        ({"sock": 1}, TypeError),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_at_the_call(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        aio.connect(**{"url": "ws://localhost", **arguments})


def test_nobody_listens(run: Any, refused_port: int) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="connection refused"):
            await aio.connect(f"ws://127.0.0.1:{refused_port}/")

    run(main())


def test_no_such_name(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "nobody is called so")

    monkeypatch.setattr("socket.getaddrinfo", fail)

    async def main() -> None:
        with pytest.raises(ConnectError, match="cannot find the address of nowhere"):
            await aio.connect("ws://nowhere/")

    run(main())


def test_a_lookup_that_hangs(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    answer = threading.Event()

    def hang(*_: Any, flags: int = 0, **__: Any) -> Any:
        if not flags:
            answer.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "nobody is called so")

    monkeypatch.setattr("socket.getaddrinfo", hang)

    async def main() -> None:
        with pytest.raises(ConnectTimeout, match="looking up"):
            await aio.connect("ws://hangs/", dial_timeout="20ms")

    run(main())
    answer.set()


def test_an_address_that_does_not_answer(run: Any, black_hole_url: str) -> None:
    async def main() -> None:
        with pytest.raises(ConnectTimeout, match="connecting to"):
            await aio.connect(black_hole_url, dial_timeout="50ms")

    run(main())


def addresses(*where: tuple[socket.AddressFamily, Any]) -> Any:
    def getaddrinfo(*_: Any, flags: int = 0, **__: Any) -> Any:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in where]

    return getaddrinfo


def test_the_first_address_that_connects_wins(
    run: Any, monkeypatch: pytest.MonkeyPatch, refused_port: int, black_hole_url: str
) -> None:
    monkeypatch.setattr("wsfast.aio.dial.ATTEMPT_DELAY", 0.02)
    black_hole = int(black_hole_url.rpartition(":")[2].rstrip("/"))

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:
            monkeypatch.setattr("socket.getaddrinfo", addresses(
                (socket.AF_INET, ("127.0.0.1", refused_port)),
                (socket.AF_INET, ("127.0.0.1", black_hole)),
                (socket.AF_INET, ("127.0.0.1", server.port)),
            ))  # fmt: skip
            async with aio.connect("ws://somewhere/", proxy=None) as connection:
                await check(connection)

    run(main())


def test_two_addresses_that_connect_at_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsfast.aio.dial.ATTEMPT_DELAY", 0)

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:
            one = (socket.AF_INET, ("127.0.0.1", server.port))
            monkeypatch.setattr("socket.getaddrinfo", addresses(one, one, one))
            async with aio.connect("ws://somewhere/", proxy=None) as connection:
                await check(connection)

    run(main())


def test_an_address_that_does_not_answer_and_one_that_refuses(
    run: Any, monkeypatch: pytest.MonkeyPatch, refused_port: int, black_hole_url: str
) -> None:
    monkeypatch.setattr("wsfast.aio.dial.ATTEMPT_DELAY", 0)
    black_hole = int(black_hole_url.rpartition(":")[2].rstrip("/"))
    where = [(socket.AF_INET, ("127.0.0.1", port)) for port in (black_hole, refused_port)]
    monkeypatch.setattr("socket.getaddrinfo", addresses(*where))

    async def main() -> None:
        with pytest.raises(ConnectTimeout):
            await aio.connect("ws://somewhere/", proxy=None, dial_timeout="50ms")

    run(main())


def test_every_address_fails(run: Any, monkeypatch: pytest.MonkeyPatch, refused_port: int) -> None:
    one = (socket.AF_INET, ("127.0.0.1", refused_port))
    monkeypatch.setattr("socket.getaddrinfo", addresses(one, one))

    async def main() -> None:
        with pytest.raises(ConnectError, match="connection refused by somewhere"):
            await aio.connect("ws://somewhere/", proxy=None)

    run(main())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", StatusError),
        (b"HTTP/1.1 200 OK\r\n\r\n", StatusError),
        (b"SSH-2.0-OpenSSH\r\n", HandshakeError),
        (b"", ConnectError),
    ],
    ids=["404", "200", "SSH", "nothing"],
)
def test_an_answer_that_is_none(run: Any, answer: bytes, error: type[ConnectError]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(answer)
        peer.writer.write_eof()
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(error):
                await aio.connect(url)

    run(main())


def test_a_connection_that_is_reset_while_opening(run: Any) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.reset()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(ConnectError, match="connection lost"):
                await aio.connect(url)

    run(main())


def test_a_connection_that_ends_as_it_opens(run: Any) -> None:
    async def handle(peer: Peer) -> None:
        await upgrade(peer, peer.close_frame(1001, b"not now"))
        await peer.answer_close()

    async def main() -> None:
        async with raw_server(handle) as url:
            async with aio.connect(url) as connection:
                assert [message async for message in connection] == []
            assert (connection.close_code, connection.close_reason) == (1001, "not now")

    run(main())


def test_redirects(run: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1") as server:

            async def handle(peer: Peer) -> None:
                await peer.reader.readuntil(b"\r\n\r\n")
                where = b"http://127.0.0.1:%d/there" % server.port
                peer.write(b"HTTP/1.1 307 There\r\nLocation: " + where + b"\r\n\r\n")
                await peer.read_to_end()

            async with raw_server(handle) as url:
                with pytest.raises(StatusError, match="307"):
                    await aio.connect(url)
                async with aio.connect(url, max_redirects=1) as connection:
                    assert connection.url is not None
                    assert connection.url.target == "/there"
                    await check(connection)

    run(main())


def test_redirects_without_end(run: Any) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HTTP/1.1 307 There\r\nLocation: /there\r\n\r\n")
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(RedirectError, match="max_redirects"):
                await aio.connect(url, max_redirects=3)

    run(main())


# ---------------------------------------------------------------- where to


def test_a_unix_socket(run: Any, tmp_path: Any) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        with pytest.raises(ConnectError):
            await aio.connect("ws://localhost/", path=path)
        async with aio.serve(echo, path=path) as server:
            assert server.port is None
            async with aio.connect("ws://localhost/chat", path=path) as connection:
                await check(connection)

    run(main())


def test_sockets_that_exist(run: Any) -> None:
    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        async with aio.serve(echo, sock=listener) as server:
            sock = socket.create_connection(("127.0.0.1", server.port))
            async with aio.connect("ws://localhost/", sock=sock) as connection:
                await check(connection)

    run(main())


def test_a_socket_pair(run: Any) -> None:
    from raw_peers import response

    async def main() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        opening = asyncio.ensure_future(aio.connect("ws://localhost/", sock=ours)._open())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(response(head))
        connection = await opening
        await connection.send("x")
        assert (await reader.readexactly(7))[0] == 0x81
        connection.abort()
        await connection.wait_closed()
        writer.close()

    run(main())


# ---------------------------------------------------------------- TLS


def test_tls(run: Any, certificates: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1", ssl_context=certificates.server) as server:
            url = f"wss://127.0.0.1:{server.port}/"
            async with aio.connect(url, ssl_context=certificates.client) as connection:
                for message in ("hello", b"x" * 1_000_000, "y" * 300_000):
                    await connection.send(message)
                    assert await connection.receive() == message
                await connection.ping()
                assert connection.remote_address == ("127.0.0.1", server.port)
            assert connection.close_code == 1000

    run(main())


def test_a_certificate_that_is_not_trusted(run: Any, certificates: Any) -> None:
    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1", ssl_context=certificates.server) as server:
            with pytest.raises(CertificateError, match="TLS"):
                await aio.connect(f"wss://127.0.0.1:{server.port}/")
            async with aio.connect(f"wss://127.0.0.1:{server.port}/", verify=False) as connection:
                await check(connection)
            for _ in range(100):
                await asyncio.sleep(0.001)
                if not server.connections:
                    break
            assert not server.connections

    run(main())


def test_a_certificate_for_another_name(run: Any, certificates: Any) -> None:
    async def main() -> None:
        context = certificates.issue("example.com")
        async with aio.serve(echo, "127.0.0.1", ssl_context=context) as server:
            url = f"wss://127.0.0.1:{server.port}/"
            with pytest.raises(CertificateError):
                await aio.connect(url, ssl_context=certificates.client)
            named = {"ssl_context": certificates.client, "server_name": "example.com"}
            async with aio.connect(url, **named) as connection:
                await check(connection)

    run(main())


def test_a_context_that_does_not_suit(run: Any) -> None:
    class Strange(ssl.SSLContext):
        def wrap_bio(self, *_: Any, **__: Any) -> Any:
            raise OSError("no keychain")

    async def main() -> None:
        context = Strange(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(TLSError, match="TLS: cannot be set up for localhost: no keychain"):
            await aio.connect("wss://localhost/", ssl_context=context)

    run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_server_without_tls(run: Any, answer: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.write(answer)
        peer.writer.write_eof()
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(TLSError):
                await aio.connect(url.replace("ws://", "wss://"))

    run(main())


def test_a_tls_server_that_hangs(run: Any) -> None:
    async def handle(peer: Peer) -> None:
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle) as url:
            with pytest.raises(ConnectTimeout):
                await aio.connect(url.replace("ws://", "wss://"), dial_timeout="50ms")

    run(main())


def test_damage_within_tls(run: Any, certificates: Any) -> None:
    async def handle(peer: Peer) -> None:
        await upgrade(peer)
        os.write(peer.writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x10" + b"x" * 16)
        await peer.read_to_end()

    async def main() -> None:
        async with raw_server(handle, ssl=certificates.server) as url:
            connection = await aio.connect(url, ssl_context=certificates.client)
            with pytest.raises(Exception, match="TLS"):
                await connection.receive()
            await connection.wait_closed()

    run(main())
