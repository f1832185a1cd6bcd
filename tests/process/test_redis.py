"""Two programs, joined by Redis: everything works as with processes of one's own."""

import logging
import threading
from typing import Any

import pytest
from process_helpers import WAIT, event, payload, take, until, wait_for_end
from redis_helpers import RedisProcess, Worker

from wsfast import process
from wsfast.process import NOCONNECTION, NOPROC, PID, NameTaken, registry
from wsfast.process.node import node

PAYLOADS: list[Any] = [
    None,
    True,
    -(2**70),
    0.1,
    "text \u20ac\n\0",
    b"\0\xff",
    [],
    {},
    {"$bytes": 0, "$": "$"},
    {"$bytes": {"$dict": b"in"}},
    [PID("far", "host", 1), b"", {"a": [b"1", {"b": b"22"}]}],
]


def wait_for_name(name: str, pid: PID | None) -> None:
    """What others register is known after a moment."""
    until(lambda: registry.lookup(name) == pid)


def wait_for_link(ours: PID, theirs: PID) -> None:
    process_of_ours = node().find(ours)
    assert process_of_ours is not None
    until(lambda: process_of_ours.is_linked(theirs))


def receive_all() -> None:
    for _ in process.inbox():
        pass


def test_messages_both_ways(worker: Worker, me: PID) -> None:
    other = worker("process.spawn(echo)")
    assert other.node == worker.pid.node != me.node
    for sent in PAYLOADS:
        assert process.send(other, "topic", sent)
        assert take(process.inbox()) == process.Message("topic", sent, other)
    assert process.send(str(other), "topic", (1, (2,), bytearray(b"3"), memoryview(b"4")))
    assert payload() == [1, [2], b"3", b"4"]
    process.cancel(other)


def test_a_sender_outside_of_any_process(worker: Worker) -> None:
    thread = threading.Thread(target=process.send, args=(worker.pid, "topic", 1))
    thread.start()
    thread.join()
    assert worker("process.inbox().receive(WAIT)[0].sender") is None


def test_each_sender_s_order_is_kept(worker: Worker, me: PID) -> None:
    senders, count = 3, 1000
    here = process.spawn(collect_all, senders * count, me)
    there = worker("process.spawn(collect, count, to)", count=senders * count, to=me)
    for number in range(senders):
        worker("process.spawn(burst, to, n, count)", to=here, n=number, count=count)
        process.spawn(burst, there, number, count)
    for _ in range(2):
        message = take(process.inbox())
        for number in range(senders):
            came = [each for sender, each in message.payload if sender == number]
            assert came == list(range(count))


def collect_all(count: int, to: PID) -> None:
    inbox = process.inbox()
    process.send(to, "collected", [take(inbox).payload for _ in range(count)])


def burst(to: PID, sender: int, count: int) -> None:
    for number in range(count):
        until(lambda number=number: process.send(to, "burst", [sender, number]))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("code", "result", "reason"),
    [
        ("give, {'a': b'1'}", {"a": b"1"}, "normal"),
        ("give, {1, 2}", None, "normal"),
        ("give, b'x' * (1 << 22)", None, "normal"),
        ("fail, 'no such room'", None, "ValueError: no such room"),
        ("fail, '\\ud800'", None, "ValueError: ?"),
    ],
)
def test_who_monitors_is_told(worker: Worker, code: str, result: Any, reason: str) -> None:
    other = process.monitor(worker(f"process.spawn({code})"))
    process.send(other, "end")
    assert event() == (process.EXIT, other, result, reason)
    process.monitor(other)
    assert event().reason == NOPROC


def test_they_are_told_of_ours(worker: Worker) -> None:
    other = process.spawn(wait_for_end)
    worker("process.monitor(other)", other=other)
    worker("process.link(other)", other=other)
    wait_for_link(other, worker.pid)
    process.cancel(other, "over")
    told = [worker("event()"), worker("event()")]
    assert sorted(told) == [("EXIT", other, None, "over"), ("LINK_DOWN", other, None, "over")]


def test_unmonitor_and_unlink(worker: Worker) -> None:
    other = worker("process.spawn(wait_for_end)")
    process.monitor(other)
    process.link(other)
    process.unmonitor(other)
    process.unlink(other)
    process.cancel(other)
    process.monitor(other)  # which may find that it is gone
    told = event()
    assert (told.kind, told.sender) == (process.EXIT, other)
    assert told.reason in ("cancelled", NOPROC)


def test_a_link_takes_down_both_sides(
    worker: Worker, me: PID, caplog: pytest.LogCaptureFixture
) -> None:
    ours = process.spawn(receive_all, monitor=True)
    theirs = worker("process.spawn(linked, to)", to=ours)
    process.monitor(theirs)
    wait_for_link(ours, theirs)
    process.cancel(ours, "over")
    assert {(each.sender, each.reason) for each in (event(), event())} == {
        (ours, "over"),
        (theirs, "over"),
    }
    caplog.set_level(logging.CRITICAL, "wsfast")
    theirs = worker("process.spawn(linked, to)", to=me)
    assert take(process.inbox()).topic == "linked"
    process.send(theirs, "crash")
    assert event() == (process.LINK_DOWN, theirs, None, "ValueError: crash")


def test_cancel(worker: Worker, me: PID) -> None:
    assert process.cancel(worker.pid, "please", "1h")
    assert worker("event()") == ("CANCEL", me, None, "please")
    with pytest.raises(ValueError, match="surrogates"):
        process.cancel(worker.pid, "\ud800")


