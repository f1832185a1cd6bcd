"""The client's opening handshake: what it asks, and what it takes for an answer."""

import base64

import pytest
from protocol_wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    answer,
    close_payload,
    frame,
    key_of,
    new_client,
    read_frames,
    read_head,
)

from wsfast._version import __version__
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectError, HandshakeError, StatusError
from wsfast.protocol.handshake import accept_value
from wsfast.protocol.http1 import MAX_HEAD_BYTES
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.url import parse_url


def asked(**options) -> tuple[str, list[tuple[str, str]]]:
    """Request line and fields, without the key, which is random."""
    line, fields, rest = read_head(new_client(**options).data_to_send())
    assert rest == b""
    return line, [field for field in fields if field[0] != "Sec-WebSocket-Key"]


def refused(data: bytes, **options) -> HandshakeError:
    """The error of a client that gets this answer."""
    client = new_client(**options)
    client.data_to_send()
    assert client.feed(data, 1.0) == ()
    return failed(client)


def failed(client) -> HandshakeError:
    assert client.state is State.ERROR
    assert isinstance(client.error, HandshakeError)
    assert client.close_code == 1006
    assert client.close_reason == str(client.error)
    assert client.response is None
    assert client.subprotocol is None
    assert client.deadline is None
    assert client.data_to_send() == b""
    assert client.feed(b"HTTP/1.1 200 OK\r\n\r\n", 2.0) == ()
    return client.error


def test_the_accept_value_of_rfc_6455_section_1_3() -> None:
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# ------------------------------------------------------------------ the request


def test_the_whole_request() -> None:
    client = new_client(
        url="wss://user:p%C3%A9ss@example.com:8443/a%20b?q=1",
        protocols=["chat", "superchat"],
        origin="https://example.com",
        headers=[("X-One", "1"), ("x-one", "2"), ("Cookie", "a=\xe9")],
    )
    line, fields, rest = read_head(client.data_to_send())
    assert line == "GET /a%20b?q=1 HTTP/1.1"
    assert rest == b""
    key = dict(fields)["Sec-WebSocket-Key"]
    assert fields == [
        ("Host", "example.com:8443"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Origin", "https://example.com"),
        ("User-Agent", f"wsfast/{__version__}"),
        ("Authorization", "Basic " + base64.b64encode("user:p\xe9ss".encode()).decode()),
        ("X-One", "1"),
        ("x-one", "2"),
        ("Cookie", "a=\xe9"),
    ]


def test_the_least_request() -> None:
    assert asked(user_agent=None) == (
        "GET /chat HTTP/1.1",
        [
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
        ],
    )


def test_the_key_is_16_bytes_and_new_for_each_connection() -> None:
    keys = {key_of(new_client().data_to_send()) for _ in range(20)}
    assert len(keys) == 20
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://example.com:80/", "example.com"),
        ("ws://example.com:443/", "example.com:443"),
        ("wss://example.com:443/", "example.com"),
        ("wss://example.com:80/", "example.com:80"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[2001:db8::1]:9000/", "[2001:db8::1]:9000"),
        ("ws://EXAMPLE.com/", "example.com"),
    ],
)
def test_the_host_header(url: str, host: str) -> None:
    _, fields = asked(url=url)
    assert fields[0] == ("Host", host)


@pytest.mark.parametrize("name", ["Host", "Origin", "User-Agent", "Authorization"])
def test_headers_take_the_place_of_what_would_be_sent(name: str) -> None:
    url = "ws://user:secret@example.com/"
    _, fields = asked(url=url, headers=[(name.upper(), "mine")])
    assert [value for sent, value in fields if sent.lower() == name.lower()] == ["mine"]


def test_a_host_among_the_headers_is_sent_first() -> None:
    _, fields = asked(headers=[("X-A", "1"), ("Host", "other")])
    assert fields[0] == ("Host", "other")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rb", "a\0b"])
def test_no_line_break_gets_into_the_request(value: str) -> None:
    """The options refuse these already; options made without that check fail all the same."""
    url = parse_url("ws://example.com/")
    for options in (
        ClientOptions(headers=(("X-A", value),)),
        ClientOptions(protocols=(value,)),
        ClientOptions(origin=value),
        ClientOptions(user_agent=value),
    ):
        with pytest.raises(Exception, match="Illegal header value"):
            type(new_client()).client(url, options, 0.0)


def test_line_breaks_in_credentials_and_target_do_not_get_through() -> None:
    line, _ = asked(url="ws://example.com/a b\u2028?c d")
    assert line == "GET /a%20b%E2%80%A8?c%20d HTTP/1.1"


# ------------------------------------------------------------------ the answer


