"""The server's opening handshake: which requests it takes, and how it answers."""

import re

import h11
import pytest
from protocol_wire import (
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    Frame,
    accept_for,
    close_payload,
    frame,
    head,
    new_server,
    read_frames,
    read_head,
    request,
)

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectError, ConnectionLost, HandshakeError
from wsfast.protocol.handshake import accept_value
from wsfast.protocol.http1 import MAX_HEAD_BYTES
from wsfast.protocol.options import ServerOptions

MESSAGES = (
    frame(TEXT, "aé€".encode(), masked=True)
    + frame(PING, b"p", masked=True)
    + frame(BINARY, b"\0\xff", masked=True)
    + frame(CLOSE, close_payload(4000, "bye"), masked=True)
)


def accepted(data: bytes, **options):
    server = new_server(**options)
    assert server.feed(data, 1.0) == ()
    assert server.state is State.CONNECTING
    assert server.accept(1.0) == ()
    assert server.state is State.CONNECTED
    return server


def refused(data: bytes, **options) -> tuple[int, dict[str, str], str]:
    """Status, fields and body of the answer; whatever follows is never looked at."""
    server = new_server(**options)
    assert server.feed(data + request() + MESSAGES, 1.0) == ()
    return refusal_of(server)


def refusal_of(server) -> tuple[int, dict[str, str], str]:
    assert server.states == [State.CONNECTING, State.CLOSING]
    line, fields, body = read_head(server.data_to_send())
    status = int(line.removeprefix("HTTP/1.1 ")[:3])
    assert isinstance(server.error, HandshakeError)
    assert str(server.error).startswith(f"refused the handshake: {status} ")
    assert server.close_code == 1006
    assert server.half_close
    assert not server.finished
    with pytest.raises(ConnectionLost, match=f"1006 refused the handshake: {status}"):
        server.send("x")
    for following in (request(), MESSAGES):
        assert server.feed(following, 1.5) == ()
        server.get_buffer()[: len(following)] = following
        assert server.received(len(following), 1.5) == ()
    server.settle(1.5)
    server.close(1000, "", 1.5)
    assert server.data_to_send() == b""
    assert server.deadline == 2.0
    server.tick(1.9)
    assert not server.finished
    server.tick(2.0)
    assert server.states[2:] == [State.ERROR]
    as_dict = dict(fields)
    assert len(as_dict) == len(fields)
    return status, as_dict, body


# ------------------------------------------------------------------ requests that are taken


def test_the_whole_answer() -> None:
    server = accepted(
        request(Sec_WebSocket_Protocol="superchat, chat"),
        protocols=["chat", "superchat"],
        headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
        server_header="mine/1",
    )
    assert server.data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Set-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\n"
        b"Server: mine/1\r\n"
        b"\r\n"
    )


def test_the_least_answer() -> None:
    assert accepted(request()).data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )


def test_what_the_client_asked_for() -> None:
    server = new_server()
    assert server.request is None
    asked = request(
        "Sec-WebSocket-Protocol: c",
        "X-A: \xe9",
        line="GET /a%20b?x=1?y HTTP/1.1",
        Sec_WebSocket_Protocol="b ,a",
        Origin="http://example.com",
    )
    server.feed(asked, 1.0)
    assert server.request is not None
    assert server.request.target == "/a%20b?x=1?y"
    assert server.request.path == "/a%20b"
    assert server.request.query == "x=1?y"
    assert server.request.origin == "http://example.com"
    assert server.request.subprotocols == ["b", "a", "c"]
    assert server.request.headers["x-a"] == "\xe9"
    assert server.response is None


def test_a_request_without_what_may_be_left_out() -> None:
    server = new_server()
    server.feed(request(), 1.0)
    assert server.request is not None
    assert (server.request.query, server.request.origin) == ("", None)
    assert server.request.subprotocols == []


