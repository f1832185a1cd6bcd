"""Joining, and what comes from Redis that no node has sent."""

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from process_helpers import event, payload, take, until, wait_for_end
from redis_helpers import RedisProcess, Worker

from wsfast import process
from wsfast.process import NOPROC, PID, NameTaken, keeper, registry
from wsfast.process.cluster import Cluster
from wsfast.process.node import node
from wsfast.process.outgoing import NameChange, Outgoing
from wsfast.process.redis_link import RedisServer
from wsfast.process.wire import pack

LIMIT = 1 << 22


@pytest.fixture
def joined(shared_redis: RedisProcess, me: PID) -> Iterator[RedisProcess]:
    process.join(shared_redis.url, namespace="joining")
    yield shared_redis
    process.leave()


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TypeError, {"url": b"redis://"}),
        (ValueError, {"url": "http://localhost"}),
        (ValueError, {"url": "redis://localhost?no_such_option=1"}),
        (TypeError, {"namespace": 1}),
        (ValueError, {"namespace": ""}),
        (ValueError, {"namespace": "a b"}),
        (ValueError, {"timeout": 0}),
        (ValueError, {"timeout": None}),
        (TypeError, {"queue_size": "1"}),
        (ValueError, {"queue_size": 0}),
        (ValueError, {"max_message_size": 1}),
    ],
)
def test_bad_arguments(error: type[Exception], arguments: dict[str, Any]) -> None:
    with pytest.raises(error):
        process.join(**({"url": "redis://localhost"} | arguments))
    assert node().elsewhere is None


def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"wsfast\[redis\]"):
        process.join("redis://localhost")


def test_without_redis(refused_port: int) -> None:
    with pytest.raises(ConnectionError, match=str(refused_port)):
        process.join(f"redis://user:secret@127.0.0.1:{refused_port}")
    assert not process.leave()


def test_redis_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=r"Timeout|in time"):
            process.join(url, timeout="100ms")