def test_a_good_answer() -> None:
    client = new_client(protocols=["chat", "superchat"])
    assert client.response is None
    good = answer(
        client.data_to_send(),
        "Server: s",
        Sec_WebSocket_Protocol="superchat",
        Upgrade="WebSocket",
        Connection="keep-alive, UPGRADE",
    )
    assert client.feed(good, 1.0) == ()
    assert client.state is State.CONNECTED
    assert client.subprotocol == "superchat"
    assert client.response is not None
    assert client.response.status == 101
    assert client.response.headers["server"] == "s"
    assert client.request is None
    assert client.error is None
    assert client.close_code is None


def test_no_subprotocol_may_be_chosen() -> None:
    client = new_client(protocols=["chat"])
    client.feed(answer(client.data_to_send(), Sec_WebSocket_Extensions=""), 1.0)
    assert client.state is State.CONNECTED
    assert client.subprotocol is None


WRONG = {
    "no accept": ((), {"Sec_WebSocket_Accept": None}, "Sec-WebSocket-Accept"),
    "wrong accept": ((), {"Sec_WebSocket_Accept": accept_value("x")}, "Sec-WebSocket-Accept"),
    "accept in another case": ((), {}, "Sec-WebSocket-Accept"),
    "accept with a no-break space": ((), {}, "Sec-WebSocket-Accept"),
    "accept not ASCII": ((), {"Sec_WebSocket_Accept": "\xff"}, "Sec-WebSocket-Accept"),
    "accept twice": ((), {}, "Sec-WebSocket-Accept"),
    "no upgrade": ((), {"Upgrade": None}, "lacks 'Upgrade: websocket'"),
    "other upgrade": ((), {"Upgrade": "websocket2"}, "lacks 'Upgrade: websocket'"),
    "no connection": ((), {"Connection": None}, "lacks 'Connection: Upgrade'"),
    "other connection": ((), {"Connection": "keep-alive"}, "lacks 'Connection: Upgrade'"),
    "extension": ((), {"Sec_WebSocket_Extensions": "permessage-deflate"}, "extension"),
    "subprotocol": ((), {"Sec_WebSocket_Protocol": "other"}, "['other'], which was not offered"),
    "subprotocol in another case": ((), {"Sec_WebSocket_Protocol": "CHAT"}, "not offered"),
    "empty subprotocol": ((), {"Sec_WebSocket_Protocol": ""}, "not offered"),
    "two subprotocols": ((), {"Sec_WebSocket_Protocol": "chat, superchat"}, "not offered"),
    "subprotocol twice": (
        ("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"),
        {},
        "not offered",
    ),
    "HTTP/1.0": ((), {"line": "HTTP/1.0 101 Switching Protocols"}, "answered in HTTP/1.0"),
    "HTTP/2.0": ((), {"line": "HTTP/2.0 101 Switching Protocols"}, "answered in HTTP/2.0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer(case: str) -> None:
    more, changed, text = WRONG[case]
    client = new_client(protocols=["chat", "superchat"])
    request = client.data_to_send()
    good = accept_value(key_of(request))
    if case == "accept twice":
        more = (f"Sec-WebSocket-Accept: {good}",)
    elif case == "accept in another case":
        changed = {"Sec_WebSocket_Accept": good.swapcase()}
    elif case == "accept with a no-break space":
        changed = {"Sec_WebSocket_Accept": good + "\xa0"}
    # A message that comes along is not looked at.
    data = answer(request, *more, **changed) + frame(TEXT, b"secret", masked=False)
    assert client.feed(data, 1.0) == ()
    error = failed(client)
    assert type(error) is HandshakeError
    assert text in str(error)
    assert not error.retryable


def test_a_subprotocol_when_none_was_offered() -> None:
    client = new_client()
    client.feed(answer(client.data_to_send(), Sec_WebSocket_Protocol="chat"), 1.0)
    assert "not offered" in str(failed(client))


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (200, False),
        (301, False),
        (404, False),
        (426, False),
        (499, False),
        (500, True),
        (503, True),
    ],
)
def test_another_status(status: int, retryable: bool) -> None:
    data = f"HTTP/1.1 {status} Some Reason\r\nLocation: /x\r\nContent-Length: 4\r\n\r\nbody"
    error = refused(data.encode())
    assert isinstance(error, StatusError)
    assert (error.status, error.reason, error.retryable) == (status, "Some Reason", retryable)
    assert error.headers["location"] == "/x"
    assert f"HTTP {status} Some Reason instead of 101" in str(error)


