"""Channels beside a reference model, step by step, with threads and tasks that wait in between.

The model says which ways to go there are; which one `select` went shows in its result. What waits,
and what has ended, must then be the same in both, after every step.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from channel_model import CLOSED, Case, Model, Operation, Outcome
from channel_waiting import WAIT, count, until_waiting
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wsfast.channel import Channel, ChannelClosed, Selected, aselect, select

# To look for the shortest way to a failure takes a while.
pytestmark = pytest.mark.timeout(600)

CHANNELS = 3
PATIENCE = f"{WAIT}s"

# At most one send of an operation on each channel: otherwise the result would not say which it was.
CASES = st.lists(
    st.tuples(st.integers(0, CHANNELS - 1), st.booleans()),
    min_size=1,
    max_size=5,
    unique_by=lambda drawn: (drawn[0], "send") if drawn[1] else object(),
)


@dataclass(eq=False)
class Started:
    """An operation that has not ended when it was last looked at."""

    operation: Operation
    end: "Future[Outcome] | asyncio.Task[Outcome]"


class Channels(RuleBasedStateMachine):
    @initialize(capacities=st.tuples(*[st.integers(0, 2)] * CHANNELS))
    def create(self, capacities: tuple[int, ...]) -> None:
        self.loop = asyncio.new_event_loop()
        self.channels: list[Channel[int]] = [Channel(capacity) for capacity in capacities]
        self.model = Model([*capacities])
        self.started: list[Started] = []
        self.values = itertools.count()

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            for number in range(CHANNELS):
                self.close(number)
            assert not self.model.waiting
            self.settle()
        finally:
            self.loop.close()

    # -------------------------------------------------------------- what is done

    @rule(drawn=CASES, single=st.booleans())
    def at_once_or_not_at_all(self, drawn: list[tuple[int, bool]], single: bool) -> None:
        """By this thread, without waiting."""
        operation = self.operation(drawn[: 1 if single else None])
        possible = self.model.outcomes(operation)
        try:
            chosen = select(self.cases(operation), default=True)
        except ChannelClosed:
            assert CLOSED in possible
            return
        assert chosen.default == (not possible)
        if possible:
            self.done(operation, self.outcome(chosen))

    @rule(drawn=CASES, single=st.booleans())
    def within_a_moment(self, drawn: list[tuple[int, bool]], single: bool) -> None:
        """By this thread, which gives up if it is not possible."""
        operation = self.operation(drawn[: 1 if single else None])
        timeout = PATIENCE if self.model.outcomes(operation) else "1ms"
        try:
            outcome = self.run(operation, timeout)
        except TimeoutError:
            assert not self.model.outcomes(operation)
        else:
            self.done(operation, outcome)

    @rule(drawn=CASES, single=st.booleans())
    def in_a_thread(self, drawn: list[tuple[int, bool]], single: bool) -> None:
        operation = self.operation(drawn[: 1 if single else None])
        end = in_thread(lambda: self.run(operation, None))
        if self.model.outcomes(operation):
            self.done(operation, end.result(WAIT))
        else:
            self.wait(Started(operation, end))

    @rule(drawn=CASES, single=st.booleans())
    def in_a_task(self, drawn: list[tuple[int, bool]], single: bool) -> None:
        self.settle()
        operation = self.operation(drawn[: 1 if single else None])
        task = self.loop.create_task(self.arun(operation))
        self.turn()
        if self.model.outcomes(operation):
            assert task.done()
            self.done(operation, task.result())
            self.settle()  # another task may have been served, and has gone on
        else:
            self.wait(Started(operation, task))

    @rule(number=st.integers(0, CHANNELS - 1))
    def close(self, number: int) -> None:
        self.channels[number].close()
        self.model.close(number)

    @precondition(lambda self: any(isinstance(s.end, asyncio.Task) for s in self.started))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """One that waits, or one that has been served and does not know it yet."""
        tasks = [started for started in self.started if isinstance(started.end, asyncio.Task)]
        started = data.draw(st.sampled_from(tasks))
        assert isinstance(started.end, asyncio.Task)
        started.end.cancel()
        self.model.cancel(started.operation)
        self.started.remove(started)
        self.turn()
        assert started.end.cancelled()
        self.settle()

    @rule()
    def settle(self) -> None:
        """All that have ended learn it."""
        self.turn()
        for started in [*self.started]:
            if started.operation.outcome is not None:
                if isinstance(started.end, asyncio.Task):
                    self.loop.run_until_complete(asyncio.wait([started.end], timeout=WAIT))
                    assert started.end.done()
                self.check_end(started)

    # -------------------------------------------------------------- what must hold

    @invariant()
    def threads_that_are_served_go_on(self) -> None:
        for started in [*self.started]:
            if started.operation.outcome is not None and isinstance(started.end, Future):
                self.check_end(started)

    @invariant()
    def nobody_else_has_ended(self) -> None:
        for started in self.started:
            assert started.operation.outcome is not None or not started.end.done()

    @invariant()
    def the_buffers_are_the_same(self) -> None:
        for channel, model in zip(self.channels, self.model.channels, strict=True):
            assert list(channel._buffer) == list(model.buffer)
            assert len(channel) == len(model.buffer)
            assert channel.closed == model.closed

    @invariant()
    def the_same_are_waiting(self) -> None:
        # Who does not know yet that it was served still stands in the queues of other channels.
        if all(started.operation.outcome is None for started in self.started):
            for number, channel in enumerate(self.channels):
                assert count(channel) == self.model.count(number)

    # -------------------------------------------------------------- how

    def operation(self, drawn: list[tuple[int, bool]]) -> Operation:
        return Operation(
            [Case(number, next(self.values) if sends else None) for number, sends in drawn]
        )

    def cases(self, operation: Operation) -> list[Any]:
        return [
            self.channels[number].case_receive()
            if value is None
            else self.channels[number].case_send(value)
            for number, value in operation.cases
        ]

    def outcome(self, chosen: Selected) -> Outcome:
        assert chosen.channel is not None
        numbers = [number for number, each in enumerate(self.channels) if each is chosen.channel]
        return Outcome(numbers[0], chosen.value, chosen.ok)

    def run(self, operation: Operation, timeout: str | None) -> Outcome:
        """By the channel's own methods if there is one case, by `select` if there are several."""
        (number, value), *others = operation.cases
        try:
            if others:
                return self.outcome(select(self.cases(operation), timeout=timeout))
            if value is None:
                return Outcome(number, *self.channels[number].receive(timeout))
            self.channels[number].send(value, timeout)
            return Outcome(number, None, True)
        except ChannelClosed:
            return CLOSED

    async def arun(self, operation: Operation) -> Outcome:
        (number, value), *others = operation.cases
        try:
            if others:
                return self.outcome(await aselect(self.cases(operation)))
            if value is None:
                return Outcome(number, *await self.channels[number].areceive())
            await self.channels[number].asend(value)
            return Outcome(number, None, True)
        except ChannelClosed:
            return CLOSED

    def done(self, operation: Operation, outcome: Outcome) -> None:
        """It has ended at once, in a way that was possible."""
        self.model.do(self.model.outcomes(operation)[outcome])

    def wait(self, started: Started) -> None:
        self.model.wait(started.operation)
        self.started.append(started)
        if isinstance(started.end, Future):
            # Its own entries are what is not there yet; unseen ends of tasks would leave others.
            self.settle()
            for number, channel in enumerate(self.channels):
                until_waiting(channel, *self.model.count(number))

    def check_end(self, started: Started) -> None:
        self.started.remove(started)
        if isinstance(started.end, Future):
            assert started.end.result(WAIT) == started.operation.outcome
        else:
            assert started.end.result() == started.operation.outcome

    def turn(self) -> None:
        """Lets all tasks run that can."""

        async def turns() -> None:
            for _ in range(4):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())


def in_thread(act: Callable[[], Outcome]) -> "Future[Outcome]":
    end: Future[Outcome] = Future()

    def run() -> None:
        try:
            end.set_result(act())
        except (AssertionError, TimeoutError) as exc:
            end.set_exception(exc)

    # A daemon: if a test fails, those that wait do so for ever.
    threading.Thread(target=run, daemon=True).start()
    return end


Channels.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestChannels = Channels.TestCase
