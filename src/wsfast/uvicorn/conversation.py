"""A connection as an ASGI application knows it: events in, events out (ASGI's specification of HTTP
and WebSocket, version 2.4).

What is done for each message is in `wsfast.aio._endpoint`; here are the other events, and what is
permitted when. The texts of errors are uvicorn's, as applications may have come to know them.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, TypeAlias

from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_path_with_query_string,
)
from uvicorn.server import ServerState

from wsfast.aio.connection import Connection
from wsfast.protocol.connection import Connection as Protocol
from wsfast.protocol.constants import CloseCode, State, check_close
from wsfast.protocol.errors import ConnectionLost, WebSocketError
from wsfast.protocol.headers import check_token, check_value
from wsfast.protocol.http1 import Pairs
from wsfast.protocol.options import ServerOptions

__all__ = ["Conversation", "Event"]

Event: TypeAlias = dict[str, Any]

logger = logging.getLogger("uvicorn.error")


class _Phase(Enum):
    """What the application has said so far."""

    ASKED = auto()  # nothing
    RESPONDING = auto()  # how an HTTP response begins
    ACCEPTED = auto()
    CLOSED = auto()  # all that it has to say


class Conversation(Connection):
    """What one application and one client say to each other. On the loop's thread only."""

    __slots__ = ("_farewell", "_head", "_phase", "_scope", "_server_state")

    def __init__(
        self, options: ServerOptions, loop: asyncio.AbstractEventLoop, server_state: ServerState
    ) -> None:
        """It must be given an owner."""
        protocol = Protocol.server(options, time.monotonic())
        super().__init__(protocol, options, loop, on_message=None, peer="a client")
        self._server_state = server_state
        self._phase = _Phase.ASKED
        self._head: tuple[int, Pairs] | None = None  # of a response, until its body is there
        self._farewell: Event | None = None  # what is received from now on
        self._scope: Any = None

    # -------------------------------------------------------------- beginning and end

    def begin(self, scope: Event) -> None:
        """There is a request, with that scope."""
        self._scope = scope
        self._put({"type": "websocket.connect"})

    @property
    def undecided(self) -> bool:
        """Whether the application has neither accepted nor refused, and still could."""
        return self._phase is _Phase.ASKED and self.state is State.CONNECTING

    def end(self, *, failed: bool) -> None:
        """The application has ended, because it has `failed` or not. If it has not closed the
        connection, no close frame is sent: the client may tell from it that something was wrong."""
        if self._protocol.unsettled:
            self._settle()  # the client has closed it: it gets its answer
        if self._phase is _Phase.ASKED and failed:
            self._respond_at_once(500, b"Internal Server Error")
        elif self._phase is not _Phase.CLOSED and self.state is not State.CLOSING:
            self.hang_up()

    def go_away(self) -> None:
        """The server ends."""
        if self.state is State.CONNECTED:
            self._say_farewell({"code": CloseCode.SERVICE_RESTART.value})
        elif self._phase is _Phase.ASKED:
            self._respond_at_once(500, b"Internal Server Error")

    def hang_up(self) -> None:
        """Closes the transport once all that is on its way has been sent, and bounds that."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._head is not None:
            self._send_head()
        self._flush()
        rest = self._protocol.data_to_send()
        if rest:
            transport.write(rest)
        if transport.get_write_buffer_size():
            self._loop.call_later(self._options.close_timeout, transport.abort)
        transport.close()
        self._abandon(ConnectionLost(CloseCode.ABNORMAL_CLOSURE, "the application has ended"))

    def _say_farewell(self, details: Event) -> None:
        """Closes with that code and reason. The application will receive what has come until now,
        and then that it is disconnected."""
        code, reason = details["code"], details.get("reason", "")
        check_close(code, reason)  # before anything is dropped
        self._let_go(code, reason)
        self._farewell = {"type": "websocket.disconnect", **details}
        self._ending = True
        self._wake()

    # -------------------------------------------------------------- receiving

    def _check_input(self, iterating: bool) -> None:
        if self._protocol.unsettled:
            self._settle()
        if self._farewell is None:
            self._farewell = self._disconnected()
        self._put(self._farewell.copy())

    def _disconnected(self) -> Event:
        """How the connection has ended. A client that goes away without a close frame counts as one
        whose close frame has no code, as with uvicorn's own protocols."""
        event: Event = {"type": "websocket.disconnect"}
        if not self._is_open:
            event["code"] = CloseCode.ABNORMAL_CLOSURE.value
        elif isinstance(self.error, ConnectionLost):
            event["code"] = CloseCode.NO_STATUS.value
        else:
            event["code"], event["reason"] = self.close_code, self.close_reason
        return event

    def _after(self) -> None:
        super()._after()
        self._ending = self._ending or self._farewell is not None

    # -------------------------------------------------------------- sending

    def _check_usable(self) -> None:
        try:
            super()._check_usable()
        except WebSocketError as exc:
            raise ClientDisconnected from exc

    async def _send_other_event(self, event: Event) -> None:
        if self._waiting or not self._has_room:
            async with self._in_turn():
                await self._until(lambda: self._has_room or self._gone)
        if self._gone:
            raise ClientDisconnected
        match self._phase:
            case _Phase.ASKED:
                self._decide(event)
            case _Phase.RESPONDING:
                self._continue_response(event)
            case _Phase.ACCEPTED:
                self._close_as_told(event)
            case _:
                raise RuntimeError(
                    f"Unexpected ASGI message '{event['type']}', after sending 'websocket.close'."
                )

    def _decide(self, event: Event) -> None:
        match event["type"]:
            case "websocket.accept":
                pairs = self._default_headers() + _pairs(event.get("headers", ()))
                if event.get("subprotocol"):
                    subprotocol = check_token(event["subprotocol"], "subprotocol")
                    pairs.append(("Sec-WebSocket-Protocol", subprotocol))
                self._log("[accepted]")
                self._phase = _Phase.ACCEPTED
                self._relays = True
                self._accept(pairs)
            case "websocket.close":
                self._log("403")
                self._respond_at_once(403, b"")
            case "websocket.http.response.start":
                status = event["status"]
                if not 200 <= status < 600:
                    raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
                self._head = status, _pairs(event.get("headers", ()))
                self._log(str(status))
                self._phase = _Phase.RESPONDING
            case other:
                raise RuntimeError(
                    "Expected ASGI message 'websocket.accept', 'websocket.close' or "
                    f"'websocket.http.response.start' but got '{other}'."
                )

    def _close_as_told(self, event: Event) -> None:
        if event["type"] != "websocket.close":
            raise RuntimeError(
                "Expected ASGI message 'websocket.send' or 'websocket.close', but got "
                f"'{event['type']}'."
            )
        self._check_usable()
        code = event.get("code") or CloseCode.NORMAL.value
        self._say_farewell({"code": code, "reason": event.get("reason") or ""})
        self._phase = _Phase.CLOSED
        self._relays = False

    # -------------------------------------------------------------- HTTP responses

    def _continue_response(self, event: Event) -> None:
        if event["type"] != "websocket.http.response.body":
            raise RuntimeError(
                f"Expected ASGI message 'websocket.http.response.body' but got '{event['type']}'."
            )
        body, last = event.get("body", b""), not event.get("more_body", False)
        if self._head is not None:
            self._send_head(len(body) if last else None)
        self._protocol.continue_response(body, time.monotonic(), last=last)
        if last:
            self._phase = _Phase.CLOSED
        self._after()

    def _send_head(self, size: int | None = None) -> None:
        """`size` is that of the body, if it is known."""
        assert self._head is not None
        (status, pairs), self._head = self._head, None
        named = {name.lower() for name, _ in pairs}
        pairs = [pair for pair in self._default_headers() if pair[0].lower() not in named] + pairs
        if size is not None and named.isdisjoint(("content-length", "transfer-encoding")):
            pairs.append(("content-length", str(size)))
        if "connection" not in named:
            pairs.append(("connection", "close"))
        self._protocol.begin_response(status, pairs)

    def _respond_at_once(self, status: int, text: bytes) -> None:
        self._phase = _Phase.CLOSED
        self._head = status, [("content-type", "text/plain; charset=utf-8")]
        self._send_head(len(text))
        self._protocol.continue_response(text, time.monotonic(), last=True)
        self._after()

    def _default_headers(self) -> Pairs:
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._server_state.default_headers
        ]

    def _half_close(self) -> None:
        super()._half_close()
        # Of asyncio's TLS one half cannot be closed. When both sides have said goodbye, or all of a
        # response has been sent, there is nothing to wait for.
        if self._transport is not None and not self._transport.can_write_eof():
            self._transport.close()

    def _log(self, outcome: str) -> None:
        logger.info(
            '%s - "WebSocket %s" %s',
            get_client_addr(self._scope),
            get_path_with_query_string(self._scope),
            outcome,
        )


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Header fields of an application, in our form. Raises `ValueError` for what cannot be one."""
    return [
        (
            check_token(name.decode("latin-1").lower(), "headers: name"),
            check_value(value.decode("latin-1"), "headers: value"),
        )
        for name, value in headers
    ]
