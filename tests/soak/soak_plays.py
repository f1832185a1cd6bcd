"""What applications do with one connection while its peer misbehaves, and what became of it."""

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from soak_pool import Message, Tally, messages

import wsfast
from wsfast.protocol.errors import ConnectionClosed, SendTimeout, WebSocketError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection
from wsfast.threads.client import connect

PATIENCE = 30.0
"""Seconds. Only a hang lasts that long."""

POLL = 0.005
"""Seconds between two calls of `get_messages`."""


@dataclass(frozen=True)
class Plan:
    """What to do once connected: send, perhaps close, then receive to the end."""

    sends: int = 0
    flood: bool = False
    """Send without end, until the connection does not take it any more."""
    close: bool = False
    """Close after sending."""
    slow: bool = False
    """Receive nothing before being told to."""


@dataclass(frozen=True)
class Outcome:
    """How one connection went."""

    number: int
    opened: bool
    sent: int
    """Messages that were accepted for sending."""
    received: int
    code: int
    error: str
    wrong: str
    """What should not have happened; empty if all went well."""
    elapsed: float
    """Seconds from the beginning to the end."""


class Gate:
    """What slow applications wait for, and how many have said all that they had to say."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self._changed = threading.Condition()
        self._said = 0

    def release(self) -> None:
        self._released.set()

    def wait_released(self) -> None:
        assert self._released.wait(PATIENCE)

    def say(self) -> None:
        with self._changed:
            self._said += 1
            self._changed.notify_all()

    def wait_said(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._said >= count, PATIENCE), self._said


class Application:
    """One connection. `outcome` tells about it when it is over."""

    def __init__(self, number: int, plan: Plan, gate: Gate) -> None:
        self.number = number
        self.plan = plan
        self.gate = gate
        self.tally = Tally(number)
        self.opened = False
        self.sent = 0
        self.code = 0
        self.error = ""
        self.wrong = ""
        self._began = time.monotonic()
        self._elapsed = 0.0
        self._speaker = threading.Thread(target=self._speak)

    def _send(self, message: Message) -> bool:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _speak(self) -> None:
        for message in messages(self.number, None if self.plan.flood else self.plan.sends):
            if not self._send(message):
                break
            self.sent += 1
        if self.plan.close:
            self._close()
        self.gate.say()

    def _over(self) -> None:
        self._elapsed = time.monotonic() - self._began

    def _join(self, thread: threading.Thread) -> None:
        if thread.ident is not None:
            thread.join(PATIENCE)
        if thread.is_alive():
            self.wrong = "a hang"

    @property
    def outcome(self) -> dict[str, Any]:
        return asdict(
            Outcome(
                number=self.number,
                opened=self.opened,
                sent=self.sent,
                received=self.tally.count,
                code=self.code,
                error=self.error,
                wrong=self.wrong or self.tally.wrong,
                elapsed=self._elapsed,
            )
        )


class Receiving(Application):
    """Waits in `receive`: the handler of a server, or a client."""

    _connection: Connection

    def use(self, connection: Connection) -> None:
        """On the thread that owns the connection, to its end."""
        self._connection = connection
        self.opened = True
        if self.plan.flood and self.number % 2:
            self._speaker.start()
        else:
            self._speak()  # a stand-in reads meanwhile
        if self.plan.slow:
            self.gate.wait_released()
        try:
            while True:
                self.tally.take(connection.receive(PATIENCE))
        except TimeoutError:
            self.wrong = "a hang in receive"
        except ConnectionClosed as exc:
            self.code = exc.code
        connection.finish()
        if not connection.wait_ended(PATIENCE):
            self.wrong = "a hang before the end"
        self._join(self._speaker)
        self._fail(connection.error)
        self._over()

    def _fail(self, error: WebSocketError | None) -> None:
        self.error = "" if error is None else f"{type(error).__name__}: {error}"

    def _send(self, message: Message) -> bool:
        try:
            self._connection.send(message)
        except (SendTimeout, ConnectionClosed):
            return False
        return True

    def _close(self) -> None:
        self._connection.close()


class Client(Receiving):
    """A client that waits in `receive`, on a thread of its own."""

    def __init__(self, url: str, number: int, plan: Plan, gate: Gate, options: Any) -> None:
        super().__init__(number, plan, gate)
        self._url, self._options = url, options
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection = connect(parse_url(self._url), client_options(**self._options))
        except WebSocketError as exc:
            self.code = 1006
            self._fail(exc)
            self._over()
        else:
            self.use(connection)

    def wait(self) -> None:
        self._join(self._thread)


class ByID(Application):
    """A client by the ID API, with `on_message` or, if `polls`, with `get_messages`."""

    def __init__(
        self, url: str, number: int, plan: Plan, gate: Gate, options: Any, *, polls: bool
    ) -> None:
        super().__init__(number, plan, gate)
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll)
        self._id = wsfast.connect(
            url,
            on_message=None if polls else self._on_message,
            on_open=self._on_open,
            on_error=self._on_error,
            on_close=self._on_close,
            **options,
        )
        if polls:
            self._poller.start()

    def _on_open(self) -> None:
        self.opened = True
        self._id = wsfast.current()  # connect may not have returned yet
        if self.plan.flood:
            self._speaker.start()
        else:
            self._speak()

    def _on_message(self, message: Message) -> None:
        if self.plan.slow:
            self.gate.wait_released()
        self.tally.take(message)

    def _on_error(self, text: str) -> None:
        self.error = text

    def _on_close(self, code: int, reason: str) -> None:
        self.code = code
        self._over()
        self._closed.set()

    def _send(self, message: Message) -> bool:
        return wsfast.send(self._id, message)

    def _close(self) -> None:
        wsfast.close(self._id)

    def wait(self) -> None:
        if not self._closed.wait(2 * PATIENCE):
            self.wrong = "a hang"
        self._join(self._speaker)
        self._join(self._poller)

    def _poll(self) -> None:
        if self.plan.slow:
            self.gate.wait_released()
        over = False
        while not over:
            over = self._closed.wait(POLL)
            self.tally.take_all(wsfast.get_messages(self._id))


def open_client(url: str, number: int, plan: Plan, gate: Gate, options: Any) -> Client | ByID:
    """The three kinds of clients in turn."""
    if number % 3 == 0:
        return Client(url, number, plan, gate, options)
    return ByID(url, number, plan, gate, options, polls=number % 3 == 1)
