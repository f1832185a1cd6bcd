"""Asking the ordinary HTTP handler of an application what to do with a WebSocket."""

import asyncio
from dataclasses import dataclass
from typing import Any

from wsfast.relay.asgi import App, Event, Pairs, Scope
from wsfast.relay.invitation import HEADER

__all__ = ["Answer", "NoAnswer", "Question", "http_scope", "without_relay"]

_NAME = HEADER.lower().encode()


class NoAnswer(Exception):
    """The application has not answered as it should. `status` is what the client gets."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Answer:
    """A response, whole; the relay's header field apart from the others."""

    status: int
    headers: Pairs
    invitations: list[bytes]
    body: bytes = b""


def http_scope(scope: Scope) -> dict[str, Any]:
    """The scope of a GET request for what a WebSocket was opened for. What was added to that scope
    (session, user, state) is there too; what only servers of WebSocket can do is not."""
    made = dict(scope)
    made.pop("subprotocols", None)
    made.update(
        type="http",
        method="GET",
        scheme={"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http"),
        headers=without_relay(scope["headers"]),
        extensions={},
    )
    return made


def without_relay(headers: Any) -> Pairs:
    """Header fields without the relay's."""
    return [(name, value) for name, value in headers if bytes(name).lower() != _NAME]


class Question:
    """One request to the application, in a task of its own: what that does after its response goes
    on while the socket is relayed. For the thread of the event loop.

    Args:
        limit: how many bytes the body of the response may have; it is kept back until it is whole.
    """

    def __init__(self, app: App, scope: Scope, limit: int) -> None:
        self._limit = limit
        self._started: Answer | None = None
        self._body = bytearray()
        self._asked = False
        self._answer: asyncio.Future[Answer | NoAnswer] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(_call(app, http_scope(scope), self))

    async def answer(self, timeout: float | None) -> Answer:
        """The response. Raises `NoAnswer`, or what the application has raised before one."""
        try:
            both: set[asyncio.Future[Any]] = {self._task, self._answer}
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._answer.done():
                return _checked(self._answer.result())
            if self._task.done():
                self._task.result()
                raise NoAnswer(500, "the application has returned without a response")
            raise NoAnswer(504, "the application has not answered in time")
        except BaseException:
            await self.cancel()
            raise

    async def rest(self) -> None:
        """Waits for what the application does after its response, and raises what it raises."""
        try:
            await self._task
        except asyncio.CancelledError:
            await self.cancel()
            raise

    async def cancel(self) -> None:
        """Ends it."""
        self._answer.cancel()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def receive(self) -> Event:
        """What the application receives: a request without a body, and after its response the end
        of the connection."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.wait({self._answer})
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        """What the application sends."""
        if self._answer.done():
            return
        if event["type"] == "http.response.start":
            headers = [(bytes(name).lower(), bytes(value)) for name, value in event["headers"]]
            invitations = [value for name, value in headers if name == _NAME]
            self._started = Answer(event["status"], without_relay(headers), invitations)
        elif event["type"] == "http.response.body" and self._started is not None:
            self._take(self._started, event)

    def _take(self, answer: Answer, event: Event) -> None:
        body = event.get("body", b"")
        if len(self._body) + len(body) > self._limit:
            text = f"the response has more than {self._limit} bytes"
            self._answer.set_result(NoAnswer(500, text))
            return
        self._body += body
        if not event.get("more_body", False):
            answer.body = bytes(self._body)
            self._answer.set_result(answer)


async def _call(app: App, scope: Scope, question: Question) -> None:
    await app(scope, question.receive, question.send)


def _checked(answer: Answer | NoAnswer) -> Answer:
    if isinstance(answer, NoAnswer):
        raise answer
    return answer