@pytest.mark.parametrize(
    "data",
    [
        request(Upgrade="h2c, WebSocket", Connection="keep-alive ,UPGRADE"),
        request("Upgrade: websocket", "Connection: upgrade", Upgrade="h2c", Connection="close"),
        request(Content_Length="0"),
        request(Origin="http://example.com"),
        request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
        request().replace(b"\r\n", b"\n"),
        request().replace(b"Sec-WebSocket-", b"SEC-WEBSOCKET-"),
    ],
)
def test_requests_that_are_as_good(data: bytes) -> None:
    line, fields, _ = read_head(accepted(data).data_to_send())
    assert line == "HTTP/1.1 101 Switching Protocols"
    assert ("Sec-WebSocket-Accept", accept_for(KEY)) in fields
    assert not any(name == "Sec-WebSocket-Extensions" for name, _ in fields)


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        (None, ["a"], None),
        ("a", [], None),
        ("b, a", ["a", "b"], "a"),
        ("c, b", ["a", "b"], "b"),
        ("A", ["a"], None),
        ("", ["a"], None),
        (", ,a", ["a"], "a"),
    ],
)
def test_the_server_prefers(offered: str | None, supported: list[str], chosen: str | None) -> None:
    server = accepted(request(Sec_WebSocket_Protocol=offered), protocols=supported)
    assert server.subprotocol == chosen
    fields = dict(read_head(server.data_to_send())[1])
    assert fields.get("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://example.com/chat?x=1", "/chat", "x=1"),
        ("HTTPS://example.com:8080/chat", "/chat", ""),
        ("ws://[::1]/chat", "/chat", ""),
        ("wss://example.com", "/", ""),
        ("http://example.com?x", "/", "x"),
        ("//example.com/chat", "//example.com/chat", ""),
        ("/http://example.com/", "/http://example.com/", ""),
    ],
)
def test_absolute_targets_name_the_same_resource(target: str, path: str, query: str) -> None:
    """RFC 6455, section 4.2.1; RFC 9112, section 3.2.2."""
    server = accepted(request(line=f"GET {target} HTTP/1.1"))
    assert server.request is not None
    assert (server.request.path, server.request.query) == (path, query)
    assert server.request.target == path + f"?{query}" * bool(query)


# ------------------------------------------------------------------ requests that are refused


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "get", "CONNECT"])
def test_another_method(method: str) -> None:
    status, fields, body = refused(request(line=f"{method} /chat HTTP/1.1"))
    assert (status, fields["Allow"]) == (405, "GET")
    text = "WebSocket handshakes use GET.\n"
    assert fields["Content-Length"] == str(len(text))
    assert body == ("" if method == "HEAD" else text).encode()


@pytest.mark.parametrize("version", ["1.0", "2.0", "0.9"])
def test_another_http_version(version: str) -> None:
    status, fields, _ = refused(request(line=f"GET /chat HTTP/{version}"))
    assert (status, fields["Connection"]) == (505, "close")


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "websocket/13"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "up grade"},
        {"Upgrade": None, "Connection": None, "Sec_WebSocket_Version": None},
    ],
)
def test_no_upgrade(changed: dict[str, str | None]) -> None:
    status, fields, body = refused(request(**changed))
    assert status == 426
    assert fields["Upgrade"] == "websocket"
    assert "Sec-WebSocket-Version" not in fields
    assert body == b"This is a WebSocket server.\n"


@pytest.mark.parametrize("version", [None, "", "8", "013", "13, 8", "13\xa0"])
def test_another_websocket_version(version: str | None) -> None:
    status, fields, _ = refused(request(Sec_WebSocket_Version=version))
    assert (status, fields["Sec-WebSocket-Version"]) == (426, "13")
    assert fields["Upgrade"] == "websocket"


def test_two_websocket_versions() -> None:
    assert refused(request("Sec-WebSocket-Version: 13"))[0] == 426


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"Content_Length": "5"}, "no body"),
        ({"Content_Length": "00"}, "no body"),
        ({"Transfer_Encoding": "chunked"}, "no body"),
        ({"Content_Length": "x"}, "Bad request"),
        ({"Sec_WebSocket_Key": None}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": ""}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "AAAA"}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "A" * 24}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": KEY.replace("=", "")}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": "\xe9" + KEY[1:]}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": KEY[:10] + "-" + KEY[11:]}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": KEY + "\xa0"}, "Sec-WebSocket-Key"),
        ({"Sec_WebSocket_Key": KEY + ", " + KEY}, "Sec-WebSocket-Key"),
        ({"Host": None}, "Host"),
        ({"X Y": "1"}, "illegal header line"),
        ({"line": "GET chat HTTP/1.1"}, "target"),
        ({"line": "GET * HTTP/1.1"}, "target"),
        ({"line": "GET example.com:80 HTTP/1.1"}, "target"),
        ({"line": "GET ftp://example.com/ HTTP/1.1"}, "target"),
        ({"line": "GET /chat"}, "illegal request line"),
        ({"line": "GET /a b HTTP/1.1"}, "illegal request line"),
        ({"line": ""}, "no request line"),
        ({"line": "\x16\x03\x01"}, "illegal request line"),
    ],
)
def test_a_bad_request(changed: dict[str, str | None], text: str) -> None:
    status, fields, body = refused(request(**changed))
    assert status == 400
    assert fields["Connection"] == "close"
    assert fields["Content-Type"] == "text/plain; charset=utf-8"
    assert fields["Content-Length"] == str(len(body))
    assert text in body.decode()


@pytest.mark.parametrize("again", [f"Sec-WebSocket-Key: {KEY}", "Host: example.com"])
def test_a_field_that_must_stand_once(again: str) -> None:
    assert refused(request(again))[0] == 400


