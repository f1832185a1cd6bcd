"""What passes between a client and its target (seed 003, "Topicos de Mensagens")."""

import logging
from typing import Any

import pytest
from process_helpers import event, gone, until
from relay_helpers import Running, connected, inviting, join, logged, told

from wsfast import process, relay
from wsfast.process import PID


def test_the_target_is_told_of_everything(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me, metadata={"user_id": 7}))
    with connected(server.port) as client:
        joined = told("ws.join")
        pid = joined["client_pid"]
        assert isinstance(pid, PID)
        assert joined == {"client_pid": pid, "metadata": {"user_id": 7}}
        client.say("grüße")
        assert told("ws.message") == {
            "client_pid": pid,
            "type": "text",
            "data": "grüße",
            "metadata": {"user_id": 7},
        }
        client.say(b"\x00\xff")
        assert told("ws.message") == {
            "client_pid": pid,
            "type": "binary",
            "data": b"\x00\xff",
            "metadata": {"user_id": 7},
        }
        client.leave(1000, "bye")
        left = told("ws.leave")
        assert left.pop("reason") == (
            "connection lost" if server.protocol == "hypercorn" else "bye"
        )
        assert left == {"client_pid": pid, "metadata": {"user_id": 7}}
    until(lambda: gone(pid))
    assert len(process.inbox()) == 0


def test_without_options(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        assert told("ws.join")["metadata"] == {}
        client.say("")
        assert told("ws.message")["data"] == ""


def test_a_topic_of_ones_own(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me, message_topic="chat"))
    with connected(server.port) as client:
        join()
        client.say("hello")
        assert told("chat")["data"] == "hello"
        client.leave()
        told("ws.leave")


def test_the_target_may_be_a_name(server: Running, me: PID) -> None:
    process.registry.register("room")
    server.stage.app = relay.WebSocketRelay(inviting("room"))
    with connected(server.port) as client:
        join()
        client.say("hello")
        assert told("ws.message")["data"] == "hello"


@pytest.mark.parametrize(
    ("payload", "received"),
    [
        ({"type": "text", "data": "grüße"}, "grüße"),
        ({"type": "binary", "data": b"\x00\xff"}, b"\x00\xff"),
        ({"type": "binary", "data": memoryview(b"view")}, b"view"),
        ({"type": "binary", "data": bytearray(b"array")}, b"array"),
        ({"data": "text"}, "text"),
        ({"data": b"bytes"}, b"bytes"),
        ({"type": "text", "data": "grüße".encode()}, "grüße"),
        ({"type": "binary", "data": "grüße"}, "grüße".encode()),
        ({"type": "text", "data": ""}, ""),
    ],
)
def test_what_processes_send(
    server: Running, me: PID, payload: dict[str, Any], received: str | bytes
) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        assert process.send(pid, "ws.send", payload)
        assert client.hear() == received


@pytest.mark.parametrize(
    ("topic", "payload", "problem"),
    [
        ("ws.send", None, "must be a mapping"),
        ("ws.send", "text", "must be a mapping"),
        ("ws.send", {}, "data must be str or bytes-like"),
        ("ws.send", {"type": "text", "data": 7}, "data must be"),
        ("ws.send", {"type": "json", "data": "{}"}, "'text' or 'binary', not 'json'"),
        ("ws.send", {"type": "text", "data": b"\xff"}, "invalid start byte"),
        ("ws.control", {}, "target_pid must be"),
        ("ws.control", {"target_pid": "{x}"}, "not a PID"),
        ("ws.control", {"target_pid": "x", "message_topic": ""}, "must not be empty"),
        ("ws.sned", {}, "does not know 'ws.sned'"),
    ],
)
def test_what_is_wrong_is_logged_and_changes_nothing(
    server: Running,
    me: PID,
    caplog: pytest.LogCaptureFixture,
    topic: str,
    payload: Any,
    problem: str,
) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.send(pid, topic, payload)
        process.send(pid, "ws.send", {"data": "still here"})
        assert client.hear() == "still here"
        client.say("me too")
        assert told("ws.message")["data"] == "me too"
    assert problem in logged(caplog)


def test_everybody_may_send(server: Running, me: PID) -> None:
    """From other processes, threads and tasks, by PID and by its str."""

    def thread() -> None:
        process.send(pid, "ws.send", {"data": "thread"})

    async def task() -> None:
        process.send(str(pid), "ws.send", {"data": "task"})

    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        for fn in (thread, task):
            process.spawn(fn)
            assert client.hear() == fn.__name__


def test_one_room_has_many_clients(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as first, connected(server.port) as second:
        pids = {join(), join()}
        for pid in pids:
            process.send(pid, "ws.send", {"data": "to all"})
        assert [first.hear(), second.hear()] == ["to all", "to all"]
        second.leave()
        assert told("ws.leave")["client_pid"] in pids


def test_order_is_kept_both_ways(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), queue_messages=10_000)
    with connected(server.port) as client:
        pid = join()
        for number in range(500):
            client.say(str(number))
            process.send(pid, "ws.send", {"data": str(number)})
        assert [told("ws.message")["data"] for _ in range(500)] == [*map(str, range(500))]
        assert [client.hear() for _ in range(500)] == [*map(str, range(500))]


def test_heartbeats(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(
        inviting(me, heartbeat_interval="5ms", metadata={"a": 1})
    )
    with connected(server.port) as client:
        pid = join()
        first, second = told("ws.heartbeat"), told("ws.heartbeat")
        assert first == {
            "client_pid": pid,
            "uptime": first["uptime"],
            "message_count": 0,
            "metadata": {"a": 1},
        }
        assert 0 < first["uptime"] < second["uptime"]
        messages = process.listen("ws.message")
        client.say("one")
        client.say("two")
        for _ in range(2):
            messages.receive("60s")
        counts = (told("ws.heartbeat")["message_count"] for _ in range(10_000))
        assert 2 in counts
        client.leave()
        until(lambda: gone(pid))
        # None comes after the leave.
        assert [each.topic for each in process.inbox()._buffer][-1] == "ws.leave"


@pytest.mark.parametrize("interval", [None, 0, "0s"])
def test_no_heartbeats_unless_asked_for(server: Running, me: PID, interval: Any) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me, heartbeat_interval=interval))
    with connected(server.port) as client:
        pid = join()
        found: Any = [each for each in process.inbox()._buffer if each.topic == "ws.heartbeat"]
        client.leave()
        told("ws.leave")
        until(lambda: gone(pid))
        assert found == []


def test_a_message_that_is_too_long(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), read_limit=10)
    for fits, long in ((b"x" * 10, b"x" * 11), ("ü" * 5, "ü" * 5 + "x"), ("x" * 10, "x" * 11)):
        with connected(server.port) as client:
            pid = join()
            process.monitor(pid)
            client.say(fits)
            assert told("ws.message")["data"] == fits
            client.say(long)
            assert client.closed_with() == (1009, "a message may have 10 bytes")
            assert told("ws.leave")["reason"] == "a message may have 10 bytes"
            ended = event()
            assert ended.reason == "websocket closed: 1009 a message may have 10 bytes"
            assert ended.result["code"] == 1009


def test_no_warning_without_a_reason(
    server: Running, me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        join()
        client.leave()
        told("ws.leave")
    assert logged(caplog, logging.DEBUG) == ""
