"""What is known about a connection."""

from wsfast.protocol.connection import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.handshake import Request, Response
from wsfast.protocol.url import URL

__all__ = ["ConnectionFacts"]


class ConnectionFacts:
    """What the connections of both drivers tell. May be asked by any thread."""

    __slots__ = ()

    _protocol: Connection

    @property
    def state(self) -> State:
        """Where it stands; see `wsfast.protocol.constants.State`."""
        return self._protocol.state

    @property
    def error(self) -> WebSocketError | None:
        """What went wrong, if anything did."""
        return self._protocol.error

    @property
    def close_code(self) -> int | None:
        """The peer's close code, or why there is none; None before the end (RFC 6455, 7.1.5)."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The close reason that belongs to `close_code`."""
        return self._protocol.close_reason

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on, if any (RFC 6455, section 1.9)."""
        return self._protocol.subprotocol

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was agreed on (RFC 7692)."""
        return self._protocol.compressed

    @property
    def url(self) -> URL | None:
        """On a client, what it connects to; after redirects, where they have led."""
        return self._protocol.url

    @property
    def request(self) -> Request | None:
        """On a server, what the client asked for: path, query, headers, origin."""
        return self._protocol.request

    @property
    def response(self) -> Response | None:
        """On a client, how the server answered the handshake."""
        return self._protocol.response

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; None before the first."""
        return self._protocol.latency
