"""Concurrent TLS use: threads that send and receive on one wss connection lose nothing."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import wsfast
from wsfast.protocol.errors import ConnectionClosed

SENDERS = 4
EACH = 2500


def test_sends_from_many_threads_while_receiving(open_echo: Callable[..., tuple[int, Any]]) -> None:
    number, recorder = open_echo("wss")
    failed = threading.Event()

    def send(sender: int) -> None:
        for i in range(EACH):
            if not wsfast.send(number, f"{sender} {i} " + "x" * (i * 37 % 2000)):
                failed.set()

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    messages = recorder.wait_messages(SENDERS * EACH, 60)
    for thread in threads:
        thread.join(10)
    assert not failed.is_set()
    assert len(messages) == SENDERS * EACH
    for sender in range(SENDERS):
        mine = [m for m in messages if m.startswith(f"{sender} ")]
        assert mine == [f"{sender} {i} " + "x" * (i * 37 % 2000) for i in range(EACH)]


def test_large_messages_both_ways_at_once(start_server: Any, dial: Any) -> None:
    """Both ends send at full rate without waiting for the other's messages."""
    size, count = 300_000, 60
    received: list[bytes] = []

    def handle(connection: Any) -> None:
        def send() -> None:
            for i in range(count):
                connection.send(bytes([i]) * size)

        sender = threading.Thread(target=send)
        sender.start()
        received.extend(connection.receive(30) for _ in range(count))
        sender.join(30)

    endpoint = start_server(handle, "wss")
    connection = dial(endpoint.url, **endpoint.options)

    def send() -> None:
        for i in range(count):
            connection.send(bytes([255 - i]) * size)

    sender = threading.Thread(target=send)
    sender.start()
    for i in range(count):
        assert connection.receive(30) == bytes([i]) * size
    sender.join(30)
    with pytest.raises(ConnectionClosed, match="1000"):
        connection.receive(30)
    endpoint.server.shutdown(10)
    assert received == [bytes([255 - i]) * size for i in range(count)]
