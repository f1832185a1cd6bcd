"""The ID API: connections as plain integers, callbacks from background threads (seed 004).

    def on_message(data):
        print("echo:", data)
        wsfast.close(wsfast.current())

    ws = wsfast.connect("wss://echo.example.com", on_message=on_message)

Any function may be called from any thread and from inside any callback. None of them waits for the
network, but for `send` when the send queue is full.

Each connection has a thread of its own that opens it, reads, and runs its callbacks, so these never
overlap and keep their order: `on_open`, then messages, then exactly one `on_close`, with `on_error`
before it if there was an error. While a callback runs, its connection is not read from.

With `reconnect=`, an id outlives its connections: one that is lost is opened again, after a delay,
by the same thread. See `connect`.

`_lock` guards the registry and is not held while a callback runs or a connection is used.
"""

import atexit
import base64
import builtins
import itertools
import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from wsfast.protocol.constants import CloseCode, State
from wsfast.protocol.errors import InvalidURL, NoContext, PermissionDenied, WebSocketError
from wsfast.protocol.options import ClientOptionsDict, client_options
from wsfast.protocol.reconnect import ReconnectLike, reconnect_policy
from wsfast.protocol.scope import Scope
from wsfast.protocol.url import parse_url
from wsfast.threads.session import Callback, Callbacks, Session, senders
from wsfast.threads.session import current as _current

__all__ = [
    "ConnectionInfo",
    "close",
    "connect",
    "current",
    "disconnect_all",
    "get_messages",
    "get_messages_json",
    "get_state",
    "get_url",
    "is_connected",
    "list",
    "send",
]

logger = logging.getLogger("wsfast")

ENDED_KEPT = 1024
"""How many ended connections are remembered, with the messages that nobody has taken."""

ENDED_BYTES = 64 * 1024 * 1024
"""Bytes of such messages from which on the oldest connections are forgotten."""

EXIT_GRACE = 1.0
"""Seconds that open connections get to say goodbye when the interpreter exits."""

_UNSET: Any = object()


class ConnectionInfo(TypedDict):
    """One entry of `list`."""

    id: int
    url: str
    state: str


