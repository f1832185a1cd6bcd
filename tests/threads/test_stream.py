"""The bytes of a connection: plain and through TLS, however the network cuts them."""

import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wsfast.protocol.constants import State
from wsfast.protocol.errors import CertificateError, ConnectionLost, ConnectTimeout, TLSError
from wsfast.server import Connection
from wsfast.threads.stream import PlainStream, Stream, TLSStream

WAIT = 10.0


def tls_streams(
    sockets: tuple[socket.socket, socket.socket], client: ssl.SSLContext, server: ssl.SSLContext
) -> tuple[TLSStream, TLSStream]:
    """Not open yet."""
    return (
        TLSStream(sockets[0], client, peer="the server", server_hostname="localhost"),
        TLSStream(sockets[1], server, peer="a client", server_side=True),
    )


def open_both(*streams: TLSStream) -> None:
    with ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(stream.open, time.monotonic() + WAIT) for stream in streams]
        for result in opening:
            result.result()


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for sock in ends:
        sock.close()


@pytest.fixture(params=["plain", "TLS 1.2", "TLS 1.3"])
def streams(
    request: pytest.FixtureRequest, sockets: Any, certificates: Any
) -> tuple[Stream, Stream]:
    """Two open streams that are connected."""
    if request.param == "plain":
        return PlainStream(sockets[0]), PlainStream(sockets[1])
    version = ssl.TLSVersion.TLSv1_2 if request.param == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    client = ssl.create_default_context()
    certificates.authority.configure_trust(client)
    client.minimum_version = client.maximum_version = version
    pair = tls_streams(sockets, client, certificates.server)
    open_both(*pair)
    return pair


@pytest.fixture
def tls(sockets: Any, certificates: Any) -> tuple[TLSStream, TLSStream]:
    pair = tls_streams(sockets, certificates.client, certificates.server)
    open_both(*pair)
    return pair


def send_all(stream: Stream, data: bytes) -> None:
    wire = memoryview(stream.encode(data))
    while wire:
        sent = stream.send_now(wire)
        if not sent:
            stream.wait_writable()
        wire = wire[sent:]


def send_forever(stream: Stream) -> None:
    for _ in range(1000):
        stream.send_now(stream.encode(b"x" * 10_000))


def receive(stream: Stream, size: int = 65536, timeout: float = WAIT) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: stream.receive_into(buffer, time.monotonic() + timeout)])


def receive_exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = receive(stream)
        assert piece, "the end came early"
        data += piece
    return data


def fill(sock: socket.socket) -> None:
    """Sends until there is no room left."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))
    sock.setblocking(True)


# ---------------------------------------------------------------- both kinds


def test_what_goes_in_comes_out_on_the_other_side(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    for source, sink in ((one, other), (other, one)):
        send_all(source, b"x")
        send_all(source, b"yz" * 50_000)
        assert receive_exactly(sink, 100_001) == b"x" + b"yz" * 50_000


def test_a_buffer_may_be_smaller_than_what_has_arrived(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    send_all(one, bytes(range(256)))
    assert b"".join(receive(other, 7) for _ in range(37))[:256] == bytes(range(256))


def test_receiving_waits_no_longer_than_the_deadline(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    drain_tickets(one)
    for timeout in (-1, 0, 0.01):
        with pytest.raises(TimeoutError):
            receive(one, timeout=timeout)
    send_all(other, b"x")
    assert receive(one, timeout=WAIT) == b"x"


def drain_tickets(client: Stream) -> None:
    """TLS 1.3 servers send session tickets after the handshake, which are no data."""
    with contextlib.suppress(TimeoutError):
        receive(client, timeout=0.01)


def test_tickets_that_come_after_the_deadline_are_no_data(tls: tuple[TLSStream, TLSStream]) -> None:
    client, _ = tls
    client.wait_readable(time.monotonic() + WAIT)  # until the tickets have come
    with pytest.raises(TimeoutError):
        receive(client, timeout=-1)


def test_readable_tells_whether_bytes_have_arrived(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    assert not other.readable()
    send_all(one, b"x")
    assert other.readable()
    assert receive(other) == b"x"
    assert not other.readable()


def test_half_closing_is_the_end_for_the_other_side_only(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    send_all(one, b"last")
    one.send_now(one.end())
    one.half_close()
    assert receive_exactly(other, 4) == b"last"
    assert receive(other) == b""
    send_all(other, b"still open")
    assert receive_exactly(one, 10) == b"still open"


def test_a_full_network_is_no_error(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    wire = memoryview(one.encode(b"x" * 8_000_000))
    sent = 0
    while now := one.send_now(wire[sent:]):
        sent += now
    assert 0 < sent < len(wire)
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(receive_exactly, other, 8_000_000)
        while sent < len(wire):
            one.wait_writable()
            sent += one.send_now(wire[sent:])
        assert receiving.result(WAIT) == b"x" * 8_000_000


def test_a_full_network_is_no_error_without_the_flag_either(
    streams: tuple[Stream, Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a system that cannot be told not to wait with each call."""
    monkeypatch.setattr("wsfast.threads.stream._CAN_SEND_NOW", False)
    test_a_full_network_is_no_error(streams)


