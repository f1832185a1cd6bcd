"""`WebSocketRelay`: what stands in front of an application."""

import logging
from collections.abc import Iterable
from typing import Unpack

from wsfast.process import PID
from wsfast.process.node import node
from wsfast.relay.asgi import App, Event, Pairs, Receive, Scope, Send
from wsfast.relay.asking import Answer, NoAnswer, Question, without_relay
from wsfast.relay.connection import Connection
from wsfast.relay.invitation import Invitation
from wsfast.relay.refusing import refuse, respond
from wsfast.relay.settings import Options, Settings

__all__ = ["WebSocketRelay"]

logger = logging.getLogger("wsfast")

# What belongs to a response without an upgrade, or to the handshake, which is the server's.
_NOT_FOR_ACCEPT = ("content-", "sec-websocket-", "proxy-")
_NEITHER = frozenset(
    {"connection", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"}
)


class WebSocketRelay:
    """Hands WebSockets to processes (seed 003). ASGI 3 middleware, for asyncio.

    ::

        app = FastAPI()
        app.add_middleware(WebSocketRelay, allowed_origins=["https://app.example.com"])

    When a WebSocket is opened, the application's ordinary HTTP handler of that path gets a GET
    request. If its response is successful (2xx) and has the header field `relay.HEADER`, the socket
    is accepted, and relayed to the process that is named there; other header fields, such as
    cookies, go along, and a ``Sec-WebSocket-Protocol`` chooses the subprotocol. Any other response
    is what the client gets; 403 where the server has no ``websocket.http.response`` extension.

    In place of the upgrade the client gets 403 if its origin is not allowed (then the handler is
    not asked), 503 if there are too many connections, 504 if the handler takes too long, 404 if
    there is no such process, and 500 if the header field is malformed or the handler fails.

    The header field never reaches a client, nor one of a client the application, neither for
    WebSockets nor for other requests; these pass through otherwise untouched.

    Takes the application and `Options`; raises `TypeError` and `ValueError` for wrong ones. What it
    does is done in the event loop that the server runs it in.
    """

    def __init__(self, app: App, **options: Unpack[Options]) -> None:
        self._app = app
        self._settings = Settings.of(**options)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What servers call."""
        if scope["type"] == "websocket" and self._is_ours(scope["path"]):
            if (await receive())["type"] == "websocket.connect":
                await self._open(scope, receive, send)
        elif scope["type"] == "http":
            await self._pass(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_ours(self, path: str) -> bool:
        prefix = self._settings.prefix
        return path == prefix or path.startswith(f"{prefix}/")

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stripped(event: Event) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": without_relay(event.get("headers", ()))}
            await send(event)

        await self._app({**scope, "headers": without_relay(scope["headers"])}, receive, stripped)

    # -------------------------------------------------------------- opening

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._settings
        if not settings.origins.allows(_field(scope, b"origin"), _field(scope, b"host")):
            await refuse(scope, send, 403)
            return
        if self._count >= settings.max_connections:
            logger.warning("there are %d connections: no more is relayed", self._count)
            await refuse(scope, send, 503)
            return
        self._count += 1
        try:
            await self._ask(scope, receive, send)
        finally:
            self._count -= 1

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = Question(self._app, scope, self._settings.response_limit)
        try:
            answer = await question.answer(self._settings.handler_timeout)
        except NoAnswer as error:
            logger.error("%s: %s", scope["path"], error)
            await refuse(scope, send, error.status)
            return
        try:
            await self._act(answer, scope, receive, send)
        except BaseException:
            await question.cancel()
            raise
        await question.rest()

    async def _act(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        if not answer.invitations or not 200 <= answer.status < 300:
            await respond(scope, send, answer.status, answer.headers, answer.body)
            return
        try:
            invitation = Invitation.parse(answer.invitations)
            accept = _accept(answer.headers, scope.get("subprotocols") or ())
        except ValueError as error:
            logger.error("%s: the relay's header field is refused: %s", scope["path"], error)
            await refuse(scope, send, 500)
            return
        target = _existing(invitation)
        if target is None:
            logger.warning("%s: there is no process %s", scope["path"], invitation.target)
            await refuse(scope, send, 404)
            return
        here, settings = node(), self._settings
        connection = here.enter(lambda pid: Connection(here, pid, settings))
        await connection.run(target, invitation, accept, receive, send)


def _field(scope: Scope, name: bytes) -> str | None:
    """A field of the request: None if it is not there; what allows nothing if it is there twice."""
    values = [value for key, value in scope["headers"] if bytes(key).lower() == name]
    return (
        bytes(values[0] if len(values) == 1 else b",".join(values)).decode("latin-1")
        if values
        else None
    )


def _existing(invitation: Invitation) -> PID | None:
    """The target; None if it is known not to exist."""
    here = node()
    target = here.resolve(invitation.target)
    if target is None:
        return None
    is_here = target.node == here.name
    known = here.find(target) is not None if is_here else here.elsewhere is not None
    return target if known else None


def _accept(headers: Pairs, offered: Iterable[str]) -> Event:
    """The event that accepts a socket. `ValueError` for a subprotocol that was not offered."""
    chosen = [
        value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"
    ]
    if len(chosen) > 1 or any(each not in offered for each in chosen):
        raise ValueError(f"the client has not offered the subprotocol {', '.join(chosen)!r:.80}")
    kept = [(name, value) for name, value in headers if _may_accept(name.decode("latin-1"))]
    accept: Event = {"type": "websocket.accept", "headers": kept}
    if chosen:
        accept["subprotocol"] = chosen[0]
    return accept


def _may_accept(name: str) -> bool:
    return name not in _NEITHER and not name.startswith(_NOT_FOR_ACCEPT)
