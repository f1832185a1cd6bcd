"""Ten thousand messages each way at the same time, on one connection, both ends pausing.

Sizes from 0 to 1 MiB, text and binary mixed, about 155 MB each way, the
same in every run; see interop_bulk.py.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from interop_bulk import COUNT, OPTIONS, PAUSES, TO_CLIENT, TO_SERVER, Check, Messages, Sender
from interop_process import PATIENCE

import wsfast
from wsfast.protocol.errors import ConnectionClosed, SendTimeout


class OurEnd:
    """Checks what arrives, and pauses; lets the peer go on when it has paused long enough."""

    def __init__(self, process, sends: int, receives: int) -> None:
        self._process = process
        self.messages = Messages(sends)
        self.check = Check(Messages(receives))
        self.peer_blocked: list[bool] = []
        """For each pause of ours, whether the peer's sends blocked."""

    def got(self, message: str | bytes) -> None:
        """To be called with each message, on the thread that reads."""
        self.check.got(message)
        if self.check.fault is None and self.check.count in PAUSES:
            self._process.tell(watch=True)
            self.peer_blocked.append(self._process.take(lambda line: "blocked" in line)["blocked"])

    def serve_pauses(self, sender: Sender) -> list[bool]:
        """For each pause of the peer, waits until our sends have blocked; returns if they did."""
        blocked = []
        for _ in PAUSES:
            self._process.take(lambda line: "paused" in line)
            blocked.append(sender.wait_blocked(PATIENCE))
            self._process.tell(resume=True)
        return blocked


def check_result(end: OurEnd, we_blocked: list[bool], process, close: list) -> None:
    """Everything has arrived at both ends, and each pause of either held the other's sends up."""
    assert end.check.result() == {"count": COUNT, "fault": None}
    done = process.take(lambda line: "done" in line)
    assert done["done"] == {"count": COUNT, "fault": None}
    assert done["close"] == close
    assert we_blocked == [True] * len(PAUSES)
    assert end.peer_blocked == [True] * len(PAUSES)


def run_client(process, url: str, **options: Any) -> None:
    """Our client's end, by the ID API."""
    end = OurEnd(process, TO_SERVER, TO_CLIENT)
    opened = threading.Event()
    endings = queue.Queue()
    errors: list[str] = []
    number = wsfast.connect(
        url,
        on_open=opened.set,
        on_message=end.got,
        on_error=errors.append,
        on_close=lambda *ending: (endings.put(ending), end.check.over.set()),
        **OPTIONS,
        **options,
    )
    assert opened.wait(PATIENCE), errors

    def send(message: str | bytes) -> bool:
        return wsfast.send(number, message) or not wsfast.is_connected(number)

    sender = Sender(end.messages, send)
    we_blocked = end.serve_pauses(sender)
    assert end.check.over.wait(PATIENCE)
    sender.thread.join(PATIENCE)
    assert wsfast.close(number, 1000, "all is said")
    assert endings.get(timeout=PATIENCE)[0] == 1000
    assert errors == []
    check_result(end, we_blocked, process, [1000, "all is said"])


@pytest.fixture
def tls_options(certificates, scheme: str) -> dict[str, Any]:
    return {"ssl_context": certificates.client} if scheme == "wss" else {}


def test_our_client_and_websockets(
    make_process: Callable, certificate_files, scheme: str, tls_options
) -> None:
    files = (certificate_files.server, certificate_files.authority)
    process = make_process("bulk_websockets.py", *files, "server", scheme)
    port = process.take(lambda line: "port" in line)["port"]
    run_client(process, f"{scheme}://127.0.0.1:{port}/", **tls_options)


def test_our_client_and_our_server(
    make_process: Callable, certificate_files, scheme: str, tls_options
) -> None:
    files = (certificate_files.server, certificate_files.authority)
    process = make_process("bulk_wsfast.py", *files, scheme)
    port = process.take(lambda line: "port" in line)["port"]
    run_client(process, f"{scheme}://127.0.0.1:{port}/", **tls_options)


def test_our_server_and_websockets(
    make_process: Callable, certificate_files, start: Callable, scheme: str
) -> None:
    connections, endings = queue.Queue(), queue.Queue()
    ends = queue.Queue()

    def handler(connection) -> None:
        connections.put(connection)
        end = ends.get(timeout=PATIENCE)
        try:
            while True:
                end.got(connection.receive())
        except ConnectionClosed as exc:
            endings.put((exc.code, exc.reason))

    files = (certificate_files.server, certificate_files.authority)
    url = start(handler, scheme, "127.0.0.1", **OPTIONS)
    process = make_process("bulk_websockets.py", *files, "client", url)
    end = OurEnd(process, TO_CLIENT, TO_SERVER)
    ends.put(end)
    connection = connections.get(timeout=PATIENCE)

    def send(message: str | bytes) -> bool:
        try:
            connection.send(message)
        except SendTimeout:
            return False
        return True

    sender = Sender(end.messages, send)
    we_blocked = end.serve_pauses(sender)
    assert endings.get(timeout=PATIENCE) == (1000, "all is said")
    sender.thread.join(PATIENCE)
    check_result(end, we_blocked, process, [1000, ""])