def test_abort_wakes_who_waits_to_read(streams: tuple[Stream, Stream]) -> None:
    one, _ = streams
    drain_tickets(one)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(one.receive_into, bytearray(10))
        one.abort()
        assert reading.result(WAIT) == 0


def test_abort_wakes_who_waits_to_write(streams: tuple[Stream, Stream]) -> None:
    one, _ = streams
    wire = memoryview(one.encode(b"x" * 8_000_000))
    while one.send_now(wire):
        pass
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(one.wait_writable)
        one.abort()
        writing.result(WAIT)
    with pytest.raises(OSError, match=".*"):
        one.send_now(b"x")


def test_a_peer_that_has_gone_is_an_error_for_who_sends(streams: tuple[Stream, Stream]) -> None:
    one, other = streams
    other.close()
    with pytest.raises(OSError, match=".*"):
        send_forever(one)


def test_closing_and_aborting_again_is_harmless(streams: tuple[Stream, Stream]) -> None:
    one, _ = streams
    one.abort()
    one.abort()
    one.close()
    one.close()
    one.abort()


# ---------------------------------------------------------------- TLS


def test_the_farewell_of_tls_is_the_end(tls: tuple[TLSStream, TLSStream]) -> None:
    client, server = tls
    send_all(client, b"last")
    assert client.send_now(client.end()) > 0
    assert receive_exactly(server, 4) == b"last"
    assert receive(server) == b""
    assert server.end()


def test_a_tls_stream_that_is_cut_off_ends(tls: tuple[TLSStream, TLSStream]) -> None:
    client, server = tls
    wire = client.encode(b"x" * 1000)
    client.send_now(wire[:500])
    client.half_close()
    assert receive(server) == b""


def test_garbage_in_a_tls_stream_is_an_error(tls: tuple[TLSStream, TLSStream]) -> None:
    client, server = tls
    client.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(OSError, match=".*"):
        receive(server)


def test_what_came_before_garbage_in_a_tls_stream_is_good(tls: tuple[TLSStream, TLSStream]) -> None:
    client, server = tls
    client.sock.sendall(client.encode(b"good") + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert receive_exactly(server, 4) == b"good"
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            receive(server)


def test_nothing_is_to_be_sent_but_what_was_encoded(tls: tuple[TLSStream, TLSStream]) -> None:
    client, _ = tls
    assert not client.has_output
    assert client.encode(b"") == b""
    assert client.encode(b"x")


def test_a_certificate_that_is_not_trusted(sockets: Any, certificates: Any) -> None:
    client, server = tls_streams(sockets, ssl.create_default_context(), certificates.server)
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(server.open, time.monotonic() + WAIT)
        with pytest.raises(CertificateError, match="TLS: the certificate of the server") as caught:
            client.open(time.monotonic() + WAIT)
        assert not caught.value.retryable
        # It was told why, by an alert.
        assert "TLS: the handshake with a client failed" in str(accepting.exception(WAIT))


def test_a_certificate_for_another_name(sockets: Any, certificates: Any) -> None:
    client, server = tls_streams(
        sockets, certificates.client, certificates.issue("elsewhere.example")
    )
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.open, time.monotonic() + WAIT)
        with pytest.raises(CertificateError, match="TLS.*localhost"):
            client.open(time.monotonic() + WAIT)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(100), b""])
