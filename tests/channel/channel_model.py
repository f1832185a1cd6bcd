"""What channels and `select` do, said as simply as possible: no threads, no locks, nothing waits.

An operation is a list of cases, as a select has them. It either can be done at once, in one of
several ways, or is put on a list of those that wait, in the order they came.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class Outcome(NamedTuple):
    """How an operation ended. `channel` is None if that is not told: it is closed."""

    channel: int | None
    value: int | None
    ok: bool


CLOSED = Outcome(None, None, False)
"""A send that found its channel closed."""


class Case(NamedTuple):
    """Sending `value`, or receiving if there is none."""

    channel: int
    value: int | None = None


@dataclass(eq=False)
class Operation:
    cases: list[Case]
    outcome: Outcome | None = None


@dataclass
class Channel:
    capacity: int
    closed: bool = False
    buffer: deque[int] = field(default_factory=deque)


class Model:
    def __init__(self, capacities: list[int]) -> None:
        self.channels = [Channel(capacity) for capacity in capacities]
        self.waiting: list[Operation] = []

    def outcomes(self, operation: Operation) -> dict[Outcome, Case]:
        """How it may end at once, and by which case."""
        found = {}
        for case in operation.cases:
            outcome = self._outcome(case)
            if outcome is not None:
                found[outcome] = case
        return found

    def _outcome(self, case: Case) -> Outcome | None:
        channel = self.channels[case.channel]
        if case.value is not None:
            if channel.closed:
                return CLOSED
            room = len(channel.buffer) < channel.capacity
            possible = room or self._first_receiver(case.channel) is not None
            return Outcome(case.channel, None, True) if possible else None
        if channel.buffer:
            return Outcome(case.channel, channel.buffer[0], True)
        sender = self._first_sender(case.channel)
        if sender is not None:
            return Outcome(case.channel, sender[1].value, True)
        return Outcome(case.channel, None, False) if channel.closed else None

    def do(self, case: Case) -> None:
        """What doing it changes for others."""
        channel = self.channels[case.channel]
        if case.value is None:
            if channel.buffer:
                channel.buffer.popleft()
                self._refill(case.channel)
            else:
                self._sent(case.channel)
        elif not channel.closed and not self._received(case.channel, case.value):
            channel.buffer.append(case.value)

    def wait(self, operation: Operation) -> None:
        self.waiting.append(operation)

    def cancel(self, operation: Operation) -> None:
        """It ends without an outcome, also if it has one that nobody has seen yet."""
        if operation.outcome is None:
            self.waiting.remove(operation)
            return
        number, value, _ = operation.outcome
        if number is not None and value is not None:
            channel = self.channels[number]
            channel.buffer.appendleft(value)
            while channel.buffer and self._received(number, channel.buffer[0]):
                channel.buffer.popleft()
                self._refill(number)

    def close(self, number: int) -> None:
        self.channels[number].closed = True
        while (receiver := self._first_receiver(number)) is not None:
            self._end(receiver, Outcome(number, None, False))
        while (sender := self._first_sender(number)) is not None:
            self._end(sender[0], CLOSED)

    def count(self, number: int) -> tuple[int, int]:
        """The cases that wait to receive, and to send."""
        values = [
            case.value
            for operation in self.waiting
            for case in operation.cases
            if case.channel == number
        ]
        receivers = values.count(None)
        return receivers, len(values) - receivers

    def _first_receiver(self, number: int) -> Operation | None:
        return next((o for o in self.waiting if Case(number) in o.cases), None)

    def _first_sender(self, number: int) -> tuple[Operation, Case] | None:
        for operation in self.waiting:
            for case in operation.cases:
                if case.channel == number and case.value is not None:
                    return operation, case
        return None

    def _received(self, number: int, value: int) -> bool:
        receiver = self._first_receiver(number)
        if receiver is not None:
            self._end(receiver, Outcome(number, value, True))
        return receiver is not None

    def _sent(self, number: int) -> int | None:
        sender = self._first_sender(number)
        if sender is None:
            return None
        self._end(sender[0], Outcome(number, None, True))
        return sender[1].value

    def _refill(self, number: int) -> None:
        channel = self.channels[number]
        if len(channel.buffer) < channel.capacity:
            value = self._sent(number)
            if value is not None:
                channel.buffer.append(value)

    def _end(self, operation: Operation, outcome: Outcome) -> None:
        operation.outcome = outcome
        self.waiting.remove(operation)