def test_another_status_in_http_1_0_without_reason_or_fields() -> None:
    error = refused(b"HTTP/1.0 403\r\n\r\n")
    assert isinstance(error, StatusError)
    assert (error.status, error.reason) == (403, "")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 099 No\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web\0socket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\xff" * 20000 + b"\r\n\r\n",
    ],
)
def test_garbage(data: bytes) -> None:
    error = refused(data)
    assert type(error) is HandshakeError
    assert str(error).startswith("the server's answer is not valid HTTP: ")
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x16", "TLS; use wss://"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "TLS; use wss://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "another protocol"),
        (b"H\x16", "another protocol"),
        (b"http", "another protocol"),
    ],
)
def test_another_protocol_is_known_by_its_first_bytes(start: bytes, what: str) -> None:
    assert str(refused(start)) == f"the server's answer is not valid HTTP: it speaks {what}"
    client = new_client()
    for byte in start:
        client.feed(bytes([byte]), 1.0)
    assert what in str(client.error)


def test_a_head_that_is_too_long() -> None:
    error = refused(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * MAX_HEAD_BYTES)
    assert type(error) is HandshakeError


@pytest.mark.parametrize(
    "dribble",
    [b"X: y\r\n", b"x", b" ", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 H\r\n\r\n"],
)
def test_an_endless_answer_ends(dribble: bytes) -> None:
    client = new_client(dial_timeout=None)
    client.data_to_send()
    if not dribble.startswith(b"HTTP"):
        client.feed(b"HTTP/1.1 101 Switching Protocols\r\nA: ", 0.0)
    sent = 0
    while client.state is State.CONNECTING:
        client.feed(dribble, 0.0)
        sent += len(dribble)
        assert sent <= MAX_HEAD_BYTES + len(dribble)
    assert sent > MAX_HEAD_BYTES - 50
    assert type(failed(client)) is HandshakeError


@pytest.mark.parametrize("end", ["eof", "lost"])
@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 Swi", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_the_server_goes_midway(data: bytes, end: str) -> None:
    client = new_client()
    client.feed(data, 0.5)
    assert client.state is State.CONNECTING
    if end == "eof":
        client.eof(1.0)
        text = "the server closed the connection during the handshake"
    else:
        text = "connection reset"
        client.lost(text, 1.0)
    assert client.state is State.ERROR
    assert type(client.error) is ConnectError
    assert str(client.error) == text
    assert client.error.retryable
    assert (client.close_code, client.close_reason) == (1006, text)


def test_informational_answers_come_first() -> None:
    client = new_client()
    good = answer(client.data_to_send())
    client.feed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + good, 1.0
    )
    assert client.state is State.CONNECTED


# ------------------------------------------------------------------ the bytes after it

MESSAGES = (
    frame(TEXT, "aé€".encode(), masked=False)
    + frame(PING, b"p", masked=False)
    + frame(BINARY, b"\0\xff", masked=False)
    + frame(CLOSE, close_payload(1001, "bye"), masked=False)
)


def test_what_comes_with_the_answer_is_received_at_once() -> None:
    client = new_client()
    good = answer(client.data_to_send())
    assert list(client.feed(good + MESSAGES, 1.0)) == ["aé€", b"\0\xff"]
    assert client.unsettled
    assert client.state is State.CONNECTED
    client.send("reply")
    client.settle(1.0)
    assert read_frames(client.data_to_send(), masked=True) == [
        Frame(PONG, b"p"),
        Frame(TEXT, b"reply"),
        Frame(CLOSE, close_payload(1001)),
    ]


def test_a_violation_that_comes_with_the_answer() -> None:
    client = new_client()
    good = answer(client.data_to_send())
    assert list(client.feed(good + frame(TEXT, b"ok", masked=False) + b"HTTP/1.1", 1.0)) == ["ok"]
    client.settle(1.0)
    assert client.close_code == 1002


@pytest.mark.parametrize("way", ["feed", "received"])
def test_every_place_to_cut_the_stream(way: str) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"

    def give(client, data: bytes) -> list[str | bytes]:
        if way == "feed":
            return list(client.feed(data, 1.0))
        client.get_buffer()[: len(data)] = data
        return list(client.received(len(data), 1.0))

    size = len(hints + answer(new_client().data_to_send()) + MESSAGES)
    for place in range(size + 1):
        client = new_client()
        stream = hints + answer(client.data_to_send()) + MESSAGES
        messages = give(client, stream[:place]) + give(client, stream[place:])
        assert messages == ["aé€", b"\0\xff"], place
        client.settle(1.0)
        assert (client.close_code, client.close_reason) == (1001, "bye")


def test_byte_by_byte() -> None:
    client = new_client()
    stream = answer(client.data_to_send()) + MESSAGES
    messages: list[str | bytes] = []
    for byte in stream:
        messages += client.feed(bytes([byte]), 1.0)
    assert messages == ["aé€", b"\0\xff"]
