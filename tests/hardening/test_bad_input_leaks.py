"""What fails leaves nothing behind: each kind of failure fifty times, and the numbers of threads
and descriptors stay where they were."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from raw_peers import (
    TEXT,
    TIMEOUT,
    RawServer,
    RawServerPeer,
    client_peer,
    close_frame,
    frame,
    response,
)

import wsfast

REPEATS = 50
WARM = 5
"""Repetitions before counting begins: what is made once and kept is no leak."""

StartRaw = Callable[..., RawServer]
Fails = Callable[..., str]


def descriptors() -> int:
    for folder in "/proc/self/fd", "/dev/fd":
        if Path(folder).is_dir():
            return len(os.listdir(folder))
    pytest.skip("this system does not list the descriptors of a process")


def ours() -> list[threading.Thread]:
    """Threads of single connections; those that accept for a server of the test stay."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("wsfast") and not thread.name.startswith("wsfast-accept")
    ]


@pytest.fixture
def flat(
    raw_servers: list[RawServer], loop: Any
) -> Iterator[Callable[[Callable[[], object]], None]]:
    """`flat(fail)` calls it again and again, and compares."""

    def repeat(fail: Callable[[], object]) -> None:
        for _ in range(WARM):
            fail()
        settle()
        before = descriptors()
        for _ in range(REPEATS):
            fail()
        settle()
        assert descriptors() <= before

    def settle() -> None:
        deadline = time.monotonic() + TIMEOUT
        while left := ours():
            assert time.monotonic() < deadline, left
            for thread in left:
                if thread.ident is not None:  # has been started: before, it cannot be joined
                    thread.join(TIMEOUT)
        for server in raw_servers:
            server.wait_idle()
        loop.settle()

    yield repeat
    assert wsfast.list() == []


def refuse(peer: RawServerPeer) -> None:
    peer.read_head()
    peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def garbage(peer: RawServerPeer) -> None:
    peer.read_head()
    peer.send(bytes(range(256)))


def wrong_accept(peer: RawServerPeer) -> None:
    peer.send(response(peer.read_head()).replace(b"Accept: ", b"Accept: x"))


def cut_short(peer: RawServerPeer) -> None:
    peer.send(response(peer.read_head())[:50])


def reset(peer: RawServerPeer) -> None:
    peer.read_head()
    peer.reset()


def silent(peer: RawServerPeer) -> None:
    peer.read_to_end()


@pytest.mark.parametrize("serve", [refuse, garbage, wrong_accept, cut_short, reset])
def test_openings_that_fail(
    serve: Callable[[RawServerPeer], None], fails: Fails, raw_server: StartRaw, flat: Any
) -> None:
    url = raw_server(serve).url
    flat(lambda: fails(url))


@pytest.mark.parametrize("serve", [refuse, cut_short, reset])
def test_openings_that_fail_over_tls(
    serve: Callable[[RawServerPeer], None],
    fails: Fails,
    raw_server: StartRaw,
    flat: Any,
    certificates: Any,
) -> None:
    url = raw_server(serve, certificates.server).url
    flat(lambda: fails(url, ssl_context=certificates.client))


def test_refused_ports(fails: Fails, refused_port: int, flat: Any) -> None:
    flat(lambda: fails(f"ws://localhost:{refused_port}/"))