def test_names(worker: Worker, me: PID) -> None:
    other = worker("process.spawn(echo, name='there')")
    wait_for_name("there", other)
    assert process.send("there", "topic", 1)
    assert payload() == 1
    assert process.monitor("there") == other
    with pytest.raises(NameTaken, match="there"):
        registry.register("there")
    with pytest.raises(NameTaken):
        process.spawn(wait_for_end, name="there")
    registry.register("here")
    until(lambda: worker("process.registry.lookup('here')") == me)
    assert worker("process.send('here', 'topic', 2)")
    assert payload() == 2
    assert "NameTaken" in worker("process.registry.register('here')")
    assert registry.unregister("here")
    until(lambda: worker("process.registry.lookup('here')") is None)
    assert worker("process.registry.register('here')") is None
    wait_for_name("here", worker.pid)
    worker("process.registry.unregister('here')")
    process.cancel("there")
    assert event().sender == other
    wait_for_name("there", None)
    registry.register("there")


def test_a_name_is_claimed_by_one_only(
    worker: Worker, me: PID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody here has heard of the other yet."""
    worker("process.registry.register('contended')")
    wait_for_name("contended", worker.pid)
    assert node().elsewhere is not None
    monkeypatch.setattr(node().elsewhere, "lookup", lambda _: None)
    monkeypatch.setattr(node().elsewhere.peers, "lookup", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(NameTaken, match="contended.*@"):
        registry.register("contended")
    assert node().names() == {}
    worker("process.registry.unregister('contended')")


def test_a_bad_payload_is_an_error_at_the_call(worker: Worker, me: PID) -> None:
    other = worker("process.spawn(echo)")
    deep: list[Any] = []
    deep.append(deep)
    for bad in ({1: 2}, object(), {"a": {3}}):
        with pytest.raises(TypeError, match="sent|keys"):
            process.send(other, "topic", bad)
    for bad in (float("nan"), "\ud800", deep, b"x" * (1 << 22), "x" * (1 << 22)):
        with pytest.raises(ValueError, match="sent|surrogates"):
            process.send(other, "topic", bad)
    for big in (b"x" * 1_000_000, "\u20ac" * 300_000):
        assert process.send(other, "topic", big)
        assert payload() == big
    process.cancel(other)


def test_whom_nobody_knows(worker: Worker, me: PID) -> None:
    nobody = PID("nobody", "host", 1)
    assert process.send(nobody, "topic")
    process.monitor(nobody)
    process.link(nobody)
    assert [event().reason for _ in range(2)] == [NOCONNECTION] * 2
    odd = PID("\ud800", "host", 1)
    process.send(odd, "topic")
    process.monitor(worker.pid)
    process.unmonitor(worker.pid)


def test_leaving_is_losing(shared_redis: RedisProcess, worker: Worker, me: PID) -> None:
    theirs = worker("process.spawn(linked, to, True)", to=me)
    assert take(process.inbox()).topic == "linked"
    process.monitor(theirs)
    worker("process.monitor(other)", other=me)
    registry.register("leaver")
    until(lambda: worker("process.registry.lookup('leaver')") == me)
    assert process.leave()
    assert not process.leave()
    assert {(each.kind, each.reason) for each in (event(), event())} == {
        (process.EXIT, NOCONNECTION),
        (process.LINK_DOWN, NOCONNECTION),
    }
    assert worker("event()") == ("EXIT", me, None, NOCONNECTION)
    until(lambda: worker("process.registry.lookup('leaver')") is None)
    assert not process.send(theirs, "events")
    assert registry.lookup("leaver") == me
    process.join(shared_redis.url, namespace="shared")
    process.send(theirs, "events")
    assert payload() == ["LINK_DOWN", me, NOCONNECTION]
    until(lambda: worker("process.registry.lookup('leaver')") == me)
    process.cancel(theirs)


def test_nothing_is_left_in_redis(shared_redis: RedisProcess, me: PID, leaving: None) -> None:
    registry.register("name")
    process.join(shared_redis.url, namespace="alone")
    with shared_redis.client() as client:
        assert len(client.keys("alone:*")) == 2
        assert all(client.pttl(key) > 0 for key in client.keys("alone:node:*"))
        until(lambda: client.pttl("alone:names") > 0)
        assert len(client.pubsub_channels("alone:*")) == 2
        process.leave()
        assert client.keys("alone:*") == []
        until(lambda: client.pubsub_channels("alone:*") == [])


def test_who_ends_says_so_and_sends_what_waits(
    shared_redis: RedisProcess, worker: Worker, me: PID, start_worker: Any
) -> None:
    other = start_worker(shared_redis.url, namespace="shared", timeout="1h")
    process.monitor(other.pid)
    process.send(other.pid, "topic", "has come")
    assert other("payload()") == "has come"
    other("[process.send(to, 'last', n) for n in range(1000)] and None", to=me)
    assert other.end() == ""
    inbox = process.inbox()
    assert [take(inbox).payload for _ in range(1000)] == list(range(1000))
    told = event()
    # It has left its block first, so its process has ended by itself.
    assert (told.sender, told.reason) == (other.pid, "normal")


def test_select_waits_for_what_comes_from_elsewhere(worker: Worker, me: PID) -> None:
    topic = process.listen("topic")
    assert worker("process.send(to, 'topic', 1)", to=me)
    assert topic.receive(WAIT)[0] == ("topic", 1, worker.pid)
