"""What an application has to say while a server's connection is being opened."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from wsfast.aio.connection import Connection
from wsfast.protocol import checks
from wsfast.protocol.handshake import Request, Response
from wsfast.protocol.headers import HeadersLike, check_headers

__all__ = ["Hooks", "ProcessRequest", "ProcessResponse", "Refusal"]

logger = logging.getLogger("wsfast.aio")


class Refusal(Exception):
    """Turns a request down: to be raised, or returned, by `process_request`.

    Raises `TypeError` or `ValueError` for what no response can have.
    """

    def __init__(self, status: int, text: str = "", headers: HeadersLike = ()) -> None:
        """`status` is that of the response, 300 to 599, and `text` its body."""
        _check_status(status, "status")
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}")
        super().__init__(status, text)
        self.status = int(status)
        self.text = text
        self.headers = check_headers(headers, "headers")


_check_status = checks.integer(300, 599)

ProcessRequest: TypeAlias = Callable[
    [Connection, Request], Refusal | Awaitable[Refusal | None] | None
]
ProcessResponse: TypeAlias = Callable[
    [Connection, Response], HeadersLike | Awaitable[HeadersLike | None] | None
]


@dataclass(frozen=True)
class Hooks:
    """Those of one server."""

    process_request: ProcessRequest | None
    process_response: ProcessResponse | None

    def check(self) -> None:
        """Raises `TypeError` for what cannot be called."""
        for name, hook in vars(self).items():
            if hook is not None and not callable(hook):
                raise TypeError(f"{name}: {hook!r} is not callable")

    def __bool__(self) -> bool:
        return self.process_request is not None or self.process_response is not None

    async def judge(self, connection: Connection) -> None:
        """Answers the request of a connection as the hooks say; with 500 if one of them fails."""
        try:
            await self._judge(connection)
        except Refusal as refusal:
            connection._refuse(refusal.status, refusal.text, refusal.headers)
        except Exception:
            logger.exception("a hook failed")
            connection._refuse(500, "The server failed.")

    async def _judge(self, connection: Connection) -> None:
        assert connection.request is not None
        if self.process_request is not None:
            refusal = self.process_request(connection, connection.request)
            if inspect.isawaitable(refusal):
                refusal = await refusal
            if isinstance(refusal, Refusal):
                raise refusal
            if refusal is not None:
                raise TypeError(f"process_request returned {refusal!r}, not a Refusal or None")
        further: HeadersLike | None = None
        if self.process_response is not None:
            answer = self.process_response(connection, connection._protocol.answer())
            further = await answer if inspect.isawaitable(answer) else answer
        connection._accept(check_headers(further or (), "process_response"))
