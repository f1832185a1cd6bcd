"""One id of the ID API: its thread, which opens the connection, reads it and runs its callbacks.

With a policy to reconnect, the same thread goes on with the next connection, and between two of
them waits for nothing but the time and `close`.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode, State, check_close
from wsfast.protocol.errors import ConnectionClosed, WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.reconnect import Backoff, Reconnect, worth_retrying
from wsfast.protocol.scope import Guard, Scope
from wsfast.protocol.url import URL
from wsfast.threads._receiver import Delivery
from wsfast.threads._sender import Senders
from wsfast.threads.client import Dial
from wsfast.threads.connection import Connection

__all__ = ["Callback", "Callbacks", "Session", "current", "senders"]

Callback: TypeAlias = Callable[..., object] | None

logger = logging.getLogger("wsfast")

senders = Senders(WebSocketError)
"""Through which `wsfast.send` finds the connection of an id, while it is open."""

current = threading.local()
"""`current.number` is the id whose thread this is; other threads have no such attribute."""


class Callbacks:
    """What the application wants to be called. An exception is told, and changes nothing else."""

    def __init__(self, number: int, callbacks: dict[str, Callback]) -> None:
        self._number = number
        self._callbacks = callbacks

    @property
    def on_message(self) -> Callback:
        return self._callbacks["on_message"]

    def call(self, name: str, *args: object) -> None:
        callback = self._callbacks[name]
        if callback is None:
            return
        try:
            callback(*args)
        except BaseException as exc:  # SystemExit would end this thread without a word
            logger.exception("%s of connection %d raised", name, self._number)
            if name != "on_error":
                self._report(name, exc)

    @property
    def delivery(self) -> Delivery | None:
        """What calls `on_message` for each message."""
        on_message = self.on_message
        return None if on_message is None else Delivery(on_message, self._on_message_raised)

    def _on_message_raised(self, exc: BaseException) -> None:
        logger.error("on_message of connection %d raised", self._number, exc_info=exc)
        self._report("on_message", exc)

    def _report(self, name: str, exc: BaseException) -> None:
        self.call("on_error", f"{name} raised {type(exc).__name__}: {exc}")


class Session:
    """One id: its connection, its callbacks, the thread that runs them.

    Only that thread puts another connection in the place of one that has ended. There is no lock:
    other threads set `_stop` before they look for the connection to close, and it looks at `_stop`
    after it has put a new one there, so one of them closes it.

    Once it has ended it holds no more than its URL, its state and the messages that nobody has
    taken.
    """

    def __init__(
        self,
        number: int,
        url: URL,
        options: ClientOptions,
        callbacks: Callbacks,
        policy: Reconnect | None,
        scope: Scope,
        guard: Guard,
        on_ended: Callable[["Session", int], None],
    ) -> None:
        """The security policies of `scope` count for each attempt, and for what callbacks open;
        with `guard` they have let the first attempt pass. `on_ended` is called last, with the size
        of the messages that nobody has taken."""
        make_dial = partial(Dial, url, options, scope)
        self.number = number
        self.url = url.text
        self.callbacks: Callbacks | None = callbacks
        self.dial: Dial | None = make_dial(guard)
        self.thread = threading.Thread(
            target=self._run, args=(make_dial, scope), name=f"wsfast-{number}", daemon=True
        )
        self._backoff = None if policy is None else Backoff(policy)
        self._stop = threading.Event()  # close() was called
        self._on_ended = on_ended
        self._final_state: State | None = None
        self._left: deque[Message] = deque()

    # -------------------------------------------------------------- from any thread

    @property
    def connection(self) -> Connection | None:
        """None once it has ended. Between two connections the one that was lost."""
        dial = self.dial
        return None if dial is None else dial.connection

    @property
    def state(self) -> State:
        connection = self.connection  # before the final state, which is there when it goes
        if self._final_state is not None:
            return self._final_state
        assert connection is not None
        state = connection.state
        if self._backoff is None or state not in (State.DISCONNECTED, State.ERROR):
            return state
        return State.DISCONNECTED if self._stop.is_set() else State.CONNECTING

    @property
    def active(self) -> bool:
        return self.state not in (State.DISCONNECTED, State.ERROR)

    def close(self, code: int, reason: str) -> None:
        check_close(code, reason)
        self._stop.set()
        dial = self.dial
        if dial is not None:
            dial.close(code, reason)

    def take_all(self) -> list[Message]:
        """What waits, unless it waits for `on_message`."""
        connection, callbacks = self.connection, self.callbacks
        messages: list[Message] = []
        if connection is not None and callbacks is not None:
            if callbacks.on_message:
                return []
            messages = connection.take_all()  # first: if it ends now, the rest goes to `_left`
        with contextlib.suppress(IndexError):  # another thread took the last one
            while self._left:
                messages.append(self._left.popleft())
        return messages

    def after_fork(self) -> None:
        """In the child, where another thread may have held the lock of the event. A callback that
        forked returns to a thread that must not connect again."""
        self._stop = threading.Event()
        self._stop.set()
        if self.dial is not None:
            self.dial.after_fork()
        if self._backoff is not None and self._final_state is None:
            self._final_state = State.ERROR

    # -------------------------------------------------------------- on its own thread

    def _run(self, make_dial: Callable[[], Dial], scope: Scope) -> None:
        dial, callbacks = self.dial, self.callbacks
        assert dial is not None
        assert callbacks is not None
        current.number = self.number
        scope.enter()
        while True:
            self._open_and_read(dial, callbacks)
            connection = dial.connection  # not before: a redirect puts another in its place
            error = connection.error
            backoff = self._backoff
            if (
                backoff is None
                or self._stop.is_set()
                or not worth_retrying(error, connection.close_code)
            ):
                break
            delay = backoff.next_delay(error, time.monotonic())
            if delay is None:
                error = WebSocketError(
                    f"given up after attempt {backoff.attempt}: {_end_of(connection)}"
                )
                break
            self._announce(connection, callbacks, backoff.attempt, delay)
            self._stop.wait(delay)
            dial = self._replace(connection, make_dial())
        self._end(connection, error, callbacks)

    def _open_and_read(self, dial: Dial, callbacks: Callbacks) -> None:
        try:
            dial.open()
            senders.set(self.number, dial.connection.sender)
            if self._backoff is not None:
                self._backoff.opened(time.monotonic())
            callbacks.call("on_open")
            dial.connection.run(callbacks.delivery)
        except WebSocketError:
            pass  # it is connection.error; or Cancelled, and then there is none
        except BaseException as exc:  # a bug, here or elsewhere: callbacks must know all the same
            logger.exception("connection %d failed", self.number)
            dial.connection.abandon(WebSocketError(f"internal error: {exc!r}"))
        finally:
            senders.discard(self.number)

    def _announce(
        self, connection: Connection, callbacks: Callbacks, attempt: int, delay: float
    ) -> None:
        end, unsent = _end_of(connection), connection.unsent
        logger.info("connection %d: %s; attempt %d in %.3f s", self.number, end, attempt, delay)
        if unsent:
            callbacks.call(
                "on_error", f"{end}; up to {unsent} messages that were queued have not been sent"
            )
        elif connection.error is not None:
            callbacks.call("on_error", str(end))
        if not self._stop.is_set():
            callbacks.call("on_reconnect", attempt, delay, *_code_and_reason(connection))

    def _replace(self, ended: Connection, dial: Dial) -> Dial:
        """Goes over to another connection; closed at once, if `close` was called meanwhile."""
        dial.connection.keep(ended.take_all())
        self.dial = dial
        if self._stop.is_set():
            dial.close()
        return dial

    def _end(
        self, connection: Connection, error: WebSocketError | None, callbacks: Callbacks
    ) -> None:
        self._final_state = State.DISCONNECTED if error is None else State.ERROR
        if error is not None:
            callbacks.call("on_error", str(error))
        callbacks.call("on_close", *_code_and_reason(connection))
        size = connection.hand_over(self._left)
        self.dial = self.callbacks = None
        self._on_ended(self, size)


def _code_and_reason(connection: Connection) -> tuple[int, str]:
    code = connection.close_code
    return int(CloseCode.ABNORMAL_CLOSURE if code is None else code), connection.close_reason


def _end_of(connection: Connection) -> WebSocketError:
    """What ended it, also if that was no error."""
    return connection.error or ConnectionClosed(*_code_and_reason(connection))
