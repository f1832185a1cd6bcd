"""A connection between one end of ours and a peer that answers it, with all that can be seen of it:
what our end says, what the peer reports, and what has passed on the wire."""

import contextlib
import queue
from dataclasses import dataclass, field
from typing import Any

import aio_bridge
from interop_common import Compression, Message, digest
from interop_process import PATIENCE, Peer, tokens
from interop_tap import Tap, messages

from wsfast.protocol.errors import ConnectionClosed
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection, Server, serve
from wsfast.threads.client import connect

OTHER = {"client": "server", "server": "client"}


@dataclass
class Link:
    """What `Linker` makes. `role` is the role of our end; the peer answers in one of its ways."""

    connection: Connection | aio_bridge.Connection
    peer: Peer
    role: str
    tap: Tap
    token: str
    server: Server | aio_bridge.Server | None = None
    sent: list[Message] = field(default_factory=list)

    def exchange(self, *given: Message) -> None:
        """Sends all of it, and receives the answers."""
        for message in given:
            self.connection.send(message)
            self.sent.append(message)
        for number, message in enumerate(given):
            assert self.connection.receive(PATIENCE) == message, f"message {number}"

    def close(self, code: int = 1000, reason: str = "") -> dict[str, Any]:
        """Closes it; the peer's report, which agrees on all that was sent."""
        self.connection.close(code, reason)
        report = self.ended()
        assert report["close"] == [code, reason]
        assert report["received"] == [digest(message) for message in self.sent]
        return report

    def ended(self) -> dict[str, Any]:
        """Waits for the end at both ends, which is clean; the peer's report."""
        with contextlib.suppress(ConnectionClosed):
            late = self.connection.receive(PATIENCE)
            raise AssertionError(f"a message too many: {late!r:.99}")
        assert self.connection.wait_ended(PATIENCE)
        assert self.connection.error is None
        report = self.peer.report(self.token)
        self.let_go()
        return report

    def let_go(self) -> None:
        """Ends what is left of it."""
        self.connection.close(1000, "the test is over")
        if self.server is not None:
            self.server.shutdown(timeout=5)
        self.tap.wait()

    def our_messages(self) -> list[tuple[bool, int]]:
        """Whether each message was compressed, and its bytes on the wire."""
        return messages(self.tap.frames_from(self.role))

    def peer_messages(self) -> list[tuple[bool, int]]:
        """The same for what the peer has sent."""
        return messages(self.tap.frames_from(OTHER[self.role]))


class Linker:
    """Makes connections, one after the other, through a tap."""

    def __init__(self, certificates: Any, face: str) -> None:
        """`face` is that of our end from now on: "threads" or "aio"."""
        self.face = face
        self._certificates = certificates
        self.tap = Tap()
        self._links: list[Link] = []
        self._loop: aio_bridge.Loop | None = None

    def __call__(
        self,
        peer: Peer,
        role: str,
        ours: dict[str, Any],
        theirs: Compression = None,
        *,
        scheme: str = "ws",
        way: str = "echo",
    ) -> Link:
        """Connects an end of ours in `role` to the peer, which answers in its `way`."""
        options = {"close_timeout": "1h", **ours}
        make = self._client if role == "client" else self._serve
        link = make(peer, options, theirs, scheme, way)
        self._links.append(link)
        return link

    def _client(
        self, peer: Peer, options: dict[str, Any], theirs: Compression, scheme: str, way: str
    ) -> Link:
        if scheme == "wss":
            options["ssl_context"] = self._certificates.client
        token = next(tokens)
        url = self.tap.through(peer.url(way, token, scheme, compression=theirs))
        connection = (
            connect(parse_url(url), client_options(**options))
            if self.face == "threads"
            else aio_bridge.connect(self._aio(), url, **options)
        )
        return Link(connection, peer, "client", self.tap, token)

    def _serve(
        self, peer: Peer, options: dict[str, Any], theirs: Compression, scheme: str, way: str
    ) -> Link:
        connections: queue.Queue[Connection | aio_bridge.Connection] = queue.Queue()

        def handler(connection: Connection | aio_bridge.Connection) -> None:
            connections.put(connection)
            connection.wait_ended(PATIENCE)

        if scheme == "wss":
            options["ssl_context"] = self._certificates.server
        server = (
            serve(handler, "127.0.0.1", **options)
            if self.face == "threads"
            else aio_bridge.Server(self._aio(), handler, "127.0.0.1", **options)
        )
        url = self.tap.through(f"{scheme}://127.0.0.1:{server.port}/")
        token = peer.begin(url, way=way, messages=None, compression=theirs)
        connection = connections.get(timeout=PATIENCE)
        return Link(connection, peer, "server", self.tap, token, server)

    def _aio(self) -> aio_bridge.Loop:
        if self._loop is None:
            self._loop = aio_bridge.Loop()
        return self._loop

    def close(self) -> None:
        """Ends whatever is left."""
        for link in self._links:
            link.connection.close(1000, "the test is over")
            if link.server is not None:
                link.server.shutdown(timeout=5)
        self.tap.close()
        if self._loop is not None:
            self._loop.close()