class _Registry:
    """All ids. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._sessions: dict[int, Session] = {}
        self._ended: OrderedDict[int, tuple[Session, int]] = OrderedDict()
        self._ended_bytes = 0

    def before_fork(self) -> None:
        """Lets nobody be inside: without a GIL a dict has a lock of its own, which a thread that
        the child does not have would hold there for ever."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """In the child; the connections know themselves."""
        self._lock = threading.Lock()
        senders.clear()
        for session in self._sessions.values():
            session.after_fork()

    def number(self) -> int:
        with self._lock:
            return next(self._numbers)

    def add(self, session: Session) -> None:
        with self._lock:
            self._sessions[session.number] = session

    def forget(self, session: Session) -> None:
        with self._lock:
            del self._sessions[session.number]

    def ended(self, session: Session, size: int) -> None:
        """The oldest of those that have ended are forgotten, so that there is no leak. `size` is
        that of the messages it has left."""
        with self._lock:
            del self._sessions[session.number]
            self._ended[session.number] = session, size
            self._ended_bytes += size
            while len(self._ended) > ENDED_KEPT or (
                self._ended_bytes > ENDED_BYTES and len(self._ended) > 1
            ):
                _, (_, forgotten) = self._ended.popitem(last=False)
                self._ended_bytes -= forgotten

    def get(self, number: int) -> Session | None:
        if not isinstance(number, int):
            raise TypeError(f"id: expected an int, not {type(number).__name__}")
        with self._lock:
            ended = self._ended.get(number)
            return self._sessions.get(number) if ended is None else ended[0]

    def running(self) -> builtins.list[Session]:
        """Those whose thread has not come to its end."""
        with self._lock:
            return [*self._sessions.values()]

    def active(self) -> builtins.list[Session]:
        """Those of them that have not ended for their callers."""
        return [session for session in self.running() if session.active]


_registry = _Registry()


def connect(
    url: str,
    on_message: Callback = None,
    on_open: Callback = None,
    on_close: Callback = None,
    on_error: Callback = None,
    user_data: Any = _UNSET,
    *,
    on_reconnect: Callback = None,
    reconnect: ReconnectLike = False,
    **options: Unpack[ClientOptionsDict],
) -> int:
    """Opens a connection in the background (seed 004: `xoron_websocket_connect`).

    Args:
        url: `ws://` or `wss://`.
        on_message: called with each message, `str` or `bytes`. Without it, messages wait for
            `get_messages`; while `receive_queue_messages` or `receive_queue_bytes` wait, nothing
            more is read.
        on_open: called without arguments. It may run before `connect` has returned; `current()`
            tells it the id.
        on_close: called exactly once, with the close code (1006 if no close frame came) and the
            reason.
        on_error: called with a text. It holds "connection refused", "timeout" or "TLS" where that
            is what happened.
        user_data: if given, the last argument of every callback.
        on_reconnect: called with what will happen and why, before each wait for another attempt:
            the number of the attempt (1 is the first in a row), the delay in seconds as a float,
            and the code and reason that `on_close` would have got. It may `close(current())`.
        reconnect: True, or a `Reconnect`, or a mapping of its fields. See below.
        options: see `wsfast.protocol.options.ClientOptionsDict`; a duration is a number of
            milliseconds, a Go duration string such as "1m30s", or a `timedelta`.
            `control_messages` and `streaming` change nothing here.

    Returns an id above 0, which is never used again; or 0 for a bad URL, or one that a security
    policy refuses (see `wsfast.security`), after `on_error` was called with what is wrong.

    With `reconnect`, a connection that could not be opened or has ended is opened again, under the
    same id, until `close` or `disconnect_all`:

    - What ends it for good: a refused certificate, an HTTP status below 500 or another answer that
      is no upgrade, a protocol violation or a message beyond `read_limit`, a close of the peer's
      with 1002, 1003 or 1007 to 1010, and the last of `Reconnect.attempts`. All else is tried
      again, a close with 1000 too; if yours means "do not come back", close in `on_reconnect`.
    - `on_open` is called for each connection and `on_error` for each error, then `on_reconnect`;
      `on_close` once, at the very end.
    - From the loss until the next connection is open the state is "connecting": `is_connected` and
      `send` are False, and a `close` ends it at once, with 1006 for `on_close`.
    - Messages that have arrived are delivered, or stay for `get_messages`, in order. What was sent
      arrives at most once: nothing is sent again, because nobody knows what the peer has read.
      `on_error` tells how many messages were still queued here. Have the peer acknowledge what
      must not be lost.

    Raises `TypeError` for an unknown option or a wrong type, `InvalidOption` (a `ValueError`) for a
    wrong value. Then nothing has been sent.
    """
    callbacks: dict[str, Callback] = {
        "on_message": on_message,
        "on_open": on_open,
        "on_close": on_close,
        "on_error": on_error,
        "on_reconnect": on_reconnect,
    }
    for name, callback in callbacks.items():
        if callback is not None and not callable(callback):
            raise TypeError(f"{name}: {callback!r} is not callable")
        if callback is not None and user_data is not _UNSET:
            callbacks[name] = _with_user_data(callback, user_data)
    checked = replace(client_options(**options), control_messages=False, streaming=False)
    policy = reconnect_policy(reconnect)
    number = _registry.number()
    guarded = Callbacks(number, callbacks)
    try:
        parsed, scope = parse_url(url), Scope.current()
        guard = scope.admit(parsed)
        session = Session(
            number, parsed, checked, guarded, policy, scope, guard, on_ended=_registry.ended
        )
        _registry.add(session)
        _start(session)
    except (InvalidURL, PermissionDenied, NoContext, _NoThread) as exc:
        logger.debug("no connection: %s", exc)
        guarded.call("on_error", str(exc))
        return 0
    return number


class _NoThread(Exception):
    """The system has no thread left."""


def _start(session: Session) -> None:
    try:
        session.thread.start()
    except RuntimeError as exc:
        _registry.forget(session)
        session.close(CloseCode.NORMAL, "")
        raise _NoThread(f"cannot start a thread for the connection: {exc}") from exc


def _with_user_data(callback: Callable[..., object], user_data: object) -> Callable[..., object]:
    def call(*args: object) -> object:
        return callback(*args, user_data)

    return call


send = senders.send  # with nothing in between, which would cost as much again


def close(id: int, code: int = CloseCode.NORMAL, reason: str = "") -> bool:
    """Begins to close a connection, after what is queued, and does not wait (seed 004).

    It is not opened again. `on_close` follows by `close_timeout` at the latest. Returns False
    for an unknown id, True otherwise, also if it is closed or closing already.

    Raises `TypeError` or `ValueError` for a code or reason that may not be sent (RFC 6455, 7.4).
    """
    session = _registry.get(id)
    if session is None:
        return False
    session.close(code, reason)
    return True


def is_connected(id: int) -> bool:
    """Whether messages can be sent (seed 004). False for an unknown id."""
    session = _registry.get(id)
    return session is not None and session.state is State.CONNECTED


def get_messages(id: int) -> builtins.list[str | bytes]:
    """Takes all messages that wait, in order: `str` for text, `bytes` for binary (seed 004).

    For connections without `on_message`. What arrived before a close can still be taken after it,
    as long as the id is one of the last 1024 that ended. Empty for an unknown id.
    """
    session = _registry.get(id)
    return [] if session is None else session.take_all()


def get_messages_json(id: int) -> str:
    """As `get_messages`, as a JSON array, which is what the C function returned (seed 004).

    A text message is a string, a binary one an object: `{"binary": "<its bytes in base64>"}`.
    """
    return json.dumps(
        [
            message
            if isinstance(message, str)
            else {"binary": base64.b64encode(message).decode("ascii")}
            for message in get_messages(id)
        ],
        ensure_ascii=False,
    )


def get_state(id: int) -> str:
    """One of "disconnected", "connecting", "connected", "closing", "error" (seed 004).

    "error" if the connection has ended because of one. "disconnected" for an unknown id.
    "connecting" also from a loss to the next connection, with `reconnect`.
    """
    session = _registry.get(id)
    return (State.DISCONNECTED if session is None else session.state).label


def get_url(id: int) -> str:
    """The URL as it was given to `connect` (seed 004). Empty for an unknown id."""
    session = _registry.get(id)
    return "" if session is None else session.url


def disconnect_all() -> None:
    """Closes all connections with code 1000 and does not wait (seed 004). None is opened again."""
    for session in _registry.running():
        session.close(CloseCode.NORMAL, "")


def list() -> builtins.list[ConnectionInfo]:
    """The connections that have not ended: id, url and state of each (seed 004)."""
    return [{"id": s.number, "url": s.url, "state": s.state.label} for s in _registry.active()]


def current() -> int:
    """Inside a callback the id of the connection that it belongs to; 0 elsewhere."""
    number: int = getattr(_current, "number", 0)
    return number


def _at_exit() -> None:
    """Says goodbye to all, and does not let anybody hold the interpreter up."""
    deadline = time.monotonic() + EXIT_GRACE
    sessions = _registry.running()
    for session in sessions:
        session.close(CloseCode.GOING_AWAY, "")
    for session in sessions:
        session.thread.join(max(0.0, deadline - time.monotonic()))
        if session.connection is not None:
            session.connection.abandon(WebSocketError("the interpreter exits"))


atexit.register(_at_exit)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_registry.before_fork,
        after_in_parent=_registry.after_fork_in_parent,
        after_in_child=_registry.after_fork,
    )
