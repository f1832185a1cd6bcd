"""The ID API: `reconnect=` and messages: what has come stays, what was sent is not sent again."""

import itertools
from typing import Any

from raw_peers import TEXT, close_frame, frame, response
from reconnecting import NEVER, SOON, accept_next, check_works

import wsfast


def test_messages_before_the_loss_are_delivered_before_it_is_told(
    raw_listener: Any, recorder: Any
) -> None:
    number = wsfast.connect(raw_listener.url, **recorder.callbacks, reconnect=SOON)
    for i in range(5):
        peer = raw_listener.upgrade(b"".join(frame(TEXT, b"%d" % (10 * i + j)) for j in range(10)))
        peer.sock.close()
    recorder.wait("reconnect", 5)
    wsfast.close(number)
    recorder.wait_closed()
    assert recorder.messages == [str(i) for i in range(50)]
    kinds = [entry[0] for entry in recorder.log if entry[0] != "error"]
    assert kinds[: 5 * 12] == ["open", *["message"] * 10, "reconnect"] * 5


def without_on_message(recorder: Any) -> dict[str, Any]:
    return {**recorder.callbacks, "on_message": None}


def test_messages_that_nobody_has_taken_survive_in_order(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **without_on_message(recorder), reconnect=SOON)
    for i in range(4):
        early = frame(TEXT, b"%d" % (2 * i)) + frame(TEXT, b"%d" % (2 * i + 1))
        raw_listener.upgrade(early).sock.close()
        recorder.wait("reconnect", i + 1)
        if i == 1:
            assert wsfast.get_messages(number) == ["0", "1", "2", "3"]
    wsfast.close(number)
    recorder.wait_closed()
    assert wsfast.get_messages(number) == ["4", "5", "6", "7"]


def test_who_takes_messages_all_the_time_gets_all_of_them_in_order(
    start_server: Any, recorder: Any
) -> None:
    numbers = itertools.count()

    def handler(connection: Any) -> None:
        for _ in range(20):
            connection.send(str(next(numbers)))

    number = wsfast.connect(
        start_server(handler, max_connections=1).url,
        **without_on_message(recorder),
        reconnect={"initial": "1us", "maximum": "1ms"},
    )
    taken: list[str | bytes] = []
    while len(taken) < 1000:
        taken += wsfast.get_messages(number)
        assert not recorder.closed.wait(0.0001)
    wsfast.close(number)
    recorder.wait_closed()
    taken += wsfast.get_messages(number)
    assert [int(message) for message in taken] == [*range(len(taken))]


def test_a_redirect_on_the_way_back_loses_none(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(
        raw_listener.url, **without_on_message(recorder), reconnect=SOON, max_redirects=1
    )
    raw_listener.upgrade(frame(TEXT, b"before")).sock.close()
    peer = raw_listener.accept()
    assert peer.read_head().startswith(b"GET / ")
    peer.send(b"HTTP/1.1 307 There\r\nLocation: /there\r\n\r\n")
    peer = raw_listener.accept()
    head = peer.read_head()
    assert head.startswith(b"GET /there ")
    peer.send(response(head) + frame(TEXT, b"after"))
    recorder.wait("open", 2)
    taken = wsfast.get_messages(number)
    while len(taken) < 2:
        taken += wsfast.get_messages(number)
        assert not recorder.closed.wait(0.0001)
    assert taken == ["before", "after"]
    peer.send(close_frame(1012))
    recorder.wait("reconnect", 2)
    assert raw_listener.accept().read_head().startswith(b"GET / ")  # where it was told to connect
    wsfast.close(number)
    recorder.wait_closed()


def test_messages_can_be_taken_while_it_waits(raw_listener: Any, recorder: Any) -> None:
    number = wsfast.connect(raw_listener.url, **without_on_message(recorder), reconnect=NEVER)
    raw_listener.upgrade(frame(TEXT, b"left")).sock.close()
    recorder.wait("reconnect")
    assert wsfast.get_messages(number) == ["left"]
    assert wsfast.get_messages(number) == []


def test_what_earlier_connections_left_counts_for_the_bound(
    raw_listener: Any, recorder: Any
) -> None:
    """A peer that sends and hangs up, again and again, does not fill the memory."""
    number = wsfast.connect(
        raw_listener.url,
        **without_on_message(recorder),
        reconnect=SOON,
        receive_queue_messages=3,
        receive_overflow="drop_oldest",
    )
    for i in range(3):
        raw_listener.upgrade(frame(TEXT, b"%d" % i) + frame(TEXT, b"and")).sock.close()
        recorder.wait("reconnect", i + 1)
    assert wsfast.get_messages(number) == ["and", "2", "and"]


def test_what_was_not_sent_is_counted_and_never_sent_again(
    raw_listener: Any, recorder: Any
) -> None:
    raw_listener.shrink()
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, reconnect=SOON, send_overflow="fail"
    )
    peer = raw_listener.upgrade()
    recorder.wait("open")
    assert wsfast.send(number, b"read")
    assert peer.read_frame().payload == b"read"
    accepted = 0
    while wsfast.send(number, b"x" * 1_000_000):
        accepted += 1
    peer.reset()
    ((text,),) = recorder.wait("error")
    assert text.startswith("connection lost: 1006 ")
    _, _, rest = text.partition("; up to ")
    assert rest.endswith(" messages that were queued have not been sent")
    assert 1 <= int(rest.split()[0]) <= accepted
    peer = accept_next(raw_listener, recorder)
    check_works(number, peer, b"new")


def test_a_peer_that_closes_before_it_has_read_all_is_told_to_on_error(
    raw_listener: Any, recorder: Any
) -> None:
    raw_listener.shrink()
    number = wsfast.connect(
        raw_listener.url, **recorder.callbacks, reconnect=SOON, send_overflow="fail"
    )
    peer = raw_listener.upgrade()
    recorder.wait("open")
    while wsfast.send(number, b"x" * 1_000_000):
        pass
    peer.send(close_frame(1012, b"restarting"))
    recorder.wait("reconnect")
    ((text,),) = recorder.of("error")
    assert text.startswith("connection closed: 1012 restarting; up to ")
