import ssl
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Any

import pytest

from wsfast._version import __version__
from wsfast.protocol.constants import Compression
from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.headers import Headers
from wsfast.protocol.options import (
    ClientOptions,
    ClientOptionsDict,
    Options,
    ServerOptions,
    ServerOptionsDict,
    client_options,
    server_options,
)

BOTH = pytest.mark.parametrize("build", [client_options, server_options])
DURATIONS = [
    "dial_timeout",
    "read_timeout",
    "write_timeout",
    "close_timeout",
    "ping_interval",
    "pong_timeout",
]
COUNTS = [
    "max_fragments",
    "receive_queue_messages",
    "receive_queue_bytes",
    "send_queue_messages",
    "send_queue_bytes",
]


@BOTH
def test_defaults_that_both_sides_share(build: Any) -> None:
    options = build()
    assert options.headers == ()
    assert options.protocols == ()
    assert options.dial_timeout == 10
    assert options.read_timeout is None
    assert options.write_timeout == 30
    assert options.close_timeout == 5
    assert options.ping_interval == 20
    assert options.pong_timeout == 20
    assert options.read_limit == 16 * 2**20
    assert options.max_fragments == 131072
    assert options.receive_queue_messages == 65536
    assert options.receive_queue_bytes == 32 * 2**20
    assert options.send_queue_messages == 65536
    assert options.send_queue_bytes == 16 * 2**20
    assert options.send_overflow == "block"
    assert options.receive_overflow == "pause"
    assert options.streaming is False
    assert options.control_messages is False
    assert options.ssl_context is None


def test_defaults_of_a_client() -> None:
    options = client_options()
    assert options == ClientOptions()
    assert options.verify is True
    assert options.server_name is None
    assert options.origin is None
    assert options.user_agent == f"wsfast/{__version__}"
    assert options.proxy is True
    assert options.proxy_ssl_context is None
    assert options.max_redirects == 0


def test_defaults_of_a_server() -> None:
    options = server_options()
    assert options == ServerOptions()
    assert options.origins is None
    assert options.max_connections == 1000
    assert options.server_header is None


@pytest.mark.parametrize(
    ("cls", "dictionary"),
    [(ClientOptions, ClientOptionsDict), (ServerOptions, ServerOptionsDict)],
)
def test_what_callers_may_pass_is_what_the_options_hold(
    cls: type[Options], dictionary: Any
) -> None:
    assert {option.name for option in fields(cls)} == set(dictionary.__annotations__)
    assert not dictionary.__required_keys__


def test_options_are_immutable() -> None:
    options = client_options()
    with pytest.raises(FrozenInstanceError):
        options.verify = False


@BOTH
def test_an_unknown_option_is_named_with_a_suggestion(build: Any) -> None:
    with pytest.raises(TypeError, match=r"^unknown option 'ping_intervall'; .* 'ping_interval'\?$"):
        build(ping_intervall="5s")
    with pytest.raises(TypeError, match=r"^unknown option 'zzz'$"):
        build(zzz=1)


def test_an_option_of_the_other_side_is_unknown() -> None:
    with pytest.raises(TypeError, match=r"^unknown option 'origins'; did you mean 'origin'\?$"):
        client_options(origins=[])
    with pytest.raises(TypeError, match=r"^unknown option 'verify'"):
        server_options(verify=True)


@BOTH
@pytest.mark.parametrize("name", DURATIONS)
def test_durations(build: Any, name: str) -> None:
    assert getattr(build(**{name: 1500}), name) == 1.5
    assert getattr(build(**{name: "1m30s"}), name) == 90
    assert getattr(build(**{name: timedelta(seconds=2)}), name) == 2
    for value in (0, -1, "0s", "soon"):
        with pytest.raises(InvalidOption, match=rf"^{name}"):
            build(**{name: value})
    with pytest.raises(TypeError, match=rf"^{name}"):
        build(**{name: True})


@BOTH
@pytest.mark.parametrize("name", [name for name in DURATIONS if name != "close_timeout"])
def test_none_is_no_limit(build: Any, name: str) -> None:
    assert getattr(build(**{name: None}), name) is None


