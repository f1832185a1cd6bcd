"""What is wrong with a call is said by the call, before a byte is sent."""

import errno
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import wsfast
from wsfast.protocol.options import ClientOptionsDict, ServerOptionsDict
from wsfast.server import serve

URLS = [
    "",
    "127.0.0.1:{port}",
    "//127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "tcp://127.0.0.1:{port}/",
    "wsss://127.0.0.1:{port}/",
    "ws:127.0.0.1:{port}",
    "ws:/127.0.0.1:{port}/",
    "ws:///127.0.0.1:{port}/",
    " ws://127.0.0.1:{port}/",
    "ws ://127.0.0.1:{port}/",
    "ws://:{port}/",
    "ws://@:{port}/",
    "ws://127.0.0.1 :{port}/",
    "ws://127.0.0.1:{port} /",
    "ws://127.0.0.1:{port}#part",
    "ws://127.0.0.1:{port}/path#part",
    "ws://127.0.0.1:{port}\\path",
    "ws://127.0.0.1\\@127.0.0.1:{port}/",
    "ws://user:one@two@127.0.0.1:{port}/",
    "ws://us%3Aer:secret@127.0.0.1:{port}/",
    "ws://user:%ff@127.0.0.1:{port}/",
    "ws://user:%zz@127.0.0.1:{port}/",
    "ws://127.1:{port}/",
    "ws://2130706433:{port}/",
    "ws://0x7f.1:{port}/",
    "ws://0177.0.0.1:{port}/",
    "ws://127.0.0.1.:{port}/",
    "ws://127.0.0.256:{port}/",
    "ws://::1:{port}/",
    "ws://[::1:{port}/",
    "ws://[::1]{port}/",
    "ws://[::g]:{port}/",
    "ws://[::1%25lo]:{port}/",
    "ws://local..host:{port}/",
    "ws://.localhost:{port}/",
    "ws://local host:{port}/",
    "ws://local%20host:{port}/",
    "ws://local%host:{port}/",
    "ws://local!host:{port}/",
    "ws://xn--\u00fc:{port}/",
    "ws://stra\u00dfe:{port}/",
    "ws://" + "a" * 64 + ":{port}/",
    "ws://" + "a." * 200 + "a:{port}/",
    "ws://127.0.0.1:{port}/\ud800",
    "ws://127.0.0.1:{port}/" + "a" * 8192,
    "ws://127.0.0.1:{port}/" + "\u20ac" * 3000,
    # Ports.
    "ws://127.0.0.1:/",
    "ws://127.0.0.1:0/",
    "ws://127.0.0.1:-{port}/",
    "ws://127.0.0.1:+{port}/",
    "ws://127.0.0.1:{port}.0/",
    "ws://127.0.0.1:{port}a/",
    "ws://127.0.0.1:0x{port}/",
    "ws://127.0.0.1:65536/",
    "ws://127.0.0.1:4294967376/",
    "ws://127.0.0.1:99999999999999999999/",
    "ws://127.0.0.1:http/",
    "ws://127.0.0.1:{port}:{port}/",
    "ws://127.0.0.1:\u0661\u0662\u0663/",
]


@pytest.mark.parametrize("url", URLS)
def test_a_bad_url_is_told_at_once(url: str, recorder: Any, untouched_port: int) -> None:
    assert wsfast.connect(url.replace("{port}", str(untouched_port)), **recorder.callbacks) == 0
    (text,) = recorder.errors
    assert recorder.log == [("error", text)]
    assert text.isprintable()
    assert wsfast.list() == []


def test_a_bad_url_without_on_error(untouched_port: int) -> None:
    assert wsfast.connect(f"http://127.0.0.1:{untouched_port}/") == 0


def test_a_bad_url_and_user_data(untouched_port: int) -> None:
    told: list[object] = []

    def on_error(text: str, user_data: object) -> None:
        told.append(user_data)

    url = f"http://127.0.0.1:{untouched_port}/"
    assert wsfast.connect(url, on_error=on_error, user_data="mine") == 0
    assert told == ["mine"]


