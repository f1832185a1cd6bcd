"""CRLF injection: what ends a line or a text is refused wherever it could reach the wire."""

from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer

import wsfast
from wsfast.protocol.headers import Headers
from wsfast.server import serve

ENDS = {"CR": "\r", "LF": "\n", "CRLF": "\r\n", "NUL": "\0", "header": "\r\nX-Evil: 1\r\n"}

URLS = [
    "ws://127.0.0.1:{port}/a{end}b",
    "ws://127.0.0.1:{port}/{end}",
    "ws://127.0.0.1:{port}/?q=a{end}b",
    "ws://127.0.0.1:{port}{end}",
    "ws://127.0.0.1{end}:{port}/",
    "ws://{end}127.0.0.1:{port}/",
    "ws://us{end}er:secret@127.0.0.1:{port}/",
    "ws://user:sec{end}ret@127.0.0.1:{port}/",
    "{end}ws://127.0.0.1:{port}/",
    "ws{end}://127.0.0.1:{port}/",
]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("url", URLS)
def test_in_a_url(url: str, end: str, recorder: Any, untouched_port: int) -> None:
    text = url.replace("{port}", str(untouched_port)).replace("{end}", end)
    assert wsfast.connect(text, **recorder.callbacks) == 0
    assert len(recorder.errors) == 1
    assert recorder.errors[0].isprintable()


@pytest.mark.parametrize("end", ["%0d", "%0a", "%0D%0A", "%00", "%0d%0aX-Evil:%201"])
@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1{end}:{port}/",
        "ws://local{end}host:{port}/",
        "ws://us{end}er:secret@127.0.0.1:{port}/",
        "ws://user:sec{end}ret@127.0.0.1:{port}/",
    ],
)
def test_percent_encoded_where_it_would_be_decoded(
    url: str, end: str, recorder: Any, untouched_port: int
) -> None:
    text = url.replace("{port}", str(untouched_port)).replace("{end}", end)
    assert wsfast.connect(text, **recorder.callbacks) == 0
    assert len(recorder.errors) == 1


def test_percent_encoded_in_a_path_it_stays_so(
    fails: Callable[..., str], raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(RawServerPeer.read_head)
    fails(server.url + "a%0d%0aX-Evil:%201?q=%0d%0a%00")
    lines = server.result().split(b"\r\n")
    assert lines[0] == b"GET /a%0d%0aX-Evil:%201?q=%0d%0a%00 HTTP/1.1"
    assert not [line for line in lines if line.lower().startswith(b"x-evil")]


OPTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "header name": lambda end: {"headers": {f"X-A{end}": "b"}},
    "header name's start": lambda end: {"headers": {f"{end}X-A": "b"}},
    "header value": lambda end: {"headers": {"X-A": f"b{end}c"}},
    "header value's start": lambda end: {"headers": {"X-A": f"{end}b"}},
    "header value's end": lambda end: {"headers": {"X-A": f"b{end}"}},
    "pairs": lambda end: {"headers": [("X-A", "b"), ("X-A", f"c{end}")]},
    "Headers": lambda end: {"headers": Headers([("X-A", f"b{end}")])},
    "cookie": lambda end: {"headers": {"Cookie": f"a=b{end}"}},
    "authorization": lambda end: {"headers": {"Authorization": f"Bearer a{end}"}},
    "host": lambda end: {"headers": {"Host": f"localhost{end}"}},
    "subprotocol": lambda end: {"protocols": ["chat", f"super{end}chat"]},
    "origin": lambda end: {"origin": f"http://localhost{end}"},
    "user agent": lambda end: {"user_agent": f"agent{end}"},
    "proxy's user": lambda end: {"proxy": f"http://us{end}er:secret@127.0.0.1:1"},
    "proxy's password": lambda end: {"proxy": f"http://user:sec{end}ret@127.0.0.1:1"},
    "SOCKS user": lambda end: {"proxy": f"socks5://us{end}er:secret@127.0.0.1:1"},
    "SOCKS4 user": lambda end: {"proxy": f"socks4://us{end}er@127.0.0.1:1"},
    "proxy's host": lambda end: {"proxy": f"http://127.0.0.1{end}:1"},
    "proxy's end": lambda end: {"proxy": f"http://127.0.0.1:1{end}"},
    "server name": lambda end: {"server_name": f"localhost{end}"},
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_in_an_option(
    option: Callable[[str], dict[str, Any]], end: str, recorder: Any, untouched_port: int
) -> None:
    with pytest.raises(wsfast.InvalidOption) as caught:
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **recorder.callbacks, **option(end))
    assert str(caught.value).isprintable()
    assert recorder.log == []


@pytest.mark.parametrize("end", ["%0d", "%0a", "%0D%0A", "%00", "%0d%0aX-Evil:%201", "%c2%85"])
@pytest.mark.parametrize(
    "proxy",
    [
        "{scheme}://us{end}er:secret@127.0.0.1:{port}",
        "{scheme}://user:sec{end}ret@127.0.0.1:{port}",
        "{scheme}://127.0.0.1{end}:{port}",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
def test_percent_encoded_in_a_proxys_url(
    scheme: str,
    proxy: str,
    end: str,
    recorder: Any,
    untouched_port: int,
    environment: Callable[..., None],
) -> None:
    url = proxy.replace("{port}", str(untouched_port)).replace("{end}", end)
    url = url.replace("{scheme}", scheme)
    with pytest.raises(wsfast.InvalidOption) as caught:
        wsfast.connect("ws://example.com/", **recorder.callbacks, proxy=url)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)
    assert recorder.log == []
    # From the environment it is told as every failure is that comes after the call.
    environment(http_proxy=url)
    assert wsfast.connect("ws://example.com/", **recorder.callbacks) > 0
    assert recorder.wait_closed()[0] == 1006
    assert recorder.errors[0].startswith("http_proxy in the environment: ")
    assert "secret" not in recorder.errors[0]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_in_an_option_of_a_server(end: str) -> None:
    for options in (
        {"headers": {"X-A": f"b{end}c"}},
        {"headers": {f"X-A{end}": "b"}},
        {"protocols": [f"chat{end}"]},
        {"server_header": f"server{end}"},
        {"origins": [f"https://example.com{end}"]},
    ):
        with pytest.raises(wsfast.InvalidOption):
            serve(print, "localhost", 0, **options)