@BOTH
def test_every_close_has_a_limit(build: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^close_timeout must not be None$"):
        build(close_timeout=None)


@BOTH
@pytest.mark.parametrize("name", COUNTS)
def test_counts(build: Any, name: str) -> None:
    assert getattr(build(**{name: 1}), name) == 1
    for value in (0, -1, 2**63):
        with pytest.raises(InvalidOption, match=rf"^{name} must be between 1 and "):
            build(**{name: value})
    for value in (None, True, 1.0, "1"):
        with pytest.raises(TypeError, match=rf"^{name} must be an int"):
            build(**{name: value})


@BOTH
@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (0, "DISABLED"), (1, "CONTEXT_TAKEOVER"), (2, "NO_CONTEXT"), ("disabled", "DISABLED"),
        ("CONTEXT_TAKEOVER", "CONTEXT_TAKEOVER"), ("No_Context", "NO_CONTEXT"),
        (Compression.NO_CONTEXT, "NO_CONTEXT"),
    ],
)  # fmt: skip
def test_compression(build: Any, value: Any, mode: str) -> None:
    assert build().compression is Compression.DISABLED
    assert build(compression=value).compression is Compression[mode]


@BOTH
def test_bad_compression(build: Any) -> None:
    for value in (3, -1, "", "deflate", "1"):
        with pytest.raises(InvalidOption, match=r"^compression must be one of 'disabled', "):
            build(compression=value)
    for wrong in (True, None, 1.0, b"disabled"):
        with pytest.raises(TypeError, match=r"^compression must be a Compression, not "):
            build(compression=wrong)


@BOTH
def test_compression_threshold(build: Any) -> None:
    assert build().compression_threshold == 128
    assert build(compression=1, compression_threshold=0).compression_threshold == 128
    assert build(compression=2).compression_threshold == 512
    assert build(compression=2, compression_threshold=0).compression_threshold == 512
    assert build(compression=2, compression_threshold=1).compression_threshold == 1
    assert build(compression_threshold=104857600).compression_threshold == 104857600
    for value in (-1, 104857601):
        with pytest.raises(InvalidOption, match=r"^compression_threshold must be between 0 and"):
            build(compression_threshold=value)


@BOTH
def test_what_compression_costs(build: Any) -> None:
    options = build()
    assert (options.compression_level, options.compression_window_bits) == (6, 12)
    options = build(compression_level=1, compression_window_bits=15)
    assert (options.compression_level, options.compression_window_bits) == (1, 15)
    for name, bad in (("compression_level", (0, 10)), ("compression_window_bits", (8, 16))):
        for value in bad:
            with pytest.raises(InvalidOption, match=rf"^{name} must be between"):
                build(**{name: value})


@BOTH
def test_read_limit(build: Any) -> None:
    assert build(read_limit=0).read_limit == 16 * 2**20
    assert build(read_limit=1).read_limit == 1
    assert build(read_limit=134217728).read_limit == 134217728
    for value in (-1, 134217729):
        with pytest.raises(InvalidOption, match=r"^read_limit must be between 0 and 134217728$"):
            build(read_limit=value)
    with pytest.raises(TypeError, match=r"^read_limit"):
        build(read_limit=1e6)


@BOTH
def test_headers(build: Any) -> None:
    pairs = (("X-A", "1"), ("X-A", "2"))
    assert build(headers=pairs).headers == pairs
    assert build(headers=Headers(pairs)).headers == pairs
    assert build(headers={"X-B": " 3 "}).headers == (("X-B", "3"),)
    with pytest.raises(InvalidOption, match=r"^headers"):
        build(headers={"X-A": "1\r\nX-B: 2"})
    with pytest.raises(TypeError, match=r"^headers"):
        build(headers=None)


def test_repr_does_not_show_headers() -> None:
    assert "secret" not in repr(client_options(headers={"Authorization": "Bearer secret"}))


@BOTH
def test_protocols(build: Any) -> None:
    assert build(protocols=["a", "b"]).protocols == ("a", "b")
    assert build(protocols=()).protocols == ()
    for value in ("chat", {"a", "b"}, iter(["a"]), None, ["a", 1], b"ab"):
        with pytest.raises(TypeError, match=r"^protocols"):
            build(protocols=value)
    for value in (["a", "a"], ["a b"], [""], ["a\r\n"], ["a,b"]):
        with pytest.raises(InvalidOption, match=r"^protocols"):
            build(protocols=value)


@BOTH
@pytest.mark.parametrize(
    ("name", "words"),
    [("send_overflow", ["block", "fail"]), ("receive_overflow", ["pause", "drop_oldest"])],
)
def test_overflow(build: Any, name: str, words: list[str]) -> None:
    for word in words:
        assert getattr(build(**{name: word}), name) == word
    with pytest.raises(InvalidOption, match=rf"^{name} must be one of '{words[0]}', '{words[1]}'$"):
        build(**{name: "drop"})
    with pytest.raises(TypeError, match=rf"^{name} must be a str"):
        build(**{name: None})


@BOTH
def test_what_is_streamed_is_not_dropped(build: Any) -> None:
    assert build(streaming=True, receive_overflow="pause").streaming is True
    with pytest.raises(InvalidOption, match=r"^streaming contradicts receive_overflow"):
        build(streaming=True, receive_overflow="drop_oldest")


