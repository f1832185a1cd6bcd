"""What the system refuses: no thread, no descriptor, no address, no memory; and bugs of ours."""

import errno
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, cast

import pytest
from raw_peers import client_peer

import wsfast
from wsfast.protocol.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ProtocolError,
    TLSError,
)
from wsfast.server import Connection, serve
from wsfast.threads import server as server_module
from wsfast.threads._receiver import Receiver
from wsfast.threads.client import Dial
from wsfast.threads.dial import Cancel, connect_tcp

WAIT = 10.0

limits = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


def echo(connection: Connection) -> None:
    for message in connection:
        connection.send(message)


@contextmanager
def no_thread(name: str) -> Iterator[None]:
    """The system has none left for those whose name begins so."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(name):
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


@contextmanager
def descriptors(left: int) -> Iterator[None]:
    """The process may open that many more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        taken = [os.dup(0)]
        stack.callback(lambda: list(map(os.close, taken)))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/dev/fd"))) + 10, hard)
        )
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(left):
            os.close(taken.pop())
        yield


class Records(logging.Handler):
    """Waits for what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._texts.append(record.getMessage())
            self._changed.notify_all()

    def wait(self, text: str, times: int = 1) -> None:
        def seen() -> bool:
            return sum(text in message for message in self._texts) >= times

        with self._changed:
            assert self._changed.wait_for(seen, WAIT), self._texts


@pytest.fixture
def logged() -> Iterator[Records]:
    records = Records()
    logging.getLogger("wsfast").addHandler(records)
    yield records
    logging.getLogger("wsfast").removeHandler(records)


# ---------------------------------------------------------------- clients


def test_no_thread_for_an_id(refused_port: int, recorder: Any) -> None:
    with no_thread("wsfast-"):
        assert wsfast.connect(f"ws://127.0.0.1:{refused_port}/", **recorder.callbacks) == 0
    ((kind, text),) = recorder.log
    assert kind == "error"
    assert text.startswith("cannot start a thread for the connection: ")
    assert wsfast.list() == []


@limits
@pytest.mark.parametrize("left", range(4))
def test_too_few_descriptors_for_a_client(left: int, dial: Any, refused_port: int) -> None:
    """It needs one for the selector, two to be cancelled, one for the connection."""
    url = f"ws://127.0.0.1:{refused_port}/"
    with pytest.raises(ConnectError, match="connection refused"):
        dial(url)  # and all modules are imported that this takes
    with descriptors(left), pytest.raises(ConnectError, match="too many open files"):
        dial(url)


def test_no_thread_to_look_a_name_up(dial: Any) -> None:
    with no_thread("wsfast-resolve"), pytest.raises(ConnectError, match="cannot look up name.inv"):
        dial("ws://name.invalid/")


def test_a_bug_of_ours_is_told_to_the_callbacks(
    recorder: Any, monkeypatch: pytest.MonkeyPatch, refused_port: int, logged: Records
) -> None:
    def broken(dial: Dial) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Dial, "open", broken)
    number = wsfast.connect(f"ws://127.0.0.1:{refused_port}/", **recorder.callbacks)
    text = "internal error: ZeroDivisionError('a bug')"
    assert recorder.wait_closed() == (1006, text)
    assert recorder.errors == [text]
    assert wsfast.get_state(number) == "error"
    logged.wait(f"connection {number} failed")


def test_a_context_that_cannot_be_used(echo_server: Any, dial: Any) -> None:
    class Broken(ssl.SSLContext):
        def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
            raise ssl.SSLError("no keychain")

    url = echo_server.url.replace("ws:", "wss:")
    with pytest.raises(TLSError, match="TLS: cannot be set up for localhost:.*no keychain"):
        dial(url, ssl_context=Broken(ssl.PROTOCOL_TLS_CLIENT))


def test_no_memory_for_what_arrives(open_pair: Any) -> None:
    client, server = open_pair()

    class NoneLeft:
        def receive_into(self, buffer: memoryview, deadline: float | None) -> int:
            raise MemoryError

    reader: Any = client._reader
    reader.receiver = Receiver(
        client._protocol.decoder, client.sender, -1, None, cast("Any", NoneLeft())
    )
    with pytest.raises(ProtocolError, match="out of memory"):
        client.receive(WAIT)
    assert client.close_code == 1011
    reader.receiver = None
    with pytest.raises(ConnectionClosed) as caught:
        server.receive(WAIT)
    assert caught.value.code == 1011


def test_the_address_of_a_peer_that_has_reset_the_connection(dial_raw: Any) -> None:
    connection, peer = dial_raw()
    assert connection.remote_address == peer.sock.getsockname()
    peer.reset()
    connection._stream.wait_readable(None)
    assert connection.remote_address is None


def test_an_address_may_connect_at_once(
    start_server: Callable[..., Any], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As loopback does on some systems."""

    def connect_ex(sock: socket.socket, address: Any) -> int:
        sock.setblocking(True)
        sock.connect(address)
        sock.setblocking(False)
        return 0

    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    connection = dial(start_server(echo).url)
    assert connection._stream.sock.getblocking()
    connection.send("x")
    assert connection.receive(WAIT) == "x"
    connection.finish()


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (errno.ETIMEDOUT, ConnectTimeout, "timeout: 127.0.0.1 port 1 does not answer"),
        (errno.ENETUNREACH, ConnectError, "cannot connect to 127.0.0.1 port 1: network is unr"),
    ],
)
def test_the_systems_own_reasons(
    code: int, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: code)
    with pytest.raises(error, match=says):
        connect_tcp("127.0.0.1", 1, None, Cancel())