def test_joining_that_takes_too_long(
    shared_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    monkeypatch.setattr(keeper.Keeper, "_serve", lambda _: done.wait(60))
    with pytest.raises(ConnectionError, match="in time"):
        process.join(shared_redis.url, timeout="10ms")
    done.set()


@pytest.mark.parametrize("which", ["write", "read"])
def test_no_thread(shared_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    start = keeper.start_thread

    def start_some(target: Callable[[], None], name: str) -> threading.Thread | None:
        return None if which in name else start(target, name)

    monkeypatch.setattr(keeper, "start_thread", start_some)
    with pytest.raises((RuntimeError, ConnectionError), match="no thread"):
        process.join(shared_redis.url)


def test_a_keeper_that_has_never_connected() -> None:
    server = RedisServer("redis://localhost", 1.0)
    unconnected = keeper.Keeper(server, Cluster(node(), 1, LIMIT, 1.0), "space", 1.0)
    unconnected.after_fork()
    unconnected.stop(0)


def test_joining_twice(joined: RedisProcess) -> None:
    with pytest.raises(RuntimeError, match="already"):
        process.join(joined.url)
    assert registry.lookup("nobody") is None


def test_joining_with_a_name_that_is_taken(shared_redis: RedisProcess, worker: Worker) -> None:
    worker("process.registry.register('taken')")
    process.leave()
    registry.register("taken")
    with pytest.raises(NameTaken, match="taken.*@"):
        process.join(shared_redis.url, namespace="shared")
    assert node().elsewhere is None
    registry.unregister("taken")
    process.join(shared_redis.url, namespace="shared")
    assert registry.lookup("taken") == worker.pid
    worker("process.registry.unregister('taken')")


def test_a_password(redis_process: RedisProcess, me: PID, leaving: None) -> None:
    with redis_process.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "node", "on", ">secret", "~mine:*", "&mine:*", "+@pubsub", "+@hash",
            "+eval", "+set", "+get", "+del", "+pexpire", "+exists",
        )  # fmt: skip
        client.config_set("requirepass", "other")
    for user in ("", "node:wrong@"):
        with pytest.raises(ConnectionError) as caught:
            process.join(redis_process.url.replace("unix://", f"unix://{user}"))
        assert "wrong" not in str(caught.value)
    url = redis_process.url.replace("unix://", "unix://node:secret@")
    with pytest.raises(ConnectionError):
        process.join(url, namespace="theirs")
    process.join(url, namespace="mine")
    registry.register("name")
    registry.unregister("name")


def test_tls(certificates: Any, tmp_path: Path, me: PID, leaving: None) -> None:
    issued = certificates.authority.issue_cert("localhost")
    paths = {name: str(tmp_path / f"{name}.pem") for name in ("authority", "cert", "key")}
    certificates.authority.cert_pem.write_to_path(paths["authority"])
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    issued.private_key_pem.write_to_path(paths["key"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = RedisProcess(
        "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file",
        paths["authority"], "--tls-cert-file", paths["cert"], "--tls-key-file", paths["key"],
    )  # fmt: skip
    try:
        url = f"rediss://localhost:{port}"
        with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            process.join(url)
        process.join(f"{url}?ssl_ca_certs={paths['authority']}")
        registry.register("name")
        process.leave()
    finally:
        server.stop()


def publish(redis: RedisProcess, *frames: bytes) -> None:
    with redis.client() as client:
        for frame in frames:
            assert client.publish(f"joining:to:{node().name}", frame) == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        ["no such thing"],
        ["message", "1", None, "topic", 1],
        ["message", 1, "sender", "topic", 1],
        ["message", 1, None, "", 1],
        ["signal", 1, PID("a", "b", 1), "no such", "", None],
        ["signal", 1, None, "exit", "", None],
        ["cancel", 1, None, "reason", -1],
        ["cancel", 1, None, "reason", 1e300],
        ["cancel", 1, None, "reason", "1s"],
        ["name", "name", "pid"],
        ["left", None],
        ["linked", 1, None],
    ],
)
def test_what_means_nothing_is_ignored(
    joined: RedisProcess, me: PID, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    frame = pack(value, LIMIT)
    publish(joined, frame, frame, frame[:-1], b"\0", b"x" * (LIMIT + 1))
    publish(joined, pack(["message", me.id, None, "topic", "still there"], LIMIT))
    assert payload() == "still there"
    assert caplog.text.count("ignored what is no message of a node") == 1


def test_what_is_for_nobody(joined: RedisProcess, me: PID) -> None:
    """Messages to who is not there, ties that are not, names of this node."""
    far = PID("far", "host", 1)
    publish(
        joined,
        pack(["message", 10**17, None, "topic", 1], LIMIT),
        pack(["message", -1, None, "topic", 1], LIMIT),
        *(
            pack(["signal", me.id, far, kind, "", None], LIMIT)
            for kind in ("exit", "down", "unmonitor", "unlink")
        ),
        pack(["signal", 10**17, far, "monitor", "", None], LIMIT),
        pack(["linked", 10**17, far], LIMIT),
        pack(["linked", me.id, far], LIMIT),
        pack(["cancel", 10**17, None, "reason", None], LIMIT),
        pack(["name", "mine", me], LIMIT),
        pack(["left", node().name], LIMIT),
        pack(["left", "nobody"], LIMIT),
        pack(["message", me.id, far, "topic", "last"], LIMIT),
    )
    assert take(process.inbox()) == process.Message("topic", "last", far)
    assert registry.lookup("mine") is None


def test_what_is_no_name_in_redis(
    shared_redis: RedisProcess, me: PID, leaving: None, caplog: pytest.LogCaptureFixture
) -> None:
    far = PID("far", "host", 1)
    old = PID(node().name, node().host, 10**17)
    with shared_redis.client() as client:
        client.hset("odd:names", mapping={"a": "no pid", b"\xff": str(far), "b": str(old)})
        client.hset("odd:names", "c", str(far))
        process.join(shared_redis.url, namespace="odd")
        assert caplog.text.count("ignored what is no name") == 2
        # Its node is not there; and nobody here has the other.
        until(lambda: client.hkeys("odd:names") == [b"a", b"\xff"] and not registry.lookup("c"))
        for name in ("a", "b", "c"):
            registry.register(name)
        client.delete("odd:names")
        # Redis has something else there: it is an error, and not the end.
        client.set("odd:names", "text")
        with pytest.raises(ConnectionError):
            registry.register("d")
        client.delete("odd:names")


def test_a_failure_that_nobody_expects(
    joined: RedisProcess, me: PID, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    """Of the thread that reads, and of that which writes: both go on with a new connection."""
    caplog.set_level(logging.INFO, "wsfast")
    here = node().elsewhere
    assert isinstance(here, Cluster)

    def failing(*_: Any) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(here, "_do", failing)
    publish(joined, pack(1, LIMIT))
    until(lambda: "connected to Redis again" in caplog.text)
    assert "reading from Redis has failed" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    monkeypatch.setattr(here, "name_frame", failing)
    with pytest.raises(ConnectionError):
        registry.register("name")
    until(lambda: caplog.text.count("what other nodes need has failed") == 2)
    monkeypatch.undo()

    def registered() -> bool:
        try:
            registry.register("name")
        except ConnectionError:
            return False
        return True

    until(registered)


def test_redis_has_forgotten_everything(shared_redis: RedisProcess, me: PID, leaving: None) -> None:
    process.join(shared_redis.url, namespace="forgotten", timeout="200ms")
    registry.register("name")
    with shared_redis.client() as client:
        client.delete(*client.keys("forgotten:*"))
        until(lambda: client.hget("forgotten:names", "name") == str(me).encode())


def test_a_claim_that_is_not_answered(joined: RedisProcess, monkeypatch: Any) -> None:
    here = node().elsewhere
    assert isinstance(here, Cluster)
    monkeypatch.setattr(here, "patience", 0.001)
    monkeypatch.setattr(here.outgoing, "put_change", lambda _: True)
    with pytest.raises(ConnectionError, match="in time"):
        registry.register("name")
    assert node().names() == {}


def test_a_monitor_from_elsewhere_of_who_is_gone(worker: Worker, me: PID) -> None:
    other = process.spawn(wait_for_end, monitor=True)
    process.cancel(other)
    event()
    worker("process.link(other)", other=other)
    assert worker("event()") == ("LINK_DOWN", other, None, NOPROC)


# ------------------------------------------------------------------ what waits to be sent


def test_a_queue_is_bounded_in_bytes(caplog: pytest.LogCaptureFixture) -> None:
    queue = Outgoing(100, 10)
    assert queue.put_message("node", b"12345678")
    assert not queue.put_message("node", b"123")
    assert queue.put_message("node", b"12")
    assert queue.put_signal("node", b"1234567890")
    assert not queue.put_signal("node", b"1")
    queue.put_all([("node", b"more")])
    assert [frame for _, frame in queue.take(0).frames] == [
        b"12345678",
        b"12",
        b"1234567890",
        b"more",
    ]
    assert queue.put_message("node", b"1234567890")
    assert queue.dropped == 1


def test_batches_are_bounded() -> None:
    queue = Outgoing(10_000, 1 << 30)
    queue.put_all([("node", bytes(300_000))] * 5 + [("node", b"1")] * 1000)
    assert [len(queue.take(0).frames) for _ in range(5)] == [4, 500, 500, 1, 0]


def test_waiting_ends_with_the_time_or_a_wake() -> None:
    queue = Outgoing(10, 10)
    assert queue.take(0) == ([], [])
    thread = threading.Thread(target=queue.wake)
    thread.start()
    assert queue.take(float("1e9")) == ([], [])
    thread.join()


def test_claims_need_a_connection() -> None:
    queue = Outgoing(10, 10)
    pid = PID("node", "host", 1)
    answer: Future[str | None] = Future()
    release = NameChange("name", pid, None)
    assert not queue.put_change(NameChange("name", pid, answer))
    queue.connected()
    assert queue.put_change(NameChange("name", pid, answer))
    assert queue.put_change(release)
    queue.disconnected()
    with pytest.raises(ConnectionError):
        answer.result(0)
    assert queue.take(0).changes == [release]