def test_a_server_that_does_not_speak_tls(sockets: Any, certificates: Any, answer: bytes) -> None:
    client, _ = tls_streams(sockets, certificates.client, certificates.server)
    sockets[1].sendall(answer)
    sockets[1].shutdown(socket.SHUT_WR)
    with pytest.raises(TLSError, match="^TLS: the handshake with the server failed"):
        client.open(time.monotonic() + WAIT)


def test_a_server_that_takes_nothing(sockets: Any, certificates: Any) -> None:
    client, _ = tls_streams(sockets, certificates.client, certificates.server)
    fill(sockets[0])
    with pytest.raises(ConnectTimeout, match="timeout: the TLS handshake with the server"):
        client.open(time.monotonic() + 0.05)


def test_a_server_that_says_nothing(sockets: Any, certificates: Any) -> None:
    client, _ = tls_streams(sockets, certificates.client, certificates.server)
    with pytest.raises(ConnectTimeout, match="timeout: the TLS handshake with the server"):
        client.open(time.monotonic() + 0.02)


# ---------------------------------------------------------------- connections over TLS


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def cut_at_random(seed: int) -> Callable[[bytes], list[bytes]]:
    chance = random.Random(seed)

    def cut(data: bytes) -> list[bytes]:
        pieces = []
        while data:
            size = chance.choice([1, 5, 100, 1460, 16_384, 60_000])
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    return cut


def test_records_may_come_byte_by_byte(
    echo_server: Any, make_proxy: Any, dial: Any, scheme: str
) -> None:
    proxy = make_proxy(echo_server.server.port, to_client=one_by_one, to_server=one_by_one)
    connection = dial(f"{scheme}://localhost:{proxy.port}/", **echo_server.options)
    for message in ("x", b"", "y" * 200, b"z" * 3000):
        connection.send(message)
        assert connection.receive(WAIT) == message
    connection.finish()
    assert connection.state is State.DISCONNECTED


def test_a_mebibyte_both_ways_however_it_is_cut(
    echo_server: Any, make_proxy: Any, dial: Any, scheme: str
) -> None:
    proxy = make_proxy(
        echo_server.server.port, to_client=cut_at_random(1), to_server=cut_at_random(2)
    )
    connection = dial(f"{scheme}://localhost:{proxy.port}/", **echo_server.options)
    messages = [random.Random(i).randbytes((1 << 20) - i) for i in range(4)]
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: [connection.send(message) for message in messages])
        for message in messages:
            assert connection.receive(WAIT) == message
        sending.result(WAIT)
    connection.finish()


def test_a_connection_that_is_cut_ends_with_1006(
    echo_server: Any, make_proxy: Any, dial: Any, scheme: str
) -> None:
    """Over TLS there is no close_notify then, which the close frame that is missing tells too."""
    proxy = make_proxy(echo_server.server.port)
    connection = dial(f"{scheme}://localhost:{proxy.port}/", **echo_server.options)
    connection.send("x")
    assert connection.receive(WAIT) == "x"
    proxy.cut()
    with pytest.raises(ConnectionLost) as caught:
        connection.receive(WAIT)
    assert caught.value.code == 1006


def test_two_threads_at_once_on_one_connection(open_pair: Any, scheme: str) -> None:
    """Each end sends and receives at the same time, as fast as it can."""
    client, server = open_pair(scheme)
    count = 10_000
    sizes = [random.Random(i).randrange(2000) for i in range(count)]

    def send(connection: Connection) -> None:
        for i, size in enumerate(sizes):
            connection.send(i.to_bytes(4, "big") + bytes(size))

    def check(connection: Connection) -> None:
        for i, size in enumerate(sizes):
            message = connection.receive(WAIT)
            assert message == i.to_bytes(4, "big") + bytes(size)

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(f, end) for f in (send, check) for end in (client, server)]
        for result in work:
            result.result()
    assert threading.active_count() < 20
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.finish)
        client.finish()
