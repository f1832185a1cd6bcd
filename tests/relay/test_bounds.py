"""Slow clients, full mailboxes, and what is left over: nothing."""

import asyncio
import gc
import threading
from typing import Any

import pytest
from process_helpers import event, gone, until
from relay_helpers import Running, connected, inviting, join, logged, refusal, told

from wsfast import process, relay
from wsfast.process import PID
from wsfast.process.node import node
from wsfast.relay.connection import Connection
from wsfast.relay.queues import Queue
from wsfast.relay.settings import Settings

MUCH = 1 << 20


def stuff(pid: PID, size: int = MUCH, most: int = 1000) -> int:
    """Sends until nothing more is taken; how many were."""
    for count in range(most):
        if not process.send(pid, "ws.send", {"data": b"%06d" % count + bytes(size - 6)}):
            return count
    raise AssertionError


# -------------------------------------------------------------- slow clients


@pytest.mark.parametrize("bound", [{"queue_messages": 3}, {"queue_bytes": 3 * MUCH}])
def test_a_slow_client_is_closed(server: Running, me: PID, bound: dict[str, Any]) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), close_timeout="10s", **bound)
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        assert stuff(pid) >= 3
        assert client.closed_with() == (1013, "too slow a client")
        assert told("ws.leave")["reason"] == "too slow a client"
        ended = event()
        assert ended.reason == "websocket closed: 1013 too slow a client"
        assert ended.result["code"] == 1013


def test_a_client_that_takes_nothing_is_given_up(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), queue_messages=3, close_timeout="10ms")
    with connected(server.port):
        pid = join()
        process.monitor(pid)
        stuff(pid)
        assert told("ws.leave")["reason"] == "too slow a client"
        ended = event()
        assert ended.result["code"] == 1013
        until(lambda: gone(pid))


def test_a_slow_client_holds_nobody_up(server: Running, me: PID) -> None:
    """Neither the target, nor another client."""
    server.stage.app = relay.WebSocketRelay(inviting(me), queue_messages=10, overflow="drop_newest")
    with connected(server.port), connected(server.port) as client:
        pids = [join(), join()]
        client.say("who")
        other = told("ws.message")["client_pid"]
        pids.remove(other)
        stuff(pids[0])
        for number in range(100):
            process.send(pids[0], "ws.send", {"data": "lost"})
            process.send(other, "ws.send", {"data": str(number)})
            assert client.hear() == str(number)


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
def test_what_is_too_much_may_be_dropped(server: Running, me: PID, overflow: Any) -> None:
    server.stage.app = relay.WebSocketRelay(
        inviting(me), queue_messages=3, queue_bytes=100 * MUCH, overflow=overflow
    )
    with connected(server.port) as client:
        pid = join()
        if overflow == "drop_newest":
            sent = stuff(pid)
            process.send(pid, "ws.close")  # for which there is always room
            heard = [bytes(client.hear()[:6]) for _ in range(sent)]  # type: ignore[arg-type]
            assert heard == [b"%06d" % number for number in range(sent)]
            assert client.closed_with() == (1000, "")
        else:
            for number in range(60):
                assert process.send(pid, "ws.send", {"data": b"%06d" % number + bytes(MUCH - 6)})
            process.send(pid, "ws.close")
            numbers = []
            while (received := client.read_frame()).opcode == 2:
                numbers.append(int(received.payload[:6]))
            assert numbers[-3:] == [57, 58, 59]
            assert len(numbers) < 60
            assert numbers == sorted(numbers)
            client.send(b"\x88\x80\0\0\0\0")
            client.read_to_end()
        told("ws.leave")


