"""`wsfast.client`: sending, receiving in every way, and the end."""

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsfast.channel import after, select
from wsfast.client import BINARY, TEXT, Client, Message, connect
from wsfast.protocol.errors import ConnectionClosed, ConnectionLost, PongTimeout
from wsfast.server import Connection

WAIT = "10s"


@pytest.fixture
def client(echo_server: Any) -> Iterator[Client]:
    with connect(echo_server.url, **echo_server.options) as client:
        yield client


@pytest.fixture
def pair(start_server: Callable[..., Any]) -> Callable[..., tuple[Client, Connection]]:
    """Opens a connection and returns both ends; the server's handler reads until the end."""
    arrived: queue.Queue[Connection] = queue.Queue()

    def handler(connection: Connection) -> None:
        arrived.put(connection)
        connection.run(None)

    def open_pair(**options: Any) -> tuple[Client, Connection]:
        client = connect(start_server(handler).url, **options)
        return client, arrived.get(timeout=10)

    return open_pair


def test_what_is_sent_comes_back(client: Client) -> None:
    assert client.send("text") is True
    client.send(b"bytes")
    client.send(bytearray(b"bytes-like"))
    client.send(b"as text", TEXT)
    client.send("as binary", "binary")
    received = [client.channel().receive(WAIT) for _ in range(5)]
    assert received == [
        (Message("text", "text"), True),
        (Message("binary", b"bytes"), True),
        (Message("binary", b"bytes-like"), True),
        (Message("text", "as text"), True),
        (Message("binary", b"as binary"), True),
    ]


def test_an_iterable_is_one_message(client: Client) -> None:
    client.send(str(number) for number in range(100))
    client.send([b"a", bytearray(b"b"), memoryview(b"c")])
    client.send([], TEXT)
    client.send([])
    received = [client.channel().receive(WAIT)[0] for _ in range(4)]
    assert received == [
        Message("text", "".join(map(str, range(100)))),
        Message("binary", b"abc"),
        Message("text", ""),
        Message("binary", b""),
    ]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (([1],), TypeError),
        ((["text", b"bytes"],), TypeError),
        ((["text"], BINARY), TypeError),
        ((1,), TypeError),
        ((None,), TypeError),
        (({"a": "mapping"},), TypeError),
        (("text", True), TypeError),
        (("text", 1.0), TypeError),
        (("text", 3), ValueError),
        (("text", "ping"), ValueError),
        ((b"\xff", TEXT), ValueError),
        (("\ud800",), ValueError),
        (("\ud800", BINARY), ValueError),
    ],
)
def test_what_cannot_be_sent_is_not(
    client: Client, args: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.send(*args)
    client.send("next")
    assert client.channel().receive(WAIT) == (Message("text", "next"), True)


def test_there_is_one_channel(client: Client) -> None:
    channel = client.channel()
    assert client.channel() is channel
    assert client.receive() is channel
    assert channel.capacity == 65536
    assert len(channel) == 0
    assert not channel.closed
    with pytest.raises(TypeError, match="only for receiving"):
        channel.send(Message("text", "x"))
    with pytest.raises(TypeError, match="closing its client"):
        channel.close()


def test_a_select_gets_messages_and_the_end(client: Client) -> None:
    channel = client.channel()
    for text in "one", "two", "three":
        client.send(text)
        chosen = select([channel.case_receive(), after(WAIT).case_receive()])
        assert chosen.channel is channel
        assert chosen.value == Message("text", text)
    client.close()
    chosen = select([channel.case_receive(), after(WAIT).case_receive()])
    assert (chosen.channel, chosen.value, chosen.ok) == (channel, None, False)


def test_who_only_polls_gets_messages_and_the_end(client: Client) -> None:
    channel = client.channel()
    client.send("polled")
    while (chosen := select([channel.case_receive()], default=True)).default:
        pass
    assert chosen.value == Message("text", "polled")
    client.close(4000, "enough")
    while (chosen := select([channel.case_receive()], default=True)).default:
        pass
    assert not chosen.ok
    assert client.close_code == 4000


def test_a_receive_that_has_not_waited_long_enough_loses_nothing(pair: Any) -> None:
    client, server = pair()
    channel = client.channel()
    with pytest.raises(TimeoutError):
        channel.receive("1ms")
    server.send("late")
    assert channel.receive(WAIT) == (Message("text", "late"), True)
    client.close()


def test_the_messages_are_iterated_over_until_the_end(start_server: Callable[..., Any]) -> None:
    def handler(connection: Connection) -> None:
        for number in range(10):
            connection.send(str(number))
        connection.close(4001, "all told")

    client = connect(start_server(handler).url)
    assert [message.data for message in client] == [str(number) for number in range(10)]
    assert (client.close_code, client.close_reason, client.error) == (4001, "all told", None)
    assert client.channel().receive() == (None, False)
    assert client.close() is True


def test_iteration_ends_with_an_error_if_the_connection_does(dial_client: Any) -> None:
    client, peer = dial_client()
    peer.reset()
    with pytest.raises(ConnectionLost):
        list(client)
    assert client.close_code == 1006
    assert isinstance(client.error, ConnectionLost)
    assert client.channel().receive() == (None, False)


def test_a_ping_is_answered(client: Client) -> None:
    assert client.latency is None
    assert client.ping() is True
    assert client.latency is not None
    assert client.ping(b"own data", timeout=WAIT) is True
    with pytest.raises(ValueError, match="125"):
        client.ping(bytes(126))
    with pytest.raises(TypeError):
        client.ping(timeout=b"1s")  # type: ignore[arg-type]


def test_a_ping_that_is_not_answered(dial_client: Any) -> None:
    client, peer = dial_client(pong_timeout="10ms", ping_interval=None)
    with pytest.raises(PongTimeout, match="timeout: no pong within 0.01 s"):
        client.ping()
    with pytest.raises(PongTimeout):
        client.ping(timeout=1)
    peer.sock.close()
    assert client.channel().receive(WAIT) == (None, False)
    with pytest.raises(ConnectionClosed):
        client.ping()


def test_the_end_comes_once(client: Client) -> None:
    with pytest.raises(ValueError, match="reserved"):
        client.close(1005)
    with pytest.raises(ValueError, match="123"):
        client.close(1000, "x" * 124)
    assert client.close(4321, "bye") is True
    assert client.close(1001) is True
    assert (client.close_code, client.channel().closed) == (4321, True)
    with pytest.raises(ConnectionClosed):
        client.send("too late")


def test_what_came_before_the_close_can_be_received_after_it(pair: Any) -> None:
    client, server = pair()
    for number in range(5):
        server.send(str(number))
    client.ping()  # all of them come before the pong
    client.close()
    assert [client.receive().receive()[0].data for _ in range(5)] == list("01234")
    assert client.receive().receive() == (None, False)


def test_a_block_that_raises_closes_with_1011(pair: Any) -> None:
    client, server = pair()
    with pytest.raises(ZeroDivisionError), client:
        raise ZeroDivisionError
    assert server.wait_ended(10)
    assert server.close_code == 1011


def test_leaving_an_iteration_loses_nothing_and_closes_nothing(client: Client) -> None:
    for text in "one", "two", "three":
        client.send(text)
    for message in client:
        if message.data == "two":
            break
    messages = iter(client)
    assert next(messages) == Message("text", "three")
    messages.close()
    client.send("four")
    assert client.channel().receive(WAIT) == (Message("text", "four"), True)
