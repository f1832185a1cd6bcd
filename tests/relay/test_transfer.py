"""`ws.control`: another process becomes the target (seed 003, "Transferencia de Conexao")."""

import itertools
import os
import threading
from typing import Any

import pytest
from process_helpers import event, until
from relay_helpers import Running, connected, inviting, join, logged, told

from wsfast import process, relay
from wsfast.process import PID
from wsfast.process.node import node


def forwarding(me: PID) -> None:
    """A target that lets the test see what it gets."""
    for message in process.inbox():
        process.send(me, "seen", (message.topic, message.payload))


def seen() -> tuple[str, dict[str, Any]]:
    message, ok = process.inbox().receive("60s")
    assert ok
    assert message is not None
    assert message.topic == "seen", message
    topic, payload = message.payload
    return topic, payload


@pytest.mark.parametrize("topic", [None, "other.topic"])
def test_old_and_new_target_are_told(server: Running, me: PID, topic: str | None) -> None:
    other = process.spawn(forwarding, me)
    server.stage.app = relay.WebSocketRelay(
        inviting(me, message_topic="first.topic", metadata={"a": 1})
    )
    with connected(server.port) as client:
        pid = join()
        client.say("to the first")
        assert told("first.topic")["data"] == "to the first"
        control = (
            {"target_pid": other}
            if topic is None
            else {"target_pid": str(other), "message_topic": topic}
        )
        process.send(pid, "ws.control", control)
        left = told("ws.leave")
        assert left == {"client_pid": pid, "reason": "transferred", "metadata": {"a": 1}}
        assert seen() == ("ws.join", {"client_pid": pid, "metadata": {"a": 1}})
        client.say("to the second")
        assert seen() == (
            topic or "first.topic",
            {"client_pid": pid, "type": "text", "data": "to the second", "metadata": {"a": 1}},
        )
        client.leave()
        assert seen()[0] == "ws.leave"
    process.cancel(other)


def test_the_monitor_moves(server: Running, me: PID) -> None:
    first, second = process.spawn(forwarding, me), process.spawn(forwarding, me)
    server.stage.app = relay.WebSocketRelay(inviting(first))
    with connected(server.port) as client:
        pid = seen()[1]["client_pid"]
        process.send(pid, "ws.control", {"target_pid": second})
        assert {seen()[0], seen()[0]} == {"ws.leave", "ws.join"}
        process.monitor(first)
        process.cancel(first)
        assert event().sender == first
        client.say("still here")
        assert seen()[1]["data"] == "still here"
        process.cancel(second)
        assert client.closed_with() == (1001, "target process exited")


def test_heartbeats_go_to_the_new_target(server: Running, me: PID) -> None:
    other = process.spawn(forwarding, me)
    server.stage.app = relay.WebSocketRelay(inviting(me, heartbeat_interval="1ms"))
    with connected(server.port) as client:
        pid = join()
        told("ws.heartbeat")
        beats = process.listen("ws.heartbeat")
        process.send(pid, "ws.control", {"target_pid": other})
        told("ws.leave")
        assert seen()[0] == "ws.join"
        count = len(beats)
        assert seen()[0] == "ws.heartbeat"
        assert len(beats) == count
        process.cancel(other)
        assert client.closed_with()[0] == 1001


@pytest.mark.parametrize("target", ["nobody", "ended", "{other@host|1}"])
def test_to_nobody(server: Running, me: PID, target: str, caplog: pytest.LogCaptureFixture) -> None:
    if target == "ended":
        pid = process.spawn(int, monitor=True)
        event()
        target = str(pid)
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.send(pid, "ws.control", {"target_pid": target})
        if target.startswith("{other"):
            assert client.closed_with() == (1011, "target process lost")
        else:
            assert client.closed_with() == (1001, "target process exited")
        told("ws.leave")
    assert ("which there is not" in logged(caplog)) is (target == "nobody")


