"""Sending and receiving: order, topics, bounds."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from process_helpers import (
    WAIT,
    aecho,
    atake,
    echo,
    ended,
    event,
    payload,
    run,
    take,
    wait_for_end,
)

from wsfast import process
from wsfast.channel import after, aselect, select
from wsfast.process import NORMAL, PID


@pytest.fixture(params=[echo, aecho], ids=["thread", "task"])
def echoing(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """What echoes, as a thread or as a task."""
    found: Callable[[], Any] = request.param
    return found


def test_there_and_back(me: PID, echoing: Callable[[], Any]) -> None:
    other = process.spawn(echoing)
    sent = {"any": object()}
    assert process.send(other, "greeting", sent) is True
    message = take(process.inbox())
    assert (message.topic, message.sender) == ("greeting", other)
    assert message.payload is sent
    topic, same, sender = message
    assert (topic, same, sender) == ("greeting", sent, other)


def test_by_pid_text_and_name(me: PID, echoing: Callable[[], Any]) -> None:
    other = process.spawn(echoing, name="echo")
    for number, dest in enumerate((other, str(other), "echo")):
        assert process.send(dest, "topic", number)
        assert payload() == number
    assert process.send(me, "topic")
    assert payload() is None


def test_what_one_sends_arrives_in_its_order(me: PID, echoing: Callable[[], Any]) -> None:
    other = process.spawn(echoing)
    for number in range(5000):
        assert process.send(other, "topic", number)
    assert [payload() for _ in range(5000)] == [*range(5000)]


def test_sent_from_outside_it_has_no_sender(me: PID) -> None:
    thread = threading.Thread(target=process.send, args=(me, "topic", 1))
    thread.start()
    assert take(process.inbox()) == ("topic", 1, None)
    thread.join()


def test_nobody_is_there(me: PID) -> None:
    def at_once() -> None:
        pass

    other = process.spawn(at_once, monitor=True)
    assert event().reason == NORMAL
    elsewhere = PID("anothernode", "host", 1)
    for dest in (other, str(other), "nobody", elsewhere):
        assert process.send(dest, "topic") is False
        assert process.cancel(dest) is False


@pytest.mark.parametrize("topic", [None, 5, b"topic"])
def test_a_topic_is_a_str(me: PID, topic: Any) -> None:
    with pytest.raises(TypeError, match="topic"):
        process.send(me, topic)
    with pytest.raises(TypeError, match="topic"):
        process.listen(topic)
    assert len(process.inbox()) == 0


def test_a_topic_is_not_empty(me: PID) -> None:
    class Text(str):
        pass

    for topic in ("", Text("")):
        with pytest.raises(ValueError, match="topic"):
            process.send(me, topic)
        with pytest.raises(ValueError, match="topic"):
            process.listen(topic)
    assert process.send(me, Text("topic"))


# ------------------------------------------------------------------ topics


def test_listening_takes_a_topic_out_of_the_inbox(me: PID) -> None:
    chat = process.listen("chat")
    assert process.listen("chat") is chat
    for topic in ("chat", "other", "chat"):
        process.send(me, topic, topic)
    assert [take(chat).topic, take(chat).topic] == ["chat", "chat"]
    assert take(process.inbox()).topic == "other"
    assert len(chat) == len(process.inbox()) == 0


def test_what_waits_of_a_topic_moves_along_in_order(me: PID) -> None:
    for number in range(6):
        process.send(me, f"topic {number % 2}", number)
    odd = process.listen("topic 1")
    process.send(me, "topic 1", 7)
    assert [payload(odd) for _ in range(4)] == [1, 3, 5, 7]
    assert [payload() for _ in range(3)] == [0, 2, 4]


def test_a_closed_topic_goes_to_the_inbox_again(me: PID) -> None:
    chat = process.listen("chat")
    process.send(me, "chat", 1)
    chat.close()
    chat.close()
    process.send(me, "chat", 2)
    assert [message.payload for message in chat] == [1]
    assert payload() == 2
    again = process.listen("chat")
    assert again is not chat
    process.send(me, "chat", 3)
    chat.close()
    process.send(me, "chat", 4)
    assert [payload(again), payload(again)] == [3, 4]


def test_inbox_and_events_are_not_closed_or_sent_to(me: PID) -> None:
    for mailbox in (process.inbox(), process.events()):
        with pytest.raises(TypeError, match="ends with its process"):
            mailbox.close()
        with pytest.raises(TypeError, match="only for receiving"):
            mailbox.send(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="only for receiving"):
        process.listen("topic").case_send(process.Message("topic", 1, None))


def test_select_among_mailboxes_and_others(me: PID) -> None:
    chat, timeout = process.listen("chat"), after("1h")
    cases = [
        chat.case_receive(),
        process.inbox().case_receive(),
        process.events().case_receive(),
        timeout.case_receive(),
    ]
    other = process.spawn(echo, monitor=True)
    process.send(other, "chat", 1)
    assert select(cases, timeout=WAIT).channel is chat
    process.send(other, "other", 1)
    assert select(cases, timeout=WAIT).channel is process.inbox()
    process.cancel(other)
    assert select(cases, timeout=WAIT).channel is process.events()
    assert select(cases, default=True).default

    async def main() -> None:
        process.send(me, "chat", 2)
        assert (await aselect(cases)).value.payload == 2

    run(main())


# ------------------------------------------------------------------ bounds


def test_a_full_mailbox_drops_the_newest(me: PID, caplog: pytest.LogCaptureFixture) -> None:
    def receiver() -> list[Any]:
        process.listen("full")
        process.listen("go")
        process.send(me, "ready")
        take(process.listen("go"))
        assert process.listen("full").dropped == 3
        assert (process.inbox().dropped, process.inbox().capacity) == (0, 2)
        return [take(process.listen("full")).payload for _ in range(2)]

    with caplog.at_level(logging.WARNING, "wsfast"):
        other = process.spawn(receiver, monitor=True, mailbox_size=2)
        take(process.inbox())
        sent = [process.send(other, "full", number) for number in range(5)]
        assert sent == [True, True, False, False, False]
        assert process.send(other, "another", 1)
        assert process.send(other, "go")
        assert event().result == [0, 1]
    assert [record.message for record in caplog.records] == [
        f"the mailbox of {other} is full: what finds no room is dropped"
    ]


def test_a_full_mailbox_drops_the_oldest_if_asked_to() -> None:
    with process.attach(mailbox_size=3, overflow="drop_oldest") as me:
        assert all(process.send(me, "topic", number) for number in range(10))
        assert [payload() for _ in range(3)] == [7, 8, 9]
        assert process.inbox().dropped == 7


def test_a_sender_never_waits_for_one_that_does_not_receive(me: PID) -> None:
    done = threading.Event()
    other = process.spawn(done.wait, mailbox_size=1)
    sent = [process.send(other, "topic", number) for number in range(1000)]
    assert sent == [True] + [False] * 999
    done.set()
    ended(other)


def test_a_cancelled_receiver_loses_nothing(me: PID) -> None:
    async def main() -> None:
        import asyncio

        with process.attach() as pid:
            receiving = asyncio.create_task(process.inbox().areceive())
            await asyncio.sleep(0)
            process.send(pid, "topic", 1)
            receiving.cancel()
            await asyncio.wait([receiving])
            assert (await atake(process.inbox())).payload == 1

    run(main())


# ------------------------------------------------------------------ outside


def test_outside_of_any_process() -> None:
    assert issubclass(process.NoContext, Exception)
    calls: list[Callable[[], object]] = [
        process.pid,
        process.inbox,
        process.events,
        lambda: process.listen("topic"),
        lambda: process.monitor("name"),
        lambda: process.unmonitor("name"),
        lambda: process.link("name"),
        lambda: process.unlink("name"),
        lambda: process.spawn(wait_for_end, monitor=True),
        lambda: process.spawn(wait_for_end, link=True),
        lambda: process.registry.register("name"),
    ]
    for call in calls:
        with pytest.raises(process.NoContext, match="only a process"):
            call()


def test_after_its_end_nothing_can_be_received() -> None:
    with process.attach() as me:
        inbox, chat, events = process.inbox(), process.listen("chat"), process.events()
        for topic in ("chat", "other"):
            process.send(me, topic)
    for mailbox in (inbox, chat, events):
        assert mailbox.receive() == (None, False)
        assert mailbox.closed
    assert process.send(me, "topic") is False