@pytest.mark.parametrize("url", [None, 5, b"ws://localhost/", ["ws://localhost/"], object()])
def test_a_url_that_is_no_str(url: Any, recorder: Any) -> None:
    with pytest.raises(TypeError, match="URL"):
        wsfast.connect(url, **recorder.callbacks)
    assert recorder.log == []


@pytest.mark.parametrize("name", ["on_message", "on_open", "on_close", "on_error"])
@pytest.mark.parametrize("callback", [5, "print", [], object()])
def test_a_callback_that_cannot_be_called(name: str, callback: Any, untouched_port: int) -> None:
    with pytest.raises(TypeError, match=name):
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **{name: callback})


# Of each option: values of a wrong type, and wrong values.
DURATION: tuple[list[Any], list[Any]] = (
    [True, b"5s", [5], {}, object(), 5j],
    [0, -1, 0.0, -0.5, float("nan"), float("inf"), "", "5", "s", "5 s", "-5s", "0s", "5d", "1e3s"]
    + [timedelta(0), timedelta(seconds=-1), timedelta(days=25), 10**400, "99999999h"],
)
COUNT: tuple[list[Any], list[Any]] = ([None, True, 1.0, "1", b"1", [1]], [0, -1, 2**31, 10**30])
SIZE: tuple[list[Any], list[Any]] = ([None, True, 1.0, "1", b"1", [1]], [0, -1, 2**63])
VALUE: tuple[list[Any], list[Any]] = (
    [5, b"x", ["x"], True],
    ["", " ", "a\rb", "a\nb", "a\0b", "\x7f", "\x1b[0m", "\u20ac", "\ud800"],
)
BOTH: dict[str, tuple[list[Any], list[Any]]] = {
    "headers": (
        [None, 5, "A: b", b"A: b", ["A: b"], [("A",)], [("A", "b", "c")], [["A", 1]]]
        + [{"A": None}, {"A": b"b"}, {b"A": "b"}, {1: "b"}, [None]],
        [{"": "b"}, {"A b": "c"}, {"A:": "b"}, {"\u00c4": "b"}, {"A": "\u20ac"}, {"A": "\x01"}]
        + [{"Upgrade": "x"}, {"connection": "x"}, {"Sec-WebSocket-Key": "x"}]
        + [{"SEC-WEBSOCKET-VERSION": "8"}, {"Sec-WebSocket-Extensions": "x"}]
        + [{"Sec-WebSocket-Protocol": "x"}, {"Sec-WebSocket-Accept": "x"}]
        + [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}]
        + [[("Host", "a"), ("host", "b")]],
    ),
    "protocols": (
        [None, "chat", b"chat", 5, [5], [None], [b"chat"], {"chat"}],
        [[""], ["a b"], ["a,b"], ["a\r\nb"], ["chat", "chat"], ["\u00fc"]],
    ),
    "dial_timeout": DURATION,
    "read_timeout": DURATION,
    "write_timeout": DURATION,
    "close_timeout": (DURATION[0], [*DURATION[1], None]),
    "ping_interval": DURATION,
    "pong_timeout": DURATION,
    "read_limit": ([None, True, 1.0, "1", b"1"], [-1, 134_217_729]),
    "max_fragments": COUNT,
    "receive_queue_messages": COUNT,
    "receive_queue_bytes": SIZE,
    "send_queue_messages": COUNT,
    "send_queue_bytes": SIZE,
    "send_overflow": ([None, 5, b"block"], ["", "Block", "drop"]),
    "receive_overflow": ([None, 5, b"pause"], ["", "PAUSE", "fail"]),
    "streaming": ([None, 0, 1, "no", []], []),
    "control_messages": ([None, 0, 1, "no", []], []),
    "compression": ([None, True, 1.0, b"disabled", ["disabled"]], [-1, 3, "", "deflate", "on"]),
    "compression_threshold": ([None, True, 1.0, "1", b"1"], [-1, 104_857_601]),
    "compression_level": ([None, True, 1.0, "1", b"1"], [-1, 0, 10]),
    "compression_window_bits": ([None, True, 1.0, "1", b"1"], [-1, 8, 16]),
    "ssl_context": ([True, "yes", ssl.SSLContext, object()], []),
}
CLIENT = {
    **BOTH,
    "verify": ([None, 0, 1, "no", []], []),
    "server_name": (
        [5, b"host", True, ["host"]],
        ["", "a b", "a/b", "a\r\nb", "a\0b", "[::1]", "host:443", "..", "127.1", "::g", "a" * 64],
    ),
    "origin": VALUE,
    "user_agent": VALUE,
    "proxy": (
        [0, 1, 5, b"http://proxy", ["http://proxy"], object()],
        ["", "proxy", "proxy:3128", "ws://proxy", "ftp://proxy", "http://", "http://proxy:0"]
        + ["http://proxy/path", "http://a b", "http://[::1", "http://127.1", "http://a\r\nb"]
        + ["http://u%0d%0aser:pw@proxy", "socks4://user:pw@proxy", "socks5://user@proxy"],
    ),
    "proxy_ssl_context": ([True, "yes", ssl.SSLContext, object()], []),
    "max_redirects": ([None, True, 1.0, "1"], [-1, 21]),
}
SERVER = {
    **BOTH,
    "origins": (
        [5, "https://a.example", b"x", [5], [None], {"a"}],
        [[""], ["https://"], ["https://a.example/path"], ["a.example:0"], ["a b"], ["\u00fc"]],
    ),
    "max_connections": COUNT,
    "server_header": VALUE,
}


