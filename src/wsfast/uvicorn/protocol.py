"""What uvicorn sees of a connection: it hands over a transport and a request, and asks for the end.

On the loop's thread only, as all of asyncio.
"""

import asyncio
import functools
import logging
from typing import Any, Self
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from wsfast.aio._endpoint import Wire
from wsfast.protocol.constants import Compression
from wsfast.protocol.handshake import Request
from wsfast.protocol.options import ServerOptions
from wsfast.uvicorn.conversation import Conversation, Event

__all__ = ["WebSocketProtocol"]

logger = logging.getLogger("uvicorn.error")

NO_BOUND = 2**31 - 1
"""For a number of messages, or of bytes in one, that is not bounded."""

CLOSE_TIMEOUT = 10.0
"""Seconds that a client gets to answer a close frame; as many as uvicorn's own protocols give."""

SHUTDOWN_TIMEOUT = 1.0
"""The same when the server ends."""


@functools.lru_cache(maxsize=16)
def _options(
    max_size: int | None,
    max_queue: int | None,
    ping_interval: float | None,
    ping_timeout: float | None,
    deflate: bool,
) -> ServerOptions:
    """The options of uvicorn as ours. It is the application that judges origins, and nothing but
    the client ends an opening, or the wait for room: so it is in uvicorn's own protocols."""
    return ServerOptions(
        origins=("*",),
        dial_timeout=None,
        write_timeout=None,
        close_timeout=CLOSE_TIMEOUT,
        ping_interval=ping_interval or None,
        pong_timeout=ping_timeout,
        read_limit=NO_BOUND if max_size is None else max_size,
        receive_queue_messages=max_queue or NO_BOUND,
        compression=Compression.CONTEXT_TAKEOVER if deflate else Compression.DISABLED,
    )


class WebSocketProtocol(Wire, asyncio.BufferedProtocol):
    """The protocol for uvicorn's option `--ws`; one for each connection, made by uvicorn.

    On the loop's thread only.
    """

    __slots__ = ("_app_state", "_config", "_conversation", "_server_state", "_tls", "_transport")

    _conversation: Conversation

    def __new__(cls, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> Self:
        options = _options(
            config.ws_max_size,
            config.ws_max_queue,
            config.ws_ping_interval,
            config.ws_ping_timeout,
            config.ws_per_message_deflate,
        )
        conversation = Conversation(options, asyncio.get_running_loop(), server_state)
        self = super().__new__(cls, conversation)
        self._conversation = conversation
        conversation._owner = self
        return self

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._tls = False

    # -------------------------------------------------------------- what uvicorn calls

    def connection_made(self, transport: Any) -> None:
        """Takes over a transport, from uvicorn's protocol for HTTP."""
        self._server_state.connections.add(self)  # type: ignore[arg-type] # its own protocols only
        self._transport = transport
        self._tls = is_ssl(transport)
        super().connection_made(transport)
        if transport.get_write_buffer_size():
            self.pause_writing()  # of which the protocol before us has been told
        self._trace("made")

    def data_received(self, data: bytes) -> None:
        """Takes the request, which uvicorn has read and written down again."""
        self._conversation._opening(data)

    def eof_received(self) -> bool:
        """The client will send nothing more."""
        stay = super().eof_received()
        return stay and not self._tls  # of which asyncio cannot close one half

    def shutdown(self) -> None:
        """The server ends."""
        self._conversation.go_away()
        self._conversation._loop.call_later(SHUTDOWN_TIMEOUT, self._conversation.hang_up)

    # -------------------------------------------------------------- what the connection says

    def requested(self, connection: Conversation) -> None:
        """There is a request: the application decides about it."""
        assert connection.request is not None
        scope = self._scope(connection.request)
        connection.begin(scope)
        task = connection._loop.create_task(self._run(scope))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def opened(self, connection: Conversation) -> None:
        """The application has accepted it."""

    def gone(self, connection: Conversation) -> None:
        """It has ended, and its transport is closed."""
        self._server_state.connections.discard(self)
        self._trace("lost")

    # -------------------------------------------------------------- the application

    def _scope(self, request: Request) -> dict[str, Any]:
        root = self._config.root_path
        path = request.path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if self._tls else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode("ascii"),
            "query_string": request.query.encode("ascii"),
            "headers": [
                (name.lower().encode("ascii"), value.encode("latin-1"))
                for name, value in request.headers.items()
            ],
            "subprotocols": request.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    async def _run(self, scope: Event) -> None:
        conversation = self._conversation
        app: Any = self._config.loaded_app
        failed = True
        try:
            result = await app(scope, conversation._receive_event, conversation._send_event)
        except ClientDisconnected:
            failed = False  # it need not catch what befalls everyone
        except BaseException:
            logger.exception("Exception in ASGI application\n")
        else:
            failed = conversation.undecided
            if failed:
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
        conversation.end(failed=failed)

    def _trace(self, what: str) -> None:
        if logger.isEnabledFor(TRACE_LOG_LEVEL):
            client = get_remote_addr(self._transport)
            prefix = "{}:{} - ".format(*client) if client else ""
            logger.log(TRACE_LOG_LEVEL, "%sWebSocket connection %s", prefix, what)