def test_writing_takes_too_long(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(
        inviting(me), write_timeout="20ms", close_timeout="10ms", queue_bytes=1 << 30
    )
    with connected(server.port):
        pid = join()
        process.monitor(pid)
        for _ in range(30):
            process.send(pid, "ws.send", {"data": bytes(MUCH)})
        assert told("ws.leave")["reason"] == "too slow a client"
        assert event().result["code"] == 1013


def message(topic: str, size: int = 0) -> process.Message:
    return process.Message(topic, {"data": bytes(size)}, None)


def test_there_is_room_for_what_is_not_for_the_client() -> None:
    """But not without bound, and it is not dropped for others."""
    queue = Queue(Settings.of(queue_messages=2, overflow="drop_oldest"))
    control = message("ws.control")
    assert queue.put(control)
    for number in range(4):
        assert queue.put(message("ws.send", number))
    left = [queue.take() for _ in range(len(queue))]
    assert left == [control, message("ws.send", 2), message("ws.send", 3)]
    assert [queue.put(control) for _ in range(103)] == [True] * 102 + [False]


# -------------------------------------------------------------- full mailboxes


def test_a_full_mailbox_slows_the_client_down(server: Running, me: PID) -> None:
    """Until there is room; nothing is lost."""

    def target() -> int:
        release.wait()
        numbers = []
        for message in process.inbox():
            if message.topic == "ws.message":
                numbers.append(int(message.payload["data"]))
            elif message.topic == "ws.leave":
                break
        assert numbers == [*range(100)]
        return process.inbox().dropped

    release = threading.Event()
    pid = process.spawn(target, mailbox_size=5, monitor=True)
    server.stage.app = relay.WebSocketRelay(inviting(pid))
    with connected(server.port) as client:
        found = node().find(pid)
        assert found is not None
        for number in range(100):
            client.say(str(number))
        until(lambda: len(found.inbox) == 5)
        release.set()
        client.leave()
        assert event() == process.Event(process.EXIT, pid, 0, "normal")


@pytest.mark.parametrize("size", [1, 3])
def test_a_mailbox_that_stays_full_closes(
    server: Running, me: PID, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """For the join, or for a message; and the leave cannot be told then either."""
    pid = process.spawn(release_and_end, mailbox_size=size)
    if size == 1:
        process.send(pid, "in the way")
    server.stage.app = relay.WebSocketRelay(inviting(pid), delivery_timeout="20ms")
    with connected(server.port) as client:
        if size > 1:
            for _ in range(5):
                client.say("hello")
        assert client.closed_with() == (1013, "target process is busy")
    until(lambda: len(node().processes()) == 2)  # the test, and the target
    assert ("no room for ws.leave" in logged(caplog)) is (size > 1)
    process.cancel(pid)


def release_and_end() -> None:
    process.events().receive()


def test_a_transfer_to_who_has_no_room(server: Running, me: PID) -> None:
    other = process.spawn(release_and_end, mailbox_size=1)
    process.send(other, "in the way")
    process.listen("ws.heartbeat")
    server.stage.app = relay.WebSocketRelay(
        inviting(me, heartbeat_interval="1ms"), delivery_timeout="20ms"
    )
    with connected(server.port) as client:
        pid = join()
        process.send(pid, "ws.control", {"target_pid": other})
        assert told("ws.leave")["reason"] == "transferred"
        assert client.closed_with() == (1013, "target process is busy")
    process.cancel(other)
    assert len(process.inbox()) == 0


def test_a_target_that_drops_the_oldest(server: Running, me: PID) -> None:
    def target() -> list[str]:
        release.wait()
        topics = [message.topic for message in [next(process.inbox()) for _ in range(3)]]
        return topics

    release = threading.Event()
    pid = process.spawn(target, mailbox_size=3, overflow="drop_oldest", monitor=True)
    server.stage.app = relay.WebSocketRelay(inviting(pid))
    with connected(server.port) as client:
        for _ in range(20):
            client.say("hello")
        client.leave()
        found = node().find(pid)
        assert found is not None
        until(lambda: [each.topic for each in [*found.inbox._buffer]][-1:] == ["ws.leave"])
        release.set()
        assert event().result == ["ws.message", "ws.message", "ws.leave"]


# -------------------------------------------------------------- what is left over


def leftovers() -> dict[str, int]:
    gc.collect()
    return {
        "processes": len(node().processes()),
        "names": len(node().names()),
        "threads": threading.active_count(),
        "connections": sum(isinstance(each, Connection) for each in gc.get_objects()),
        "mailboxes": sum(isinstance(each, process.Mailbox) for each in gc.get_objects()),
        "tasks": sum(
            isinstance(each, asyncio.Task) and not each.done() for each in gc.get_objects()
        ),
    }


def test_nothing_is_left_over(server: Running, me: PID, caplog: pytest.LogCaptureFixture) -> None:
    """After every kind of end."""

    async def crash() -> None:
        await process.inbox().areceive()
        raise ValueError

    async def end() -> None:
        await process.inbox().areceive()

    caplog.set_level("CRITICAL")
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port):
        join()
    told("ws.leave")
    until(lambda: len(node().processes()) == 1)
    caplog.clear()
    before = leftovers()
    for number in range(3):
        for how in ("leave", "reset", "ws.close", "cancel", "crash", "end", "refused", "malformed"):
            target: Any = me
            if how in ("crash", "end"):
                target = process.spawn(crash if how == "crash" else end)
            elif how == "refused":
                target = "nobody"
            server.stage.app = relay.WebSocketRelay(inviting(target, heartbeat_interval="1h"))
            if how == "malformed":
                server.stage.app = relay.WebSocketRelay(inviting(me), allowed_origins=[])
            if how in ("refused", "malformed"):
                refuse(server)
                continue
            with connected(server.port) as client:
                if target is me:
                    pid = join()
                    process.registry.register(f"{how} {number}", pid)
                    if how == "leave":
                        client.leave()
                    elif how == "reset":
                        client.reset()
                    elif how == "ws.close":
                        process.send(pid, "ws.close")
                    else:
                        process.cancel(pid)
                if how not in ("leave", "reset"):
                    client.closed_with()
                if target is me:
                    told("ws.leave")
    server.stage.app = None
    caplog.clear()
    del target
    until(lambda: leftovers() == before)


def refuse(server: Running) -> None:
    assert refusal(server.port, b"Origin: http://evil.example")[0] in (403, 404)