def cases(table: dict[str, tuple[list[Any], list[Any]]], column: int) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}={value!a:.40}")
        for name, columns in table.items()
        for value in columns[column]
    ]


def test_every_option_is_in_the_tables() -> None:
    assert set(CLIENT) == set(ClientOptionsDict.__annotations__)
    assert set(SERVER) == set(ServerOptionsDict.__annotations__)


@pytest.mark.parametrize(("name", "value"), cases(CLIENT, 0))
def test_an_option_of_a_wrong_type(
    name: str, value: Any, recorder: Any, untouched_port: int
) -> None:
    with pytest.raises(TypeError, match=name):
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **recorder.callbacks, **{name: value})
    assert recorder.log == []


@pytest.mark.parametrize(("name", "value"), cases(CLIENT, 1))
def test_an_option_with_a_wrong_value(
    name: str, value: Any, recorder: Any, untouched_port: int
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **recorder.callbacks, **{name: value})
    assert isinstance(caught.value, wsfast.InvalidOption)
    assert str(caught.value).isprintable()
    assert recorder.log == []


@pytest.mark.parametrize(("name", "value"), cases(SERVER, 0))
def test_a_server_option_of_a_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        serve(print, "localhost", 0, **{name: value})


@pytest.mark.parametrize(("name", "value"), cases(SERVER, 1))
def test_a_server_option_with_a_wrong_value(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        serve(print, "localhost", 0, **{name: value})
    assert isinstance(caught.value, wsfast.InvalidOption)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("header", "headers"),
        ("timeout", "read_timeout"),
        ("dail_timeout", "dial_timeout"),
        ("pingInterval", "ping_interval"),
        ("subprotocols", "protocols"),
        ("sslcontext", "ssl_context"),
        ("verify_ssl", "verify"),
        ("max_fragment", "max_fragments"),
        ("Origin", "origin"),
    ],
)
def test_an_unknown_option_and_what_was_meant(given: str, meant: str, untouched_port: int) -> None:
    with pytest.raises(TypeError, match=f"unknown option '{given}'; did you mean '{meant}'"):
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **{given: 5})


@pytest.mark.parametrize(
    "name", ["zzz", "compression_ratio_of_the_moon", "origins_", "max_connection"]
)
def test_an_unknown_option(name: str, untouched_port: int) -> None:
    with pytest.raises(TypeError, match=f"unknown option '{name}'"):
        wsfast.connect(f"ws://127.0.0.1:{untouched_port}/", **{name: 5})


