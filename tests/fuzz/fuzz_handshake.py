"""Both sides of the handshake under any HTTP, whole and cut: they must come to the same end."""

from choices import Choices
from protocol_wire import Watched, accept_for, key_of, new_client, new_server

from wsfast.protocol.constants import State

OPTIONS = {"protocols": ["chat", "super"], "compression": 1}


def one_input(data: bytes) -> None:
    """What a fuzzer calls with anything at all."""
    choices = Choices(data)
    server = choices.number(1) == 1
    accepting = choices.number(3) > 0
    cut = 1 + choices.number(300)
    spoken = choices.rest()[:30_000]  # a longer head is over the limit if it comes in pieces
    if server:
        whole, pieces = as_server(spoken, 1 << 20, accepting), as_server(spoken, cut, accepting)
    else:
        whole, pieces = as_client(spoken, 1 << 20), as_client(spoken, cut)
    assert whole == pieces


def feed(connection: Watched, data: bytes, cut: int) -> list[str | bytes]:
    messages: list[str | bytes] = []
    for at in range(0, len(data), cut):
        messages += connection.feed(data[at : at + cut], 1.0)
    return messages


def as_client(answer: bytes, cut: int) -> object:
    """What comes of an answer in which the right key may be left to be filled in."""
    connection = new_client(**OPTIONS)
    asked = connection.data_to_send()
    answer = answer.replace(b"@KEY", accept_for(key_of(asked)).encode())
    messages = feed(connection, answer, cut)
    if connection.state is State.CONNECTING:
        assert connection.response is None
        connection.eof(2.0)
        assert connection.state is State.ERROR
    response = connection.response
    assert (response is not None) == (State.CONNECTED in connection.states)
    if connection.states[1] is State.ERROR:
        assert connection.data_to_send() == b""
    return (
        connection.states,
        response and [name for name, _ in response.headers.raw],  # the key's answer differs
        connection.subprotocol,
        connection.compressed,
        messages,
    )


def as_server(asked: bytes, cut: int, accepting: bool) -> object:
    connection = new_server(**OPTIONS)
    messages = feed(connection, asked, cut)
    answer = b""
    if connection.request is not None and connection.state is State.CONNECTING:
        if accepting:
            messages += connection.accept(1.0)
        else:
            connection.refuse(404, "No.\r\nSet-Cookie: x", 1.0)
        answer = connection.data_to_send()
        expected = b"HTTP/1.1 101" if accepting else b"HTTP/1.1 404"
        assert answer.startswith(expected), answer
        assert b"\nSet-Cookie" not in answer.partition(b"\r\n\r\n")[0]
    elif connection.state is State.CLOSING:
        answer = connection.data_to_send()
        assert answer[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5"), answer
        answer = answer[:10]  # h11 says more of what is wrong with a head that it sees whole
        assert connection.feed(b"GET / HTTP/1.1\r\n\r\n", 1.0) == ()
        assert connection.data_to_send() == b""
    request = connection.request
    return (
        connection.states,
        answer,
        connection.subprotocol,
        connection.compressed,
        request and (request.target, request.headers.raw),
        messages,
    )