def test_a_transfer_coding_that_nobody_knows() -> None:
    assert refused(request(Transfer_Encoding="gzip"))[0] == 501


@pytest.mark.parametrize(
    ("origin", "origins", "allowed"),
    [
        ("http://example.com", None, True),
        ("http://evil.example", None, False),
        ("null", None, False),
        ("", None, False),
        ("https://a.example.org", ["https://*.example.org"], True),
        ("http://example.com", ["https://*.example.org"], False),
        ("http://evil.example", ["*"], True),
    ],
)
def test_the_origin_decides(origin: str, origins: list[str] | None, allowed: bool) -> None:
    data = request(Origin=origin)
    if allowed:
        accepted(data, origins=origins)
    else:
        status, _, body = refused(data, origins=origins)
        assert (status, body) == (403, b"This origin is not allowed.\n")


def test_two_origins_are_never_allowed() -> None:
    two = request("Origin: http://example.com", Origin="http://example.com")
    assert refused(two, origins=["*"])[0] == 403


def test_a_refusal_carries_the_options_fields() -> None:
    _, fields, _ = refused(request(Upgrade=None), headers={"X-A": "1"}, server_header="mine/1")
    assert (fields["X-A"], fields["Server"]) == ("1", "mine/1")


def test_the_application_refuses() -> None:
    server = new_server()
    server.feed(request() + MESSAGES, 1.0)
    server.refuse(404, "No such room: é\r\nX: y", 1.0)
    status, fields, body = refusal_of(server)
    assert status == 404
    assert body.decode() == "No such room: é\r\nX: y\n"
    assert fields["Content-Length"] == str(len(body))
    assert "X" not in fields


@pytest.mark.parametrize("status", [101, 200, 299, 600, 0])
def test_a_refusal_is_a_refusal(status: int) -> None:
    server = new_server()
    server.feed(request(), 1.0)
    with pytest.raises(ValueError, match=f"status: {status} "):
        server.refuse(status, "", 1.0)
    assert server.pending == 0
    server.refuse(599, "an unassigned status has no phrase", 1.0)
    assert refusal_of(server)[0] == 599


@pytest.mark.parametrize("given", [[], [("Content-Length", "7")]], ids=["chunked", "of known size"])
def test_a_response_piece_by_piece(given: list[tuple[str, str]]) -> None:
    server = new_server()
    server.feed(request() + MESSAGES, 1.0)
    server.begin_response(402, [("X-A", "1"), *given])
    line, pairs, body = read_head(server.data_to_send())
    fields = dict(pairs)
    assert (line, fields["X-A"], body) == ("HTTP/1.1 402 Payment Required", "1", b"")
    server.continue_response(b"pay", 1.0, last=False)
    assert server.state is State.CONNECTING
    server.continue_response(b" now", 1.0, last=True)
    assert server.state is State.CLOSING
    data = server.data_to_send()
    assert data == (b"pay now" if given else b"3\r\npay\r\n4\r\n now\r\n0\r\n\r\n")
    assert fields.get("Transfer-Encoding") == (None if given else "chunked")


def test_a_response_that_is_longer_than_it_said() -> None:
    server = new_server()
    server.feed(request(), 1.0)
    server.begin_response(404, [("Content-Length", "1")])
    server.data_to_send()
    with pytest.raises(h11.LocalProtocolError, match="Too much data"):
        server.continue_response(b"more", 1.0, last=True)
    assert server.data_to_send() == b""


def test_it_is_too_late_to_answer_after_the_deadline() -> None:
    server = new_server(dial_timeout="1s")
    server.feed(request(), 0.5)
    server.tick(1.0)
    assert server.state is State.ERROR
    assert server.accept(1.5) == ()
    server.refuse(404, "", 1.5)
    server.begin_response(404, [])
    server.continue_response(b"", 1.5, last=True)
    assert server.state is State.ERROR
    assert server.data_to_send() == b""


# ------------------------------------------------------------------ limits and ends


def test_an_oversized_head() -> None:
    server = new_server()
    server.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * MAX_HEAD_BYTES, 1.0)
    status, fields, body = refusal_of(server)
    assert (status, fields["Connection"]) == (431, "close")
    assert len(body) < 500


@pytest.mark.parametrize("dribble", [b"X: y\r\n", b"x", b" \r\n "])
def test_an_endless_head_ends(dribble: bytes) -> None:
    server = new_server(dial_timeout=None)
    server.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX: ", 1.0)
    sent = 0
    while server.state is State.CONNECTING:
        server.feed(dribble, 1.0)
        sent += len(dribble)
        assert sent <= MAX_HEAD_BYTES + len(dribble)
    assert refusal_of(server)[0] == 431