@pytest.mark.parametrize(
    "options",
    [
        {"verify": False, "ssl_context": ssl.create_default_context()},
        {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)},
        {"user_agent": "a", "headers": {"User-Agent": "b"}},
        {"origin": "http://a", "headers": {"origin": "http://b"}},
        {"proxy": "http://proxy", "proxy_ssl_context": ssl.create_default_context()},
        {"proxy": None, "proxy_ssl_context": ssl.create_default_context()},
    ],
)
def test_options_that_contradict_each_other(options: Any, untouched_port: int) -> None:
    with pytest.raises(wsfast.InvalidOption):
        wsfast.connect(f"wss://127.0.0.1:{untouched_port}/", **options)


@pytest.mark.parametrize("handler", [None, 5, "echo"])
def test_a_handler_that_cannot_be_called(handler: Any) -> None:
    with pytest.raises(TypeError, match="handler"):
        serve(handler, "localhost", 0)


def test_a_server_cannot_listen_where_somebody_does(untouched_port: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its text is the system's
        serve(print, "127.0.0.1", untouched_port)
    assert caught.value.errno == errno.EADDRINUSE


# ---------------------------------------------------------------- calls with an id


class Unsendable:
    def __len__(self) -> int:
        return 3

    def __str__(self) -> str:
        return "abc"


NOT_SENDABLE = [None, True, 0, 5, 1.5, 5j, [], [1, 2], (b"a",), {}, {"a": 1}, {1}, object()]


@pytest.mark.parametrize("data", [*NOT_SENDABLE, Unsendable(), range(3), print, ["a", "b"]])
def test_data_that_cannot_be_sent(data: Any, open_echo: Callable[[], tuple[int, Any]]) -> None:
    number, recorder = open_echo()
    with pytest.raises(TypeError):
        wsfast.send(number, data)
    assert wsfast.send(number, "still there")
    assert recorder.wait_messages(1) == ["still there"]


@pytest.mark.parametrize("data", ["\ud800", "abc\udfff", "a" * 100_000 + "\ud800"])
def test_text_that_utf8_cannot_encode(data: str, open_echo: Callable[[], tuple[int, Any]]) -> None:
    number, recorder = open_echo()
    with pytest.raises(ValueError, match="surrogate"):
        wsfast.send(number, data)
    assert wsfast.send(number, "still there")
    assert recorder.wait_messages(1) == ["still there"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((999,), ValueError),
        ((1004,), ValueError),
        ((1005,), ValueError),
        ((1006,), ValueError),
        ((1015,), ValueError),
        ((1016,), ValueError),
        ((2999,), ValueError),
        ((5000,), ValueError),
        ((-1,), ValueError),
        ((66536,), ValueError),
        ((1000, "x" * 124), ValueError),
        ((1000, "\u20ac" * 42), ValueError),
        ((1000, "\ud800"), ValueError),
        (("1000",), TypeError),
        ((None,), TypeError),
        ((True,), TypeError),
        ((1000.0,), TypeError),
        ((1000, b"bye"), TypeError),
        ((1000, None), TypeError),
    ],
)
def test_a_code_or_reason_that_may_not_be_sent(
    arguments: Any, error: type[Exception], open_echo: Callable[[], tuple[int, Any]]
) -> None:
    number, recorder = open_echo()
    with pytest.raises(error):
        wsfast.close(number, *arguments)
    assert wsfast.is_connected(number)
    assert wsfast.send(number, "still there")
    assert recorder.wait_messages(1) == ["still there"]


@pytest.mark.parametrize(
    "call",
    [
        lambda number: wsfast.send(number, "x"),
        wsfast.close,
        wsfast.is_connected,
        wsfast.get_messages,
        wsfast.get_messages_json,
        wsfast.get_state,
        wsfast.get_url,
    ],
)
@pytest.mark.parametrize("number", [None, "1", b"1", 1.0, [1], object()])
def test_an_id_that_is_no_int(call: Callable[[Any], object], number: Any) -> None:
    with pytest.raises(TypeError, match="id"):
        call(number)
