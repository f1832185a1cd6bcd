"""Upgrade smuggling: after 101 every byte is a frame's; after a refusal none is a request's."""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import (
    BINARY,
    KEY,
    TEXT,
    RawServer,
    RawServerPeer,
    client_peer,
    close_frame,
    frame,
    response,
    status_lines,
)

import wsfast

SECOND = (
    b"GET /second HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_frames_in_the_packet_of_the_answer(
    raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    def serve(peer: RawServerPeer) -> None:
        head = response(peer.read_head())
        peer.send(head + frame(TEXT, b"one") + frame(BINARY, b"two") + close_frame(1000, b"bye"))
        peer.read_close()

    wsfast.connect(raw_server(serve).url, **recorder.callbacks)
    assert recorder.wait_closed() == (1000, "bye")
    assert recorder.log[:3] == [("open",), ("message", "one"), ("message", b"two")]


def test_an_answer_and_frames_in_any_two_packets(
    raw_server: Callable[..., RawServer], make_recorder: Any
) -> None:
    after = frame(TEXT, b"one") + frame(BINARY, b"two") + close_frame(1000, b"bye")
    for size in range(0, len(after) + 1, 3):

        def serve(peer: RawServerPeer, size: int = size) -> None:
            head = peer.read_head()
            peer.send(response(head) + after[:size])
            peer.send(after[size:])
            peer.read_close()

        recorder = make_recorder()
        wsfast.connect(raw_server(serve).url, **recorder.callbacks)
        assert recorder.wait_closed() == (1000, "bye")
        assert recorder.messages == ["one", b"two"]


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\r\n", b"<html>"]
)
def test_http_after_the_upgrade_is_a_bad_frame(
    data: bytes, raw_server: Callable[..., RawServer], recorder: Any
) -> None:
    def serve(peer: RawServerPeer) -> int:
        head = peer.read_head()
        peer.send(response(head) + data)
        return peer.read_close().code

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks)
    assert server.result() == 1002
    assert recorder.wait_closed()[0] == 1002
    assert recorder.log[0] == ("open",)


def test_frames_after_another_status_are_no_messages(
    fails: Callable[..., str], raw_server: Callable[..., RawServer]
) -> None:
    def serve(peer: RawServerPeer) -> None:
        head = peer.read_head()
        refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        peer.send(refusal + response(head) + frame(TEXT, b"one"))

    assert "403" in fails(raw_server(serve).url)


def test_a_second_answer_does_not_mend_the_first(
    fails: Callable[..., str], raw_server: Callable[..., RawServer]
) -> None:
    def serve(peer: RawServerPeer) -> None:
        right = response(peer.read_head())
        peer.send(right.replace(b"Upgrade: websocket", b"Upgrade: nothing") + right)

    assert "Upgrade" in fails(raw_server(serve).url)


@pytest.mark.parametrize("left_out", [b"Upgrade", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"])
def test_a_request_after_a_refusal_is_not_read(left_out: bytes, start_server: Any) -> None:
    called: list[Any] = []
    endpoint = start_server(called.append)
    with client_peer(endpoint.server.port) as peer:
        peer.ask(without=(left_out,))
        peer.send(SECOND + frame(TEXT, b"hello", key=KEY))
        everything = peer.read_to_end()
    assert status_lines(everything) == 1
    assert everything.startswith(b"HTTP/1.1 4")
    endpoint.server.shutdown(10)
    assert called == []


def test_a_request_in_the_body_of_a_refused_one(start_server: Any) -> None:
    called: list[Any] = []
    endpoint = start_server(called.append)
    with client_peer(endpoint.server.port) as peer:
        peer.ask(b"Content-Length: %d" % len(SECOND))
        peer.send(SECOND)
        everything = peer.read_to_end()
    assert status_lines(everything) == 1
    assert everything.startswith(b"HTTP/1.1 400")
    endpoint.server.shutdown(10)
    assert called == []


def test_a_request_after_the_upgrade_is_a_bad_frame(start_server: Any) -> None:
    called: list[Any] = []

    def handle(connection: Any) -> None:
        called.append(connection.request.path)
        list(connection)

    endpoint = start_server(handle)
    with client_peer(endpoint.server.port) as peer:
        peer.ask(line=b"GET /first HTTP/1.1")
        peer.send(SECOND)
        assert peer.status() == 101
        assert peer.read_close().code == 1002
        assert b"HTTP" not in peer.read_to_end()
    endpoint.server.shutdown(10)
    assert called == ["/first"]


def test_frames_in_the_packet_of_a_request(start_server: Any) -> None:
    """A client that does not wait for the answer; its frames are not lost."""
    endpoint = start_server(lambda connection: [connection.send(m) for m in connection])
    with client_peer(endpoint.server.port) as peer:
        peer.send(SECOND + frame(TEXT, b"hello", key=KEY) + close_frame(1000, key=KEY))
        assert peer.status() == 101
        assert peer.read_frame().payload == b"hello"
        assert peer.read_close().code == 1000