def test_to_the_same(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.send(pid, "ws.control", {"target_pid": me, "message_topic": "new"})
        assert told("ws.leave")["reason"] == "transferred"
        assert join() == pid
        client.say("hello")
        assert told("new")["data"] == "hello"


class Witness:
    """A target that writes down what it gets, as one list of numbers for each of its turns."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.left = 0
        self.early: list[Any] = []
        self.client: PID | None = None

    def take(self, message: process.Message) -> None:
        if message.topic == "ws.join":
            self.client = message.payload["client_pid"]
            self.turns.append([])
        elif message.topic == "ws.leave":
            self.left += 1
        elif self.left == len(self.turns):
            self.early.append(message)
        else:
            self.turns[-1].append(int(message.payload["data"]))

    def thread(self) -> None:
        for message in process.inbox():
            self.take(message)

    async def task(self) -> None:
        async for message in process.inbox():
            self.take(message)


def hand_round(server: Running, transfers: int, numbers: int) -> None:
    """A client sends numbered messages while its socket is handed round, from one of four targets
    to the next, threads and tasks. Each number must come once, in order, within a turn."""
    witnesses = [Witness() for _ in range(4)]
    targets = [
        process.spawn(each.thread if index % 2 else each.task)
        for index, each in enumerate(witnesses)
    ]
    server.stage.app = relay.WebSocketRelay(inviting(targets[0]))
    fired = [0]

    def moved() -> int:
        return sum(len(each.turns) for each in witnesses) - 1

    def came() -> int:
        return sum(len(turn) for each in witnesses for turn in [*each.turns])

    def fire() -> None:
        for number in range(numbers):
            until(lambda: fired[0] * transfers <= (moved() + 1) * numbers)
            client.say(str(number))
            fired[0] = number + 1

    with connected(server.port) as client:
        until(lambda: witnesses[0].client)
        pid = witnesses[0].client
        assert pid is not None
        firing = threading.Thread(target=fire)
        firing.start()
        for count in range(1, transfers + 1):
            until(lambda count=count: fired[0] * transfers >= (count - 1) * numbers)
            process.send(pid, "ws.control", {"target_pid": targets[count % 4]})
        firing.join()
        until(lambda: moved() == transfers and came() >= numbers)
        client.leave()
    until(lambda: sum(each.left for each in witnesses) == transfers + 1)
    for each in targets:
        process.cancel(each)
    assert [each.early for each in witnesses] == [[]] * 4
    turns = [witnesses[count % 4].turns[count // 4] for count in range(transfers + 1)]
    assert [number for turn in turns for number in turn] == [*range(numbers)]
    # It was under fire indeed, as far as the machine lets them go on at once.
    assert sum(1 for turn in turns if turn) > transfers / 10


def test_under_fire(server: Running) -> None:
    hand_round(
        server,
        transfers=int(os.environ.get("RELAY_TRANSFERS", "100")),
        numbers=int(os.environ.get("RELAY_NUMBERS", "1000")),
    )


def test_a_full_mailbox_of_the_old_target_does_not_lose_the_leave(server: Running, me: PID) -> None:
    def full() -> None:
        process.inbox()
        release.wait()
        for message in process.inbox():
            process.send(me, "seen", (message.topic, message.payload))

    release = threading.Event()
    old = process.spawn(full, mailbox_size=2)
    server.stage.app = relay.WebSocketRelay(inviting(old))
    with connected(server.port) as client:
        client.say("fills it up")
        found = node().find(old)
        assert found is not None
        until(lambda: len(found.inbox) == 2)
        pid = found.inbox._buffer[0].sender
        assert pid is not None
        client.say("finds no room")
        process.send(pid, "ws.control", {"target_pid": me})
        release.set()
        by_old, by_me = [], []
        for message in itertools.islice(process.inbox(), 5):
            if message.topic == "seen":
                by_old.append(message.payload[0])
            else:
                by_me.append(message.topic)
        # What had no room goes to one of the two, which of them depends.
        assert (by_old, by_me) in (
            (["ws.join", "ws.message", "ws.message", "ws.leave"], ["ws.join"]),
            (["ws.join", "ws.message", "ws.leave"], ["ws.join", "ws.message"]),
        )
    process.cancel(old)