def test_what_is_wrong_is_not_quoted_at_length() -> None:
    server = new_server()
    server.feed(b"\xff" * 20000 + b"\r\n\r\n", 1.0)
    assert len(str(server.error)) < 500
    assert len(refusal_of(server)[2]) < 500


@pytest.mark.parametrize("data", [b"", b"GET / HT", request()[:-1], request()])
def test_the_client_goes_midway(data: bytes) -> None:
    server = new_server()
    server.feed(data, 1.0)
    server.eof(1.5)
    assert server.states == [State.CONNECTING, State.ERROR]
    assert type(server.error) is ConnectError
    assert str(server.error) == "the client closed the connection during the handshake"
    assert server.close_code == 1006
    assert server.data_to_send() == b""


def test_the_client_goes_after_a_refusal() -> None:
    server = new_server()
    server.feed(request(Upgrade=None), 1.0)
    server.eof(1.5)
    assert server.states == [State.CONNECTING, State.CLOSING, State.ERROR]
    assert isinstance(server.error, HandshakeError)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["headers", "protocols", "server_header"])
def test_no_line_break_gets_into_the_answer(value: str, field: str) -> None:
    """The options refuse these already; options made without that check fail all the same."""
    unchecked = {"headers": (("X-A", value),), "protocols": (value,), "server_header": value}[field]
    server = type(new_server()).server(ServerOptions(**{field: unchecked}), 0.0)
    server.feed(request(Sec_WebSocket_Protocol="a"), 1.0)
    if field == "protocols":  # no client can offer it
        server.accept(1.0)
        assert server.subprotocol is None
    else:
        with pytest.raises(Exception, match="Illegal header value"):
            server.accept(1.0)
        assert server.data_to_send() == b""


# ------------------------------------------------------------------ the bytes after it


def finish(server) -> list[Frame]:
    server.settle(1.0)
    assert (server.close_code, server.close_reason) == (4000, "bye")
    _, _, rest = read_head(server.data_to_send())
    return read_frames(rest, masked=False)


def test_frames_that_come_with_the_request() -> None:
    server = new_server()
    assert server.feed(request() + MESSAGES, 1.0) == ()
    assert list(server.accept(1.0)) == ["aé€", b"\0\xff"]
    assert finish(server) == [Frame(PONG, b"p"), Frame(CLOSE, close_payload(4000))]


def test_frames_that_do_not_wait_for_the_answer() -> None:
    server = new_server()
    for byte in request() + MESSAGES:
        assert server.feed(bytes([byte]), 1.0) == ()
    assert list(server.accept(1.0)) == ["aé€", b"\0\xff"]
    assert finish(server) == [Frame(PONG, b"p"), Frame(CLOSE, close_payload(4000))]


def test_frames_that_do_not_wait_are_bounded() -> None:
    server = new_server(dial_timeout=None)
    server.feed(request(), 1.0)
    sent = 0
    while server.state is State.CONNECTING:
        server.feed(b"x" * 100, 1.0)
        sent += 100
        assert sent <= MAX_HEAD_BYTES + 100
    assert refusal_of(server)[0] == 400


def test_a_violation_that_comes_with_the_request() -> None:
    server = new_server()
    server.feed(request() + frame(TEXT, b"not masked", masked=False), 1.0)
    assert list(server.accept(1.0)) == []
    server.settle(1.0)
    assert server.close_code == 1002
    line, _, rest = read_head(server.data_to_send())
    assert line == "HTTP/1.1 101 Switching Protocols"
    (closing,) = read_frames(rest, masked=False)
    assert closing.opcode == CLOSE
    assert closing.payload.startswith(close_payload(1002))


@pytest.mark.parametrize("way", ["feed", "received"])
def test_every_place_to_cut_the_stream(way: str) -> None:
    def give(server, data: bytes) -> list[str | bytes]:
        if way == "feed":
            messages = list(server.feed(data, 1.0))
        else:
            server.get_buffer()[: len(data)] = data
            messages = list(server.received(len(data), 1.0))
        if server.request is not None and server.state is State.CONNECTING:
            messages += server.accept(1.0)
        return messages

    stream = request() + MESSAGES
    for place in range(len(stream) + 1):
        server = new_server()
        assert give(server, stream[:place]) + give(server, stream[place:]) == ["aé€", b"\0\xff"]
        assert finish(server) == [Frame(PONG, b"p"), Frame(CLOSE, close_payload(4000))]


def test_each_key_has_its_own_answer() -> None:
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    answered = accepted(head("GET / HTTP/1.1", {}, *fields_with(key))).data_to_send()
    assert re.search(rb"Sec-WebSocket-Accept: (.*)\r\n", answered)[1].decode() == accept_value(key)


def fields_with(key: str) -> list[str]:
    lines = request(Sec_WebSocket_Key=key).decode().split("\r\n")
    return lines[1:-2]