def test_names_that_nobody_has(fails: Fails, flat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def nobody(*args: Any, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            return look_up(*args, flags=flags, **options)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # A real answer may take seconds where there is no network.
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    flat(lambda: fails("ws://nobody.invalid/"))


def test_black_holes(fails: Fails, black_hole: int, flat: Any) -> None:
    flat(lambda: fails(f"ws://127.0.0.1:{black_hole}/", dial_timeout=10))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_servers_that_never_answer(
    scheme: str, fails: Fails, raw_server: StartRaw, flat: Any
) -> None:
    url = f"{scheme}://127.0.0.1:{raw_server(silent).port}/"
    flat(lambda: fails(url, dial_timeout=10))


def test_certificates_that_are_refused(fails: Fails, start_server: Any, flat: Any) -> None:
    url = start_server(print, "wss").url
    context = ssl.create_default_context()
    flat(lambda: fails(url, ssl_context=context))


def test_plain_servers_spoken_to_in_tls(fails: Fails, start_server: Any, flat: Any) -> None:
    port = start_server(print).server.port
    context = ssl.create_default_context()
    flat(lambda: fails(f"wss://localhost:{port}/", ssl_context=context))


def test_calls_that_fail_at_once(flat: Any) -> None:
    def fail() -> None:
        assert wsfast.connect("http://localhost/") == 0
        with pytest.raises(wsfast.InvalidOption):
            wsfast.connect("ws://localhost/", dial_timeout=-1)

    flat(fail)


def test_openings_that_are_given_up(
    raw_server: StartRaw, make_recorder: Any, flat: Any, black_hole: int
) -> None:
    """While connecting, during the TLS handshake, during the upgrade, or somewhere between."""
    port = raw_server(silent).port

    def give_up() -> None:
        for url in (
            f"ws://127.0.0.1:{black_hole}/",
            f"ws://127.0.0.1:{port}/",
            f"wss://127.0.0.1:{port}/",
            f"ws://localhost:{port}/",
        ):
            recorder = make_recorder()
            number = wsfast.connect(url, **recorder.callbacks)
            assert wsfast.close(number)
            code, reason = recorder.wait_closed()
            assert code == 1006
            assert recorder.log == [("close", code, reason)]
            assert wsfast.get_state(number) == "disconnected"

    flat(give_up)


def violate(peer: RawServerPeer) -> None:
    peer.upgrade()
    peer.send(frame(TEXT, b"\xff"))
    peer.read_close()


def vanish(peer: RawServerPeer) -> None:
    peer.upgrade()


def reset_later(peer: RawServerPeer) -> None:
    peer.upgrade()
    peer.reset()


def close(peer: RawServerPeer) -> None:
    peer.upgrade()
    peer.send(close_frame(1000))
    peer.read_close()


@pytest.mark.parametrize("serve", [violate, vanish, reset_later, close])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_connections_that_end(
    serve: Callable[[RawServerPeer], None],
    scheme: str,
    raw_server: StartRaw,
    make_recorder: Any,
    flat: Any,
    certificates: Any,
) -> None:
    secure = scheme == "wss"
    url = raw_server(serve, certificates.server if secure else None).url
    options = {"ssl_context": certificates.client} if secure else {}

    def run() -> None:
        recorder = make_recorder()
        wsfast.connect(url, **recorder.callbacks, **options)
        recorder.wait_closed()

    flat(run)


def test_clients_that_fail(start_server: Any, certificates: Any, flat: Any) -> None:
    """And the server's side of it."""
    plain = start_server(lambda connection: list(connection)).server.port
    secure = start_server(lambda connection: list(connection), "wss").server.port

    def fail() -> None:
        socket.create_connection(("127.0.0.1", plain), TIMEOUT).close()
        socket.create_connection(("127.0.0.1", secure), TIMEOUT).close()
        with client_peer(plain) as peer:
            peer.send(bytes(range(256)) + b"\r\n\r\n")
            peer.read_to_end()
        with client_peer(plain) as peer:
            peer.open()
            peer.send(b"\xff" * 10)
            peer.read_close()
        with client_peer(plain) as peer:
            peer.open()
            peer.reset()
        with client_peer(secure) as peer:
            peer.send(b"GET / HTTP/1.1\r\n\r\n")
            peer.read_to_end()
        # The last ones: once they are answered, all before them have been accepted.
        for port, context in (plain, None), (secure, certificates.client):
            with client_peer(port, context) as peer:
                peer.open()

    flat(fail)


def test_servers_that_are_shut_down(start_server: Any, flat: Any) -> None:
    def run() -> None:
        endpoint = start_server(lambda connection: list(connection))
        with client_peer(endpoint.server.port) as peer:
            peer.open()
            peer.send(frame(TEXT, b"x", key=b"abcd") + close_frame(1000, key=b"abcd"))
            peer.read_close()
        endpoint.server.shutdown(TIMEOUT)

    flat(run)
