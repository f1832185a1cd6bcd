"""One of the processes under test: uses wsfast as it is told, one command after the other.

A command is a line of JSON on standard input, its answer a line on standard output.
"""

import ctypes
import faulthandler
import json
import logging
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from soak_load import STREAMS, call, give_up, greet, in_parallel, stream
from soak_plays import PATIENCE, ByID, Client, Gate, Plan, Receiving, open_client

from wsfast.api import ENDED_KEPT
from wsfast.server import Connection, Server, serve
from wsfast.threads import reader

_malloc_trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)

CALLERS = 8
"""Connections at a time."""

STREAMERS = 3
"""Of those that carry messages in bulk."""


class Worker:
    """Its methods are the commands."""

    def __init__(self) -> None:
        self._client: dict[str, Any] = {}
        self._server: dict[str, Any] = {}
        self._servers: list[Server] = []
        self._gate = Gate()
        self._clients: list[Client | ByID] = []
        self._served: list[Receiving] = []

    def trust(self, authority: str, certificate: str) -> None:
        """The files for TLS."""
        self._client["ssl_context"] = ssl.create_default_context(cafile=authority)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._server["ssl_context"] = context

    def stand_in(self, seconds: float) -> None:
        """After how long a stand-in reads for an application that does not."""
        reader.STAND_IN = reader.ANSWER = seconds

    def rest(self) -> None:
        """Waits until no thread of a connection is left, and gives the system what is free."""
        while left := [t for t in threading.enumerate() if _of_connection(t)]:
            left[0].join(PATIENCE)
            assert not left[0].is_alive(), left[0].name
        if _malloc_trim is not None:
            # What the heap keeps for later depends on who allocated what when. A leak does not.
            _malloc_trim(0)

    # ------------------------------------------------------------ server

    def serve_load(self, what: str, options: dict[str, Any]) -> list[str]:
        """Starts a server for ws and one for wss; returns their URLs."""
        handler = {"greet": greet, "stream": stream}[what]
        self._serve(handler, options)
        self._serve(handler, options | self._server)
        return [
            f"{scheme}://127.0.0.1:{server.port}/"
            for scheme, server in zip(("ws", "wss"), self._servers, strict=True)
        ]

    def serve(self, plan: dict[str, Any], options: dict[str, Any], *, secure: bool) -> int:
        """Starts a server that does what the plan says; returns its port."""
        self._gate = Gate()
        self._served = []
        how = Plan(**plan)

        def handle(connection: Connection) -> None:
            assert connection.request is not None
            number = int(connection.request.path[1:])
            if number:
                one = Receiving(number, how, self._gate)
                self._served.append(one)
                one.use(connection)

        return self._serve(handle, options | (self._server if secure else {})).port

    def _serve(self, handler: Callable[[Connection], None], options: dict[str, Any]) -> Server:
        self._servers.append(serve(handler, "127.0.0.1", 0, **options))
        return self._servers[-1]

    def served(self) -> list[dict[str, Any]]:
        """How the connections to the server went, once all are over."""
        self.rest()
        served, self._served = self._served, []
        return [one.outcome for one in served]

    def shut_down(self) -> None:
        """Ends all servers."""
        for server in self._servers:
            server.shutdown(PATIENCE)
        self._servers = []

    # ------------------------------------------------------------ client

    def call(self, urls: list[str], first: int, count: int, options: dict[str, Any]) -> int:
        """Connects and closes so many times; returns how many it took."""

        def one(i: int) -> int:
            kind, secure = i % 6, i // 6 % 10 == 0
            url = urls[secure]
            how = options | (self._client if secure else {})
            if i % 100 == 99:
                give_up(url, how)
            return call(url, kind, how)

        return in_parallel(one, first, count, CALLERS)

    def stream(
        self, urls: list[str], first: int, streams: int, count: int, options: dict[str, Any]
    ) -> int:
        """Runs so many streams of `count` messages; returns how many messages were checked."""

        def one(i: int) -> int:
            secure = i // len(STREAMS) % 4 == 0
            how = options | (self._client if secure else {})
            return STREAMS[i % len(STREAMS)](urls[secure], count, how)

        return in_parallel(one, first, streams, STREAMERS)

    def open(
        self, first: int, urls: list[str], plan: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Begins to open one connection to each URL."""
        self._gate = Gate()
        how = Plan(**plan)
        self._clients = []
        for number, url in enumerate(urls, first):
            wanted = options | (self._client if url.startswith("wss") else {})
            self._clients.append(open_client(url, number, how, self._gate, wanted))

    def end_some(self) -> None:
        """Ends as many ids as are remembered: up to then, remembering takes more and more."""
        with socket.socket() as nobody_listens:
            nobody_listens.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{nobody_listens.getsockname()[1]}/"
            in_parallel(lambda i: give_up(url, {}), 0, ENDED_KEPT, CALLERS)

    def closed(self) -> list[dict[str, Any]]:
        """How these went, once all are over."""
        clients, self._clients = self._clients, []
        for client in clients:
            client.wait()
        return [client.outcome for client in clients]

    # ------------------------------------------------------------ both

    def said(self, count: int) -> None:
        """Waits until so many applications have said all that they had to say."""
        self._gate.wait_said(count)

    def release(self) -> None:
        """Lets slow applications receive."""
        self._gate.release()


def _of_connection(thread: threading.Thread) -> bool:
    return thread.name.startswith("wsfast") and thread.name != "wsfast-accept"


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.getLogger("wsfast").setLevel(logging.CRITICAL)  # peers misbehave all the time
    worker = Worker()
    for line in sys.stdin:
        how = json.loads(line)
        try:
            answer = {"result": getattr(worker, how.pop("command"))(**how)}
        except Exception:  # noqa: BLE001 - whoever asked has to know, whatever it is
            answer = {"failed": traceback.format_exc()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
