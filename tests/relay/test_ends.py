"""How a connection ends, what the other side gets, and who is told of it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from process_helpers import event, gone, until
from relay_helpers import Running, connected, inviting, join, logged, told

from wsfast import process, relay
from wsfast.process import PID


def crash() -> None:
    raise ValueError("a secret")


def exit_of(pid: PID) -> tuple[str, Any]:
    ended = event()
    assert (ended.kind, ended.sender) == (process.EXIT, pid)
    return ended.reason, ended.result


# -------------------------------------------------------------- the client ends it


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (1001, ""), (4321, "my own")])
def test_the_client_closes(server: Running, me: PID, code: int, reason: str) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        client.leave(code, reason)
        if server.protocol == "hypercorn":  # which does not say how a client has closed
            code, reason = 1006, ""
            left, exited = "connection lost", "websocket closed: 1006"
        else:
            left, exited = reason or "closed", "normal"
        assert told("ws.leave")["reason"] == left
        result = {"code": code, "reason": reason, "clean": code != 1006}
        assert exit_of(pid) == (exited, result)
        assert not process.send(pid, "ws.send", {"data": "too late"})


def test_what_the_client_sends_before_it_closes_comes(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    for _ in range(5):
        with connected(server.port) as client:
            join()
            for number in range(20):
                client.say(str(number))
            client.leave()
            assert [told("ws.message")["data"] for _ in range(20)] == [*map(str, range(20))]
            told("ws.leave")


@pytest.mark.parametrize("how", ["reset", "close"])
def test_the_client_is_lost(server: Running, me: PID, how: str) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        client.reset() if how == "reset" else client.sock.close()
        assert told("ws.leave")["reason"] == "connection lost"
        assert exit_of(pid) == (
            "websocket closed: 1006",
            {"code": 1006, "reason": "", "clean": False},
        )


def test_a_client_that_violates_the_protocol(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        client.send(b"\x83\x80\0\0\0\0")  # an opcode that there is not
        client.read_to_end()
        told("ws.leave")
        reason, result = exit_of(pid)
        assert reason.startswith("websocket closed: 100")
        assert result["code"] in (1002, 1006)


# -------------------------------------------------------------- processes end it


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        ({"code": 1000, "reason": "Sessão encerrada"}, 1000, "Sessão encerrada"),
        ({"code": 4001}, 4001, ""),
        ({"reason": None}, 1000, ""),
        (None, 1000, ""),
        ({"code": 3000, "reason": "ü" * 100}, 3000, "ü" * 61),
    ],
)
def test_closing(server: Running, me: PID, payload: Any, code: int, reason: str) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        process.send(pid, "ws.send", {"data": "first"})
        assert process.send(pid, "ws.close", payload)
        assert not process.send(pid, "ws.send", {"data": "too late"})
        assert client.hear() == "first"
        assert client.closed_with() == (code, reason)
        assert told("ws.leave")["reason"] == (reason or "closed")
        assert exit_of(pid) == ("normal", {"code": code, "reason": reason, "clean": True})


@pytest.mark.parametrize(
    "payload", [{"code": 1006}, {"code": "1000"}, {"code": 99}, {"reason": 7}, "bye"]
)
def test_a_close_that_is_wrong_closes_all_the_same(
    server: Running, me: PID, caplog: pytest.LogCaptureFixture, payload: Any
) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        process.send(join(), "ws.close", payload)
        assert client.closed_with() == (1000, "")
        told("ws.leave")
    assert "ws.close for" in logged(caplog)


def returning() -> None:
    next(process.inbox())


async def areturning() -> None:
    message, _ = await process.inbox().areceive()
    process.send(message.payload["client_pid"], "ws.send", {"data": "last words"})


@pytest.mark.parametrize("fn", [returning, areturning])
def test_the_target_returns(server: Running, me: PID, fn: Callable[[], Any]) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(process.spawn(fn)))
    with connected(server.port) as client:
        if fn is areturning:
            assert client.hear() == "last words"
        assert client.closed_with() == (1000, "target process exited")


def test_what_a_target_sends_before_it_ends_comes(server: Running, me: PID) -> None:
    async def target() -> None:
        message, _ = await process.inbox().areceive()
        for number in range(50):
            process.send(message.sender, "ws.send", {"data": str(number)})

    def thread() -> None:
        pid = next(process.inbox()).sender
        assert pid is not None
        for number in range(50):
            process.send(pid, "ws.send", {"data": str(number)})

    for fn in (target, thread) * 5:
        server.stage.app = relay.WebSocketRelay(inviting(process.spawn(fn)))
        with connected(server.port) as client:
            assert [client.hear() for _ in range(50)] == [*map(str, range(50))]
            assert client.closed_with() == (1000, "target process exited")


def test_the_target_crashes(server: Running, me: PID, caplog: pytest.LogCaptureFixture) -> None:
    def target() -> None:
        message = next(process.inbox())
        process.send(me, "client", message.sender)
        next(process.inbox())
        crash()

    server.stage.app = relay.WebSocketRelay(inviting(process.spawn(target)))
    with connected(server.port) as client:
        pid = next(process.inbox()).payload
        process.monitor(pid)
        client.say("crash")
        assert client.closed_with() == (1011, "target process crashed")  # and no secrets
        reason, result = exit_of(pid)
        assert reason == "websocket closed: 1011 target process crashed"
        assert result == {"code": 1011, "reason": "target process crashed", "clean": True}


def test_the_target_is_cancelled(server: Running, me: PID) -> None:
    def target() -> None:
        for message in process.inbox():
            process.send(me, message.topic, message.payload)

    pid = process.spawn(target)
    server.stage.app = relay.WebSocketRelay(inviting(pid))
    with connected(server.port) as client:
        next(process.inbox())
        process.cancel(pid)
        assert client.closed_with() == (1001, "target process exited")


# -------------------------------------------------------------- the connection as a process


def test_it_is_a_process_while_it_lasts(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        assert PID.parse(str(pid)) == pid
        process.registry.register("client", pid)
        process.send("client", "ws.send", {"data": "hello"})
        assert client.hear() == "hello"
        client.leave()
        told("ws.leave")
        until(lambda: gone(pid))
        assert process.registry.lookup("client") is None
        process.monitor(pid)
        assert exit_of(pid) == ("noproc", None)
        assert not process.send(pid, "ws.send", {"data": "too late"})
        assert not process.cancel(pid)


@pytest.mark.parametrize(
    ("arguments", "reason"), [((), "cancelled"), (("kicked",), "kicked"), (("ü" * 100,), "ü" * 61)]
)
def test_it_can_be_cancelled(
    server: Running, me: PID, arguments: tuple[str, ...], reason: str
) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        assert process.cancel(pid, *arguments)
        assert client.closed_with() == (1001, reason)
        assert told("ws.leave")["reason"] == reason
        ended = (arguments or ("cancelled",))[0]
        assert exit_of(pid) == (ended, {"code": 1001, "reason": reason, "clean": True})


def test_a_crash_of_who_is_linked_closes_it(
    server: Running, me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    def linked(pid: PID) -> None:
        process.link(pid)
        crash()

    caplog.set_level(logging.CRITICAL, "wsfast")
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        process.spawn(linked, pid)
        assert client.closed_with() == (1011, "linked process exited")
        told("ws.leave")
        assert exit_of(pid)[0] == "ValueError: a secret"


def test_who_is_linked_and_returns_does_not(server: Running, me: PID) -> None:
    def linked(pid: PID) -> None:
        process.link(pid)

    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        other = process.spawn(linked, pid, monitor=True)
        assert exit_of(other)[0] == "normal"
        process.send(pid, "ws.send", {"data": "still here"})
        assert client.hear() == "still here"


@pytest.mark.parametrize("how", ["reset", "close"])
def test_links_go_down_with_a_client_that_is_lost(server: Running, me: PID, how: str) -> None:
    def linked(pid: PID) -> None:
        process.link(pid)
        process.send(me, "ready", process.pid())
        next(process.inbox())

    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.link(pid)
        other = process.spawn(linked, pid, monitor=True)
        next(process.inbox())
        if how == "reset" or server.protocol == "hypercorn":
            client.reset()
            told("ws.leave")
            down = {event(), event()}
            reason = "websocket closed: 1006"
            assert down == {
                process.Event(process.LINK_DOWN, pid, None, reason),
                process.Event(process.EXIT, other, None, reason),
            }
        else:
            client.leave()
            told("ws.leave")
            until(lambda: gone(pid))
            assert len(process.events()) == 0
            process.cancel(other)
            assert exit_of(other)[0] == "cancelled"


def test_any_process_may_monitor(server: Running, me: PID) -> None:
    async def watching(pid: PID) -> Any:
        process.monitor(pid)
        process.send(me, "ready")
        return (await process.events().areceive())[0]

    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        watcher = process.spawn(watching, pid, monitor=True)
        next(process.inbox())
        process.send(pid, "ws.close", {"code": 4000})
        assert client.closed_with() == (4000, "")
        told("ws.leave")
        result = {"code": 4000, "reason": "", "clean": True}
        seen = process.Event(process.EXIT, pid, result, "normal")
        assert exit_of(watcher) == ("normal", seen)


def test_a_client_that_does_not_answer_a_close(server: Running, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me), close_timeout="10ms")
    with connected(server.port) as client:
        pid = join()
        process.monitor(pid)
        process.send(pid, "ws.close", {"code": 4000})
        assert client.read_close().code == 4000
        told("ws.leave")
        assert exit_of(pid)[1]["code"] == 4000


def test_a_grace_that_is_over_ends_it(me: PID) -> None:
    """Where sending is stuck, and so nothing is looked at."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inviting(me)(scope, receive, send)

    async def receive() -> dict[str, Any]:
        if received:
            return received.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: dict[str, Any]) -> None:
        sent.append(event["type"])
        if event["type"] == "websocket.send":
            process.cancel(pid[0], "enough", "1ms")
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(
            relay.WebSocketRelay(app, close_timeout="1ms")(scope, receive, send)
        )
        message, _ = await process.inbox().areceive()
        pid.append(message.payload["client_pid"])
        process.monitor(pid[0])
        process.send(pid[0], "ws.send", {"data": "never ends"})
        await task

    pid: list[PID] = []
    sent: list[str] = []
    received = [{"type": "websocket.connect"}]
    scope = {"type": "websocket", "path": "/", "headers": []}
    asyncio.run(main())
    assert sent == ["websocket.accept", "websocket.send", "websocket.close"]
    assert told("ws.leave")["reason"] == "enough"
    assert exit_of(pid[0]) == ("enough", None)