# ---------------------------------------------------------------- servers


def test_no_thread_for_a_server() -> None:
    with no_thread("wsfast-accept"), pytest.raises(RuntimeError, match="can't start new thread"):
        serve(echo, "localhost")


def test_no_thread_for_a_client_of_the_server(
    start_server: Callable[..., Any], logged: Records
) -> None:
    server = start_server(echo).server
    with no_thread("wsfast-serve"), client_peer(server.port) as peer:
        assert peer.read_to_end() == b""
    logged.wait("cannot serve a connection: can't start new thread")
    assert server.connections == []
    with client_peer(server.port) as peer:
        peer.open()


def test_a_client_that_is_gone_before_it_is_accepted(
    start_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux hands such a connection out, other systems raise."""
    accept, gone = socket.socket.accept, [True]

    def accept_later(sock: socket.socket) -> Any:
        if gone:
            gone.pop()
            raise ConnectionAbortedError(errno.ECONNABORTED, "software caused connection abort")
        return accept(sock)

    monkeypatch.setattr(socket.socket, "accept", accept_later)
    with client_peer(start_server(echo).server.port) as peer:
        peer.open()
    assert gone == []


@limits
def test_no_descriptor_left(start_server: Callable[..., Any], logged: Records) -> None:
    """The server tries again, a few times a second, until there is one."""
    server = start_server(echo).server
    with socket.socket() as client:
        with descriptors(0):
            client.connect(("127.0.0.1", server.port))
            logged.wait("cannot accept a connection: ", times=2)
        client.settimeout(WAIT)
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


@limits
@pytest.mark.parametrize("left", range(4))
def test_too_few_descriptors_for_a_server(left: int) -> None:
    """It needs one to listen, one for the selector, two to be woken; what it got is closed."""
    with descriptors(left), pytest.raises(OSError, match="Too many open files"):
        serve(echo, "127.0.0.1")


def test_waiting_for_the_end_may_take_many_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, where Ctrl-C does not end a wait."""
    monkeypatch.setattr(server_module, "_HEARTBEAT", 0.001)
    server = serve(echo, "localhost")
    waits: list[float | None] = []
    wait = server._closed.wait

    def wait_and_shut_down(timeout: float | None = None) -> bool:
        waits.append(timeout)
        if len(waits) == 3:
            server.shutdown()
        return wait(timeout)

    monkeypatch.setattr(server._closed, "wait", wait_and_shut_down)
    server.serve_forever()
    assert waits == [0.001] * 3


class Listening:
    """Stands in for `socket.create_server`: the system refuses some addresses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._create_server = socket.create_server
        monkeypatch.setattr(socket, "create_server", self._create)
        self.refused: dict[int, int] = {}
        """An error for a family of addresses."""
        self.taken = 0
        """How often the port of the first address is taken on the second by somebody else."""

    def _create(self, address: Any, *, family: int, backlog: int) -> socket.socket:
        if family in self.refused:
            raise OSError(self.refused[family], "refused by the test")
        if address[1] != 0 and self.taken:
            self.taken -= 1
            with self._create_server(address, family=family):
                return self._create_server(address, family=family)
        return self._create_server(address, family=family, backlog=backlog)


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    return Listening(monkeypatch)


def test_a_free_port_may_be_taken_on_the_other_address(listening: Listening) -> None:
    listening.taken = 3
    with serve(echo, None) as server:
        assert listening.taken == 0
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.connect((address, server.port))


def test_no_port_that_is_free_on_all_addresses(listening: Listening) -> None:
    listening.taken = 1000
    with pytest.raises(OSError, match="no port is free on all addresses of None"):
        serve(echo, None)


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_system_without_ipv6(code: int, listening: Listening, dial: Any) -> None:
    listening.refused = {socket.AF_INET6: code}
    with serve(echo, None) as server:
        dial(f"ws://127.0.0.1:{server.port}/").finish()


def test_no_address_that_can_be_listened_on(listening: Listening) -> None:
    listening.refused = dict.fromkeys((socket.AF_INET, socket.AF_INET6), errno.EADDRNOTAVAIL)
    with pytest.raises(OSError, match="none of the addresses can be listened on"):
        serve(echo, None)
