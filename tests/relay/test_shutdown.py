"""The server ends; and servers that behave in other ways than these do."""

import asyncio
from typing import Any

import pytest
from process_helpers import atake, event, run, until
from relay_fakes import Fake
from relay_helpers import PROTOCOLS, Running, connected, inviting, join, told

from wsfast import process, relay
from wsfast.process import PID
from wsfast.process.node import node
from wsfast.relay.connection import Connection
from wsfast.relay.settings import Settings


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everybody_is_told_when_the_server_ends(me: PID, protocol: str) -> None:
    server = Running(protocol)
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as first, connected(server.port) as second:
        pids = {join(), join()}
        for pid in pids:
            process.monitor(pid)
        server.stop()
        for client in (first, second):
            if protocol == "hypercorn":  # which closes without a word
                client.read_to_end()
            else:
                assert client.read_close().code in (1001, 1012)
        assert {told("ws.leave")["client_pid"], told("ws.leave")["client_pid"]} == pids
        assert {event().sender, event().sender} == pids
    until(lambda: len(node().processes()) == 1)


def test_the_task_is_cancelled(me: PID) -> None:
    """As servers do whose patience is over."""

    async def main() -> None:
        fake = Fake()
        task, pid = await fake.start_joined(relay.WebSocketRelay(inviting(me), close_timeout="1ms"))
        process.monitor(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fake.sent[-1] == {
            "type": "websocket.close",
            "code": 1001,
            "reason": "server shutdown",
        }
        assert told("ws.leave")["reason"] == "server shutdown"
        ended = event()
        assert ended.reason == "cancelled"
        assert ended.result == {"code": 1001, "reason": "server shutdown", "clean": False}

    run(main())


@pytest.mark.parametrize("answered", [False, True])
def test_the_task_is_cancelled_while_the_handler_runs(me: PID, answered: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if answered:
            await inviting(me)(scope, receive, send)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    ended: list[str] = []

    async def main() -> None:
        fake = Fake()
        if answered:
            task, _ = await fake.start_joined(relay.WebSocketRelay(app))
            fake.events.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
            until_left = process.inbox()
            assert (await until_left.areceive("60s"))[0].topic == "ws.leave"  # type: ignore[union-attr]
        else:
            task = fake.start(relay.WebSocketRelay(app))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"] or not answered

    run(main())


def test_a_server_without_denial_responses(me: PID) -> None:
    async def main() -> None:
        for allowed in ("*", None):
            fake = Fake(headers=[(b"origin", b"http://evil.example")])
            await fake.start(relay.WebSocketRelay(inviting("nobody"), allowed_origins=allowed))
            assert fake.sent == [{"type": "websocket.close"}]

    run(main())


def test_a_client_that_is_gone_when_it_is_accepted(me: PID) -> None:
    """The target is told all the same: it may have been made for this client."""

    class Gone(Fake):
        async def send(self, event: Any) -> None:
            await super().send(event)
            raise OSError

    async def main() -> None:
        fake = Gone()
        task, _ = await fake.start_joined(relay.WebSocketRelay(inviting(me)))
        fake.events.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await task
        assert told("ws.leave")["reason"] == "connection lost"

    run(main())


def test_something_else_than_a_connect(me: PID) -> None:
    async def main() -> None:
        fake = Fake()
        fake.events.get_nowait()
        fake.events.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await fake.start(relay.WebSocketRelay(inviting(me)))
        assert fake.sent == []

    run(main())


@pytest.mark.parametrize("error", [RuntimeError("broken"), TimeoutError()])
def test_a_server_that_raises(me: PID, error: Exception) -> None:
    async def main() -> None:
        fake = Fake()
        task, pid = await fake.start_joined(relay.WebSocketRelay(inviting(me)))
        process.monitor(pid)
        fake.events.put_nowait(error)
        fake.events.put_nowait({"type": "websocket.disconnect", "code": 1006})
        with pytest.raises(type(error)):
            await task
        assert told("ws.leave")["reason"] == "internal error"
        assert event().result["code"] == 1011

    run(main())


def test_a_server_that_raises_something_else_when_sending(
    me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Fake):
        async def send(self, event: Any) -> None:
            await super().send(event)
            if event["type"] == "websocket.send":
                raise LookupError

    async def main() -> None:
        fake = Broken()
        task, pid = await fake.start_joined(relay.WebSocketRelay(inviting(me)))
        process.send(pid, "ws.send", {"data": "x"})
        fake.events.put_nowait({"type": "websocket.receive", "text": "x"})
        told_of = process.inbox()
        while (await told_of.areceive("60s"))[0].topic != "ws.leave":  # type: ignore[union-attr]
            fake.events.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        await task
        assert fake.sent[-1]["code"] == 1011

    run(main())
    assert "relaying to" in caplog.text


def test_a_client_that_becomes_too_slow_while_more_waits(me: PID) -> None:
    class Slow(Fake):
        async def send(self, event: Any) -> None:
            await super().send(event)
            if event["type"] == "websocket.send":
                for _ in range(3):
                    process.send(pid, "ws.send", {"data": "too much"})

    async def main() -> None:
        nonlocal pid
        fake = Slow()
        app = relay.WebSocketRelay(inviting(me), queue_messages=2, close_timeout="1ms")
        task, pid = await fake.start_joined(app)
        for _ in range(2):
            process.send(pid, "ws.send", {"data": "x"})
        await task
        assert [each["type"] for each in fake.sent[1:]] == ["websocket.send", "websocket.close"]
        assert fake.sent[-1]["code"] == 1013

    pid = me
    run(main())


def test_nobody_watches_over_who_does_not_send(me: PID) -> None:
    async def main() -> None:
        fake = Fake()
        app = relay.WebSocketRelay(inviting(me), write_timeout="1ms")
        task, pid = await fake.start_joined(app)
        connection = node().find(pid)
        assert isinstance(connection, Connection)
        while connection._watch is not None:
            await asyncio.sleep(0)
        fake.events.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        await task
        assert len(fake.sent) == 1

    run(main())


async def idle() -> None:
    await process.events().areceive()


def test_an_old_target_that_ends_just_when_it_has_handed_over(me: PID) -> None:
    async def main() -> None:
        fake = Fake()
        old = process.spawn(idle)
        task = fake.start(relay.WebSocketRelay(inviting(old)))
        found = node().find(old)
        assert found is not None
        while not len(found.inbox):
            await asyncio.sleep(0)
        (pid,) = {each.pid for each in node().processes()} - {me, old}
        process.send(pid, "ws.control", {"target_pid": me})
        found.finish("normal")
        assert (await atake(process.inbox())).topic == "ws.join"
        fake.events.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        assert (await atake(process.inbox())).payload["reason"] == "closed"
        await task

    run(main())


def test_a_loop_that_is_closed_over_a_connection(me: PID) -> None:
    """It is not there any more, and whoever tries finds that."""

    async def make() -> Connection:
        return node().enter(lambda pid: Connection(node(), pid, Settings.of()))

    connection = asyncio.run(make())
    process.monitor(connection.pid)
    connection._roused = False
    process.spawn(process.send, connection.pid, "ws.send")
    assert event().reason == "cancelled"
    assert not process.send(connection.pid, "ws.send")


def test_lifespan_and_others_pass() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    seen: list[Any] = []
    arguments = {"type": "lifespan"}, int, str
    run(relay.WebSocketRelay(app)(*arguments))  # type: ignore[arg-type]
    assert seen == [arguments]
