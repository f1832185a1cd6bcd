"""Connections between one role of wsfast and raw ends that this process holds."""

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

from raw_peers import TIMEOUT
from soak_processes import Pair
from soak_raw import End

SLACK = 10.0
"""Seconds beyond its deadlines that a connection may take on a machine that has other work."""

BATCH = 20
"""Connections at a time."""

Outcome = dict[str, Any]


class Scene:
    """One role of wsfast, with or without TLS, against raw ends."""

    def __init__(self, pair: Pair, role: str, *, secure: bool, source: random.Random) -> None:
        self.pair = pair
        self.role = role
        self.secure = secure
        self.random = source
        self.worker = pair.client if role == "client" else pair.server
        certificates = pair.certificates
        context = certificates.server if role == "client" else certificates.client
        self._context = context if secure else None
        self._port = 0

    def __str__(self) -> str:
        return f"{self.role} {'wss' if self.secure else 'ws'}"

    def open(
        self,
        first: int,
        size: int,
        plan: dict[str, Any],
        options: dict[str, Any],
        budget: Callable[[int], int | None] = lambda number: None,
    ) -> list[End]:
        """The raw ends of connections that have not been upgraded yet, numbered from `first`,
        which is above 0. `budget` says after how many bytes each is to stop."""
        connect = self._called if self.role == "client" else self._call
        return [
            End(
                sock,
                number,
                self._context,
                server_side=self.role == "client",
                budget=budget(number),
            )
            for number, sock in enumerate(connect(first, size, plan, options), first)
        ]

    def _called(self, first: int, size: int, plan: Any, options: Any) -> list[socket.socket]:
        with contextlib.ExitStack() as stack:
            # Each has a port of its own, so that it is known which connection is which.
            listeners = [
                stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(size)
            ]
            scheme = "wss" if self.secure else "ws"
            urls = [f"{scheme}://127.0.0.1:{one.getsockname()[1]}/" for one in listeners]
            self.worker.ask("open", first=first, urls=urls, plan=plan, options=options)
            for listener in listeners:
                listener.settimeout(TIMEOUT)
            return [listener.accept()[0] for listener in listeners]

    def _call(self, first: int, size: int, plan: Any, options: Any) -> list[socket.socket]:
        self._port = self.worker.ask("serve", plan=plan, options=options, secure=self.secure)
        return [self._connect() for _ in range(size)]

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), TIMEOUT)

    def outcomes(self) -> dict[int, Outcome]:
        """How the application's ends went, by number; what a server never saw is not among it."""
        if self.role == "client":
            found = self.worker.ask("closed")
        else:
            # Connections are accepted in order: after this one, all have been.
            last = End(self._connect(), 0, self._context, server_side=False)
            last.open()
            assert last.receive() is None
            last.close(1000)
            last.leave()
            found = self.worker.ask("served")
            self.worker.ask("shut_down")
        for outcome in found:
            assert not outcome["wrong"], (str(self), outcome)
        return {outcome["number"]: outcome for outcome in found}


def scenes(pair: Pair, cycles: int, source: random.Random) -> Iterator[tuple[Scene, int, int, int]]:
    """Batches of cycles, `cycles` in all for each role: scene, first number, size, and which of
    its kind the batch is, from 0."""
    size = min(BATCH, max(1, cycles // 8))
    first, turn = 1, 0
    pair.rest()
    if size == BATCH:
        pair.client.ask("end_some")
    while first <= cycles:
        count = min(size, cycles + 1 - first)
        for role in ("client", "server"):
            yield Scene(pair, role, secure=turn % 2 == 1, source=source), first, count, turn // 2
        first += count
        turn += 1
