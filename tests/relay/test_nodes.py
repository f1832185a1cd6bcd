"""Relaying to processes of other nodes."""

import signal
from collections.abc import Iterator

import pytest
from process_helpers import event, gone, until
from redis_helpers import RedisProcess, Worker, running_redis
from relay_helpers import PROTOCOLS, Running, connected, inviting, join, told

from wsfast import process, relay
from wsfast.process import PID, registry


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisProcess]:
    yield from running_redis()


@pytest.fixture(scope="module")
def shared_server(redis_process: RedisProcess) -> Iterator[Running]:
    running = Running(PROTOCOLS[-1])
    yield running
    running.stop()


@pytest.fixture
def joined(redis_process: RedisProcess) -> Iterator[None]:
    process.join(redis_process.url, namespace="relay", timeout="1s")
    yield
    process.leave()


@pytest.fixture
def worker(redis_process: RedisProcess, joined: None) -> Iterator[Worker]:
    worker = Worker(redis_process.url, namespace="relay", timeout="1s")
    worker("process.spawn(target, name='target')")
    until(lambda: registry.lookup("target"))
    yield worker
    worker.end()


def test_a_target_elsewhere(server: Running, worker: Worker) -> None:
    server.stage.app = relay.WebSocketRelay(inviting("target"))
    with connected(server.port) as client:
        assert client.hear() == "ws.join"
        for said in ("grüße", b"\0\xff", ""):
            client.say(said)
            assert client.hear() == said
        process.cancel("target")
        assert client.closed_with() == (1001, "target process exited")


def test_a_target_whose_node_is_lost(server: Running, worker: Worker) -> None:
    server.stage.app = relay.WebSocketRelay(inviting("target"))
    with connected(server.port) as client:
        assert client.hear() == "ws.join"
        worker.kill()
        assert client.closed_with() == (1011, "target process lost")


def test_a_transfer_to_another_node_and_back(server: Running, worker: Worker, me: PID) -> None:
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = join()
        process.send(pid, "ws.control", {"target_pid": "target"})
        assert told("ws.leave")["reason"] == "transferred"
        assert client.hear() == "ws.join"
        client.say("there")
        assert client.hear() == "there"
        process.send(pid, "ws.control", {"target_pid": me})
        assert told("ws.join")["client_pid"] == pid
        client.say("here")
        assert told("ws.message")["data"] == "here"
        worker("process.monitor(client)", client=pid)
        # What comes after the monitor's signal on the same way shows that this has come.
        worker("process.send(client, 'ws.send', {'data': 'monitored'})", client=pid)
        while client.hear() != "monitored":
            pass  # the target over there has told the client of its leave
        client.leave(1000, "bye")
        assert told("ws.leave")["reason"] == "bye"
    kind, sender, result, reason = worker("event()")
    assert (kind, sender, reason) == ("EXIT", pid, "normal")
    assert result == {"code": 1000, "reason": "bye", "clean": True}


def test_a_client_waits_for_the_way_to_the_target(
    server: Running, redis_process: RedisProcess, me: PID
) -> None:
    """Nothing is lost if there is no room: TCP slows the client down."""
    process.join(redis_process.url, namespace="relay", queue_size=2)
    worker = Worker(redis_process.url, namespace="relay")
    target = worker("process.spawn(target)")
    server.stage.app = relay.WebSocketRelay(inviting(target))
    with connected(server.port) as client:
        assert client.hear() == "ws.join"
        redis_process.signal(signal.SIGSTOP)
        for number in range(20):
            client.say(str(number))
        until(lambda: process.send(target, "ws.message", {"data": ""}) is False)
        redis_process.signal(signal.SIGCONT)
        assert [client.hear() for _ in range(20)] == [str(number) for number in range(20)]
    process.leave()
    worker.end()


def test_a_message_that_is_too_large_for_other_nodes(
    server: Running, redis_process: RedisProcess, worker: Worker
) -> None:
    process.leave()
    process.join(redis_process.url, namespace="relay", max_message_size=1024)
    until(lambda: registry.lookup("target"))
    server.stage.app = relay.WebSocketRelay(inviting("target"))
    with connected(server.port) as client:
        assert client.hear() == "ws.join"
        client.say("x" * 1024)
        assert client.closed_with() == (1009, "too much for the node of the target")


def test_without_others(server: Running, joined: None, me: PID) -> None:
    """A target that nobody knows: there is a way, and nobody at its end."""
    nobody = PID("nobody", "host", 1)
    server.stage.app = relay.WebSocketRelay(inviting(nobody))
    with connected(server.port) as client:
        assert client.closed_with() == (1011, "target process lost")
    server.stage.app = relay.WebSocketRelay(inviting(me))
    with connected(server.port) as client:
        pid = process.monitor(join())
        process.send(pid, "ws.control", {"target_pid": nobody})
        assert told("ws.leave")["reason"] == "transferred"
        process.leave()
        assert client.closed_with() == (1011, "target process lost")
        assert event().sender == pid
    until(lambda: gone(pid))