def test_ssl_context() -> None:
    client, server = (
        ssl.SSLContext(protocol) for protocol in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER)
    )
    assert client_options(ssl_context=client).ssl_context is client
    assert server_options(ssl_context=server).ssl_context is server
    assert client_options(ssl_context=None).ssl_context is None
    with pytest.raises(InvalidOption, match=r"^ssl_context is for the other side"):
        client_options(ssl_context=server)
    with pytest.raises(InvalidOption, match=r"^ssl_context is for the other side"):
        server_options(ssl_context=client)
    for value in (True, "cert.pem", ssl):
        with pytest.raises(TypeError, match=r"^ssl_context must be an ssl.SSLContext"):
            client_options(ssl_context=value)


def test_verify() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert client_options(verify=False).verify is False
    assert client_options(verify=False, ssl_context=None).verify is False
    assert client_options(verify=True, ssl_context=context).verify is True
    with pytest.raises(InvalidOption, match=r"^verify=False contradicts ssl_context"):
        client_options(verify=False, ssl_context=context)
    for value in (0, None, "no"):
        with pytest.raises(TypeError, match=r"^verify must be a bool"):
            client_options(verify=value)


def test_server_name() -> None:
    assert client_options(server_name="Example.COM").server_name == "example.com"
    assert client_options(server_name="b\u00fccher.de").server_name == "xn--bcher-kva.de"
    assert client_options(server_name="10.0.0.1").server_name == "10.0.0.1"
    assert client_options(server_name="::1").server_name == "::1"
    assert client_options(server_name=None).server_name is None
    for value in ("", "a b", "[::1]", ":::", "host:80", "a\n"):
        with pytest.raises(InvalidOption, match=r"^server_name: "):
            client_options(server_name=value)
    with pytest.raises(TypeError, match=r"^server_name must be a str"):
        client_options(server_name=b"example.com")


@pytest.mark.parametrize(
    ("build", "name", "header"),
    [
        (client_options, "origin", "Origin"),
        (client_options, "user_agent", "User-Agent"),
        (server_options, "server_header", "Server"),
    ],
)
def test_options_that_are_headers(build: Any, name: str, header: str) -> None:
    assert getattr(build(**{name: "x/1"}), name) == "x/1"
    assert getattr(build(**{name: None}), name) is None
    for value in ("", " ", "a\r\nb", "\u20ac"):
        with pytest.raises(InvalidOption, match=rf"^{name}"):
            build(**{name: value})
    with pytest.raises(TypeError, match=rf"^{name}"):
        build(**{name: 5})
    options = build(headers={header.upper(): "mine"})
    assert getattr(options, name) is None
    assert options.headers == ((header.upper(), "mine"),)
    assert build(**{name: None, "headers": {header: "mine"}}).headers == ((header, "mine"),)
    with pytest.raises(InvalidOption, match=rf"^{name} and headers both set {header}$"):
        build(**{name: "x/1", "headers": {header: "mine"}})


def test_origins() -> None:
    assert server_options(origins=["https://a.org", "*"]).origins == ("https://a.org", "*")
    assert server_options(origins=[]).origins == ()
    assert server_options(origins=None).origins is None
    with pytest.raises(TypeError, match=r"^origins"):
        server_options(origins="*")
    with pytest.raises(InvalidOption, match=r"^origins"):
        server_options(origins=["https://a.org/"])


def test_max_connections() -> None:
    assert server_options(max_connections=1).max_connections == 1
    with pytest.raises(InvalidOption, match=r"^max_connections"):
        server_options(max_connections=0)


def test_max_redirects() -> None:
    assert client_options(max_redirects=20).max_redirects == 20
    for wrong in -1, 21:
        with pytest.raises(InvalidOption, match="^max_redirects must be between 0 and 20$"):
            client_options(max_redirects=wrong)
    with pytest.raises(TypeError, match="^max_redirects must be an int"):
        client_options(max_redirects=True)


def test_proxy_ssl_context() -> None:
    context = ssl.create_default_context()
    for proxy in (True, "https://proxy"):
        options = client_options(proxy=proxy, proxy_ssl_context=context)
        assert options.proxy_ssl_context is context
    for contradiction in (False, None, "http://proxy", "socks5://proxy"):
        with pytest.raises(InvalidOption, match="^proxy_ssl_context contradicts proxy"):
            client_options(proxy=contradiction, proxy_ssl_context=context)
    with pytest.raises(InvalidOption, match="^proxy_ssl_context is for the other side"):
        client_options(proxy_ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with pytest.raises(TypeError, match="^proxy_ssl_context must be an ssl.SSLContext"):
        client_options(proxy_ssl_context=True)
