"""One id of the ID API: its thread, which opens the connection, reads it and runs its callbacks."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from wsfast.protocol.connection import Message
from wsfast.protocol.constants import CloseCode, State, check_close
from wsfast.protocol.errors import WebSocketError
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.url import URL
from wsfast.threads.client import Dial
from wsfast.threads.connection import Connection

__all__ = ["Callback", "Callbacks", "Session", "current"]

Callback: TypeAlias = Callable[..., object] | None

logger = logging.getLogger("wsfast")

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

    def deliver(self, messages: Sequence[Message]) -> None:
        """Calls `on_message`, which there must be, for each."""
        on_message = self.on_message
        assert on_message is not None
        left = iter(messages)
        while True:
            try:
                for message in left:
                    on_message(message)
            except BaseException as exc:
                logger.exception("on_message of connection %d raised", self._number)
                self._report("on_message", exc)
            else:
                return

    def _report(self, name: str, exc: BaseException) -> None:
        self.call("on_error", f"{name} raised {type(exc).__name__}: {exc}")


class Session:
    """One id: its connection, its callbacks, the thread that runs them.

    Once it has ended it holds no more than its URL, its state and the messages that nobody has
    taken.
    """

    def __init__(
        self,
        number: int,
        url: URL,
        options: ClientOptions,
        callbacks: Callbacks,
        on_ended: Callable[["Session", int], None],
    ) -> None:
        """`on_ended` is called last, with the size of the messages that nobody has taken."""
        self.number = number
        self.url = url.text
        self.callbacks: Callbacks | None = callbacks
        self.dial: Dial | None = Dial(url, options)
        self.thread = threading.Thread(target=self._run, name=f"wsfast-{number}", daemon=True)
        self._on_ended = on_ended
        self._final_state = State.DISCONNECTED
        self._left: deque[Message] = deque()

    @property
    def connection(self) -> Connection | None:
        """None once it has ended."""
        dial = self.dial
        return None if dial is None else dial.connection

    @property
    def state(self) -> State:
        connection = self.connection
        return self._final_state if connection is None else connection.state

    @property
    def active(self) -> bool:
        return self.state not in (State.DISCONNECTED, State.ERROR)

    def close(self, code: int, reason: str) -> None:
        dial = self.dial
        if dial is None:
            check_close(code, reason)
        else:
            dial.close(code, reason)

    def take_all(self) -> list[Message]:
        """What waits, unless it waits for `on_message`."""
        connection, callbacks = self.connection, self.callbacks
        if connection is not None and callbacks is not None:
            return [] if callbacks.on_message else connection.take_all()
        messages = []
        while self._left:
            with contextlib.suppress(IndexError):  # another thread took it
                messages.append(self._left.popleft())
        return messages

    def _run(self) -> None:
        dial, callbacks = self.dial, self.callbacks
        assert dial is not None
        assert callbacks is not None
        current.number = self.number
        try:
            dial.open()
            callbacks.call("on_open")
            dial.connection.run(callbacks.deliver if callbacks.on_message else None)
        except WebSocketError:
            pass  # it is connection.error; or Cancelled, and then there is none
        except Exception as exc:  # a bug here or in a library: the callbacks must know all the same
            logger.exception("connection %d failed", self.number)
            dial.connection.abandon(WebSocketError(f"internal error: {exc!r}"))
        connection = dial.connection  # not before: a redirect puts another in its place
        if connection.error is not None:
            callbacks.call("on_error", str(connection.error))
        code = connection.close_code
        callbacks.call(
            "on_close",
            int(CloseCode.ABNORMAL_CLOSURE if code is None else code),
            connection.close_reason,
        )
        self._final_state = connection.state
        self._left.extend(connection.take_all())
        size = sum(map(len, self._left))
        self.dial = self.callbacks = None
        self._on_ended(self, size)
