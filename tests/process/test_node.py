"""What a node asks of the other nodes."""

from collections.abc import Iterator
from typing import Any

import pytest
from process_helpers import event, wait_for_end

from wsfast import process
from wsfast.process import NOCONNECTION, PID, NameTaken, registry
from wsfast.process.messages import Message, Signal, SignalKind
from wsfast.process.node import node

FAR = PID("far", "host", 1)


class Others:
    """Notes down what it is asked for."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.reached = True
        self.names = {"far": FAR}

    def _note(self, *entry: Any) -> bool:
        self.log.append(entry)
        return self.reached

    def send(self, to: PID, message: Message) -> bool:
        return self._note("send", to, message)

    def signal(self, to: PID, signal: Signal) -> bool:
        return self._note("signal", to, signal)

    def cancel(self, to: PID, sender: PID | None, reason: str, grace: float | None) -> bool:
        return self._note("cancel", to, sender, reason, grace)

    def lookup(self, name: str) -> PID | None:
        return self.names.get(name)

    def claim(self, name: str, pid: PID) -> None:
        if name in self.names:
            raise NameTaken(name)
        self._note("claim", name, pid)

    def release(self, name: str, pid: PID) -> None:
        self._note("release", name, pid)


@pytest.fixture
def others() -> Iterator[Others]:
    node().elsewhere = found = Others()
    yield found
    node().elsewhere = None


def test_what_is_not_here_is_theirs(me: PID, others: Others) -> None:
    assert process.send("far", "topic", 1)
    assert process.cancel(str(FAR), "reason", "1s")
    assert process.monitor("far") == process.link(FAR) == registry.lookup("far") == FAR
    assert others.log == [
        ("send", FAR, ("topic", 1, me)),
        ("cancel", FAR, me, "reason", 1.0),
        ("signal", FAR, Signal(SignalKind.MONITOR, me)),
        ("signal", FAR, Signal(SignalKind.LINK, me)),
    ]


def test_whom_they_do_not_reach(me: PID, others: Others) -> None:
    others.reached = False
    assert not process.send(FAR, "topic", 1)
    assert not process.cancel(FAR)
    process.monitor(FAR)
    process.link(FAR)
    assert [event().reason for _ in range(2)] == [NOCONNECTION] * 2


def test_a_name_is_claimed_and_released(me: PID, others: Others) -> None:
    other = process.spawn(wait_for_end, name="name", monitor=True)
    registry.register("name", other)
    process.cancel(other)
    event()
    registry.register("mine")
    registry.unregister("mine")
    assert others.log == [
        ("claim", "name", other),
        ("release", "name", other),
        ("claim", "mine", me),
        ("release", "mine", me),
    ]


def test_a_name_that_they_have_is_taken(me: PID, others: Others) -> None:
    with pytest.raises(NameTaken):
        registry.register("far")
    assert node().names() == {}
    assert process.send("far", "topic")


def test_who_ends_while_its_name_is_claimed_does_not_keep_it(me: PID, others: Others) -> None:
    claim = others.claim

    def claiming(name: str, pid: PID) -> None:
        process.cancel(pid)
        while process.send(pid, "topic") or node().find(pid):
            pass
        claim(name, pid)

    others.claim = claiming  # type: ignore[method-assign]
    other = process.spawn(wait_for_end, monitor=True)
    registry.register("name", other)
    assert others.log[-2:] == [("claim", "name", other), ("release", "name", other)]
