"""Several who wait for one client's messages in different ways, and who reads for them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT, count, until_waiting
from client_waiting import reads, until
from raw_peers import CLOSE, PONG, TEXT, close_frame, frame

from wsfast.channel import select
from wsfast.client import Message
from wsfast.protocol.errors import PongTimeout

FOREVER = 3600.0


@pytest.fixture
def nothing_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be told after a second or two at the latest is told at once, or never."""
    for name in "reader.STAND_IN", "reader.ANSWER":
        monkeypatch.setattr(f"wsfast.threads.{name}", FOREVER)
    monkeypatch.setattr("wsfast.protocol.connection.LINGER", FOREVER)


pytestmark = pytest.mark.usefixtures("nothing_comes_later")


def texts(*words: str) -> bytes:
    return b"".join(frame(TEXT, word.encode()) for word in words)


def test_what_a_cancelled_task_gives_back_reaches_a_thread_that_waits_in_receive(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client()
    channel = client.channel()

    async def main() -> None:
        first = pool.submit(channel.receive)
        until(lambda: reads(client))
        task = asyncio.create_task(channel.areceive())
        while not count(channel)[0]:
            await asyncio.sleep(0)
        peer.send(texts("for the thread", "for the task"))
        assert first.result(WAIT)[0].data == "for the thread"
        # The task has been handed its message, and has not run since.
        second = pool.submit(channel.receive)
        until_waiting(channel, receivers=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert second.result(WAIT)[0].data == "for the task"

    asyncio.run(main())


def test_what_was_given_back_comes_first(dial_client: Any) -> None:
    client, peer = dial_client()
    channel = client.channel()

    async def main() -> None:
        task = asyncio.create_task(channel.areceive())
        while not count(channel)[0]:
            await asyncio.sleep(0)
        peer.send(texts("first", "second", "third"))
        until(lambda: len(channel) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(channel) == 3
    assert [channel.receive(WAIT)[0].data for _ in range(3)] == ["first", "second", "third"]
    peer.send(texts("fourth"))
    assert channel.receive(WAIT)[0].data == "fourth"


def test_what_was_given_back_survives_the_end(dial_client: Any) -> None:
    client, peer = dial_client()
    channel = client.channel()

    async def main() -> None:
        task = asyncio.create_task(channel.areceive())
        while not count(channel)[0]:
            await asyncio.sleep(0)
        peer.send(texts("last"))
        peer.sock.close()
        until(lambda: channel.closed)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [message.data for message in channel] == ["last"]


def test_a_message_is_served_to_who_begins_to_wait_while_a_close_arrives(
    dial_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And can still be answered: what comes with a close frame is received before it is."""
    client, peer = dial_client()
    channel = client.channel()
    assert select([channel.case_receive()], default=True).default  # so a stand-in reads
    listen = client._connection.reader.listen
    waited = []

    def late() -> None:
        if not waited:
            waited.append(True)
            peer.send(texts("question") + close_frame(4000))
            until(lambda: client._connection._protocol.unsettled)
        listen()

    monkeypatch.setattr(channel, "_before_waiting", late)
    assert select([channel.case_receive()], timeout="10s").value == Message("text", "question")
    client.send("answer")
    assert select([channel.case_receive()], timeout="10s").ok is False
    assert peer.read_frame().payload == b"answer"
    assert peer.read_frame().code == 4000


def test_who_begins_to_wait_while_the_connection_ends_is_told(
    dial_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, peer = dial_client()
    channel = client.channel()
    assert select([channel.case_receive()], default=True).default  # so a stand-in reads
    listen = client._connection.reader.listen

    def late() -> None:
        peer.sock.close()
        assert client._connection.wait_ended(WAIT)
        listen()

    monkeypatch.setattr(channel, "_before_waiting", late)
    assert select([channel.case_receive()], timeout="10s").ok is False


def test_who_waits_is_told_at_once_that_the_peer_closes(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client(close_timeout="1h")
    waiting = pool.submit(select, [client.channel().case_receive()])
    until(lambda: reads(client))
    peer.send(close_frame(4000, b"enough"))
    assert waiting.result(WAIT).ok is False
    assert (client.close_code, client.close_reason) == (4000, "enough")
    assert peer.read_frame().code == 4000


def test_who_waits_is_told_at_once_that_the_peer_has_answered_our_close(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client(close_timeout="1h")
    waiting = pool.submit(select, [client.channel().case_receive()])
    until(lambda: reads(client))
    closing = pool.submit(client.close, 4001)
    assert peer.read_frame().opcode == CLOSE
    peer.send(close_frame(4001))
    assert waiting.result(WAIT).ok is False
    assert client.close_code == 4001
    peer.sock.close()
    closing.result(WAIT)


def test_who_waits_is_told_at_once_of_a_read_timeout(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client(read_timeout="10ms", close_timeout="1h")
    waiting = pool.submit(select, [client.channel().case_receive()])
    assert waiting.result(WAIT).ok is False
    assert client.close_code == 1008
    assert "read timeout" in client.close_reason
    peer.sock.close()


def test_what_an_answered_peer_sends_can_be_answered_before_its_close(
    dial_client: Any, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that was handed the last message answers it; the close waits until it is back."""
    client, peer = dial_client()
    channel = client.channel()
    waiting = pool.submit(select, [channel.case_receive()])
    until(lambda: reads(client))
    peer.send(texts("question") + close_frame(1000))
    assert waiting.result(WAIT).value.data == "question"
    client.send("answer")
    assert channel.receive("10s") == (None, False)
    assert peer.read_frame().payload == b"answer"
    assert peer.read_frame().opcode == CLOSE


def test_a_select_is_read_for_after_a_ping_was_interrupted(
    dial_client: Any, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, peer = dial_client()
    channel = client.channel()
    plain = pool.submit(channel.receive)
    until(lambda: reads(client))
    arrived = client._connection.reader._arrived
    wait = arrived.wait

    def interrupted(timeout: float | None) -> bool:
        monkeypatch.setattr(arrived, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(arrived, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.ping()
    waiting = pool.submit(select, [channel.case_receive()])
    until_waiting(channel, receivers=1)
    peer.send(texts("for receive"))
    assert plain.result(WAIT)[0].data == "for receive"
    peer.send(texts("for select"))
    assert waiting.result(WAIT).value.data == "for select"


def test_a_receive_is_read_for_after_another_was_interrupted(
    dial_client: Any, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, peer = dial_client()
    channel = client.channel()
    reading = pool.submit(channel.receive)
    until(lambda: reads(client))
    reader = client._connection.reader
    woken = threading.Event()
    wait = reader._arrived.wait

    def interrupted(timeout: float | None) -> bool:
        wait(timeout)
        woken.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(reader._arrived, "wait", interrupted)
    unlucky = pool.submit(channel.receive)
    until(lambda: reader.waiting == 1)
    monkeypatch.setattr(reader._arrived, "wait", wait)
    waiting = pool.submit(channel.receive)
    until(lambda: reader.waiting == 2)
    peer.send(texts("one"))
    assert reading.result(WAIT)[0].data == "one"
    with pytest.raises(KeyboardInterrupt):
        unlucky.result(WAIT)
    peer.send(texts("two"))
    assert waiting.result(WAIT)[0].data == "two"


def test_a_stand_in_for_which_there_was_no_thread_is_tried_again(
    dial_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsfast.threads import reader

    start = reader.start_thread
    refused = []

    def refuse_first(*args: Any) -> Any:
        if len(refused) < 5:
            return refused.append(args)
        return start(*args)

    monkeypatch.setattr(reader, "STAND_IN", 0.01)
    monkeypatch.setattr(reader, "start_thread", refuse_first)
    client, peer = dial_client(ping_interval=None)
    channel = client.channel()
    peer.send(texts("late"))
    assert select([channel.case_receive()], timeout="10s").value.data == "late"
    assert len(refused) == 5


def test_threads_tasks_and_pings_share_a_client(dial_client: Any, pool: ThreadPoolExecutor) -> None:
    """A ping that is answered does not take away who reads for a select."""
    client, peer = dial_client(pong_timeout="10s")
    channel = client.channel()
    for _ in range(20):
        waiting = pool.submit(select, [channel.case_receive()])
        until_waiting(channel, receivers=1)
        pinging = pool.submit(client.ping)
        ping = peer.read_frame()
        peer.send(frame(PONG, ping.payload) + texts("message"))
        assert pinging.result(WAIT) is True
        assert waiting.result(WAIT).value.data == "message"


def test_a_ping_that_gives_up_leaves_who_waits_alone(
    dial_client: Any, pool: ThreadPoolExecutor
) -> None:
    client, peer = dial_client()
    waiting = pool.submit(select, [client.channel().case_receive()])
    until(lambda: reads(client))
    with pytest.raises(PongTimeout):
        client.ping(timeout=1)
    peer.send(texts("message"))
    assert waiting.result(WAIT).value.data == "message"
