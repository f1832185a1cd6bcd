"""Which proxy leads to a server, and what a proxy's URL may be."""

import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.errors import InvalidOption, InvalidURL, ProxyError
from wsfast.protocol.options import client_options
from wsfast.protocol.proxy import (
    Proxy,
    _is_exempt,
    choose_proxy,
    parse_proxy,
    proxy_target,
    socks_failure,
)
from wsfast.protocol.url import parse_url

# ---------------------------------------------------------------- a proxy's URL


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy", Proxy("http", "proxy", 80)),
        ("http://proxy/", Proxy("http", "proxy", 80)),
        ("HTTP://Proxy.Example:3128", Proxy("http", "proxy.example", 3128)),
        ("https://proxy", Proxy("https", "proxy", 443)),
        ("socks4://proxy", Proxy("socks4", "proxy", 1080)),
        ("socks4a://me@proxy", Proxy("socks4a", "proxy", 1080, ("me", ""))),
        ("socks5://[::1]:9050", Proxy("socks5", "::1", 9050)),
        ("socks5h://me:pw@127.0.0.1", Proxy("socks5h", "127.0.0.1", 1080, ("me", "pw"))),
        ("http://a%40b:c%3A%2F@proxy", Proxy("http", "proxy", 80, ("a@b", "c:/"))),
        ("http://ü:ß@proxy", Proxy("http", "proxy", 80, ("ü", "ß"))),
        ("http://:pw@proxy", Proxy("http", "proxy", 80, ("", "pw"))),
        ("http://bücher.example", Proxy("http", "xn--bcher-kva.example", 80)),
    ],
)
def test_urls(text: str, proxy: Proxy) -> None:
    assert parse_proxy(text) == proxy
    assert client_options(proxy=text).proxy == proxy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy",
        "proxy:3128",
        "//proxy",
        "ws://proxy",
        "socks://proxy",
        "http://",
        "http://:3128",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:port",
        "http://proxy/path",
        "http://proxy?query",
        "http://proxy#fragment",
        "http://user:pa/ss@proxy",
        "http://a@b@proxy",
        "http://[::1",
        "http://::1",
        "http://pro xy",
        "http://proxy\\evil",
        "http://us%3Aer:pw@proxy",
        "http://user:50%@proxy",
        "http://" + "a" * 9000,
        "http://\ud800@proxy",
        "socks4://me:secret@proxy",
        "socks4://:@proxy",
        "socks4a://@proxy:99999",
        "socks5://me@proxy",
        "socks5://me:@proxy",
        "socks5://:secret@proxy",
        "socks5://mé:secret@proxy",
        "socks5://me:s%20t@proxy",
        f"socks5://me:{'x' * 256}@proxy",
        f"socks4://{'x' * 256}@proxy",
    ],
)
def test_no_proxy_urls(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_proxy(text)
    assert "secret" not in str(caught.value)
    with pytest.raises(InvalidOption, match="^proxy: "):
        client_options(proxy=text)


@pytest.mark.parametrize("end", ["\r", "\n", "\0", "\r\nX-Evil: 1", "%0d", "%0A", "%00", "%7F"])
@pytest.mark.parametrize(
    "url",
    ["http://us{}er:pw@proxy", "http://user:p{}w@proxy", "socks5://u{}:p@proxy", "http://pro{}xy"],
)
def test_characters_that_would_end_a_header(url: str, end: str) -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        client_options(proxy=url.replace("{}", end))
    assert str(caught.value).isprintable()


@given(st.text() | st.from_regex(r"(https?|socks[45][ah]?)://[^\n]*", fullmatch=True))
def test_any_text_is_a_proxy_or_an_error(text: str) -> None:
    try:
        proxy = parse_proxy(text)
    except InvalidURL:
        return
    assert 0 < proxy.port < 65536
    assert str(proxy).isascii()
    assert parse_proxy(str(proxy).removeprefix("proxy ")) == replace(proxy, credentials=None)


@given(st.text(), st.sampled_from(["ws://a.test", "ws://10.0.0.1:81", "ws://[fd00::1]"]))
def test_any_no_proxy_will_do(no_proxy: str, url: str) -> None:
    _is_exempt(parse_url(url), no_proxy)


def test_no_secret_is_shown() -> None:
    proxy = parse_proxy("http://someone:secret@proxy:3128")
    options = client_options(proxy="http://someone:secret@proxy:3128")
    assert str(proxy) == "proxy http://proxy:3128"
    for text in (str(proxy), repr(proxy), repr(options), f"{options}"):
        assert "secret" not in text
        assert "someone" not in text


# ---------------------------------------------------------------- the option


def test_the_option() -> None:
    assert client_options().proxy is True
    assert client_options(proxy=True).proxy is True
    assert client_options(proxy=False).proxy is False
    assert client_options(proxy=None).proxy is False
    for wrong in (1, b"http://proxy", ["http://proxy"]):
        with pytest.raises(TypeError, match="^proxy must be a str, a bool or None, not "):
            client_options(proxy=wrong)


def test_the_option_counts_for_every_server(environment: Any) -> None:
    environment(http_proxy="http://other", no_proxy="*")
    proxy = parse_proxy("http://proxy")
    for url in ("ws://example.com", "wss://localhost", "ws://127.0.0.1"):
        assert choose_proxy(parse_url(url), proxy) is proxy
        assert choose_proxy(parse_url(url), False) is None


# ---------------------------------------------------------------- the environment


def chosen(url: str) -> str | None:
    """`scheme://host` of the proxy for a server, from the environment."""
    proxy = choose_proxy(parse_url(url), True)
    return None if proxy is None else f"{proxy.scheme}://{proxy.host}"


def test_nothing_set(environment: Any) -> None:
    assert chosen("ws://example.com") is None
    environment(no_proxy="example.org", ftp_proxy="http://ftp")
    assert chosen("wss://example.com") is None


def test_the_scheme_chooses_the_variable(environment: Any) -> None:
    environment(socks_proxy="socks")
    assert chosen("ws://example.com") == chosen("wss://example.com") == "socks5h://socks"
    environment(all_proxy="socks5://all")
    assert chosen("ws://example.com") == chosen("wss://example.com") == "socks5://all"
    environment(http_proxy="http://plain")
    assert chosen("ws://example.com") == "http://plain"
    assert chosen("wss://example.com") == "socks5://all"
    environment(https_proxy="http://secure")
    assert chosen("ws://example.com") == "http://plain"
    assert chosen("wss://example.com") == "http://secure"
    environment(ws_proxy="http://ws", wss_proxy="http://wss")
    assert chosen("ws://example.com") == "http://ws"
    assert chosen("wss://example.com") == "http://wss"


def test_how_values_may_be_written(environment: Any) -> None:
    environment(HTTP_PROXY="http://upper")
    assert chosen("ws://example.com") == "http://upper"
    environment(http_proxy="lower:3128")
    assert chosen("ws://example.com") == "http://lower"
    environment(http_proxy="")  # as good as not set, in either case
    assert chosen("ws://example.com") is None
    environment(http_proxy="user:secret@lower:3128")
    proxy = choose_proxy(parse_url("ws://example.com"), True)
    assert proxy == Proxy("http", "lower", 3128, ("user", "secret"))
    environment(http_proxy="", socks_proxy="socks4://old")
    assert chosen("ws://example.com") == "socks4://old"


def test_a_cgi_script_ignores_what_a_header_may_have_set(environment: Any) -> None:
    """CVE-2016-1000110: a header "Proxy" becomes HTTP_PROXY."""
    environment(HTTP_PROXY="http://evil", REQUEST_METHOD="GET")
    assert chosen("ws://example.com") is None


def test_a_bad_value(environment: Any) -> None:
    environment(https_proxy="http://user:sec\nret@proxy")
    with pytest.raises(InvalidURL, match="^https_proxy in the environment: ") as caught:
        chosen("wss://example.com")
    assert "ret" not in str(caught.value)
    assert chosen("ws://example.com") is None


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("[::1]", True),
        ("notlocalhost", False),
        ("localhost.example.com", False),
        ("128.0.0.1", False),
        ("[::2]", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback_is_direct(host: str, direct: bool, environment: Any) -> None:
    environment(http_proxy="http://proxy", https_proxy="http://proxy")
    for scheme in "ws", "wss":
        assert (chosen(f"{scheme}://{host}:8080/") is None) is direct


@pytest.mark.parametrize(
    ("no_proxy", "direct", "through"),
    [
        ("*", ["ws://example.com", "ws://10.0.0.1"], []),
        ("a.test, *", ["ws://example.com"], []),
        (
            "example.com",
            ["ws://example.com", "ws://EXAMPLE.com.", "ws://a.b.example.com:1"],
            ["ws://badexample.com", "ws://example.com.evil", "ws://com"],
        ),
        (".example.com", ["ws://example.com", "ws://a.example.com"], ["ws://badexample.com"]),
        ("*.example.com", ["ws://a.example.com"], ["ws://badexample.com"]),
        ("Example.COM.", ["ws://example.com"], ["ws://example.org"]),
        (
            "example.com:8080",
            ["ws://example.com:8080", "ws://a.example.com:8080"],
            ["ws://example.com", "ws://example.com:808"],
        ),
        ("a.test,b.test", ["ws://a.test", "ws://b.test"], ["ws://c.test"]),
        (" a.test  b.test,,", ["ws://a.test", "ws://b.test"], ["ws://c.test"]),
        ("10.1.2.3", ["ws://10.1.2.3", "ws://10.1.2.3:99"], ["ws://10.1.2.4"]),
        ("10.1.2.3:99", ["ws://10.1.2.3:99"], ["ws://10.1.2.3"]),
        ("10.0.0.0/8", ["ws://10.255.1.1"], ["ws://11.0.0.1", "ws://a.test"]),
        ("10.1.2.3/8", ["ws://10.255.1.1"], ["ws://11.0.0.1"]),
        ("fd00::/8", ["ws://[fd12::1]"], ["ws://[fe80::1]", "ws://10.0.0.1"]),
        ("fd00::1", ["ws://[fd00::1]:99"], ["ws://[fd00::2]"]),
        ("[fd00::1]", ["ws://[fd00::1]"], ["ws://[fd00::2]"]),
        ("[fd00::1]:99", ["ws://[fd00::1]:99"], ["ws://[fd00::1]"]),
        ("10.0.0.0/99, :80, /, .", [], ["ws://10.0.0.1", "ws://a.test"]),
    ],
)
def test_no_proxy(no_proxy: str, direct: list[str], through: list[str], environment: Any) -> None:
    environment(http_proxy="http://proxy", NO_PROXY=no_proxy)
    for url in direct:
        assert chosen(url) is None, url
    for url in through:
        assert chosen(url) == "http://proxy", url


def test_the_systems_settings_where_there_is_no_variable(
    environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS and Windows keep them elsewhere; urllib knows where, and here what it says."""
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"socks": "http://proxy:1080"})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: host == "intranet.test")
    assert chosen("ws://example.com") == "socks5h://proxy"
    assert chosen("ws://intranet.test:99") is None
    environment(no_proxy="example.com")  # a variable: now the environment counts alone
    assert chosen("ws://example.org") is None


# ---------------------------------------------------------------- SOCKS


def test_what_a_proxy_is_asked_for() -> None:
    name, v4, v6 = (parse_url(f"ws://{host}/") for host in ("a.test", "10.0.0.1", "[fd00::1]"))
    for scheme in "http", "https", "socks4a", "socks5h":
        proxy = Proxy(scheme, "proxy", 1080)
        assert [proxy_target(proxy, url, []) for url in (name, v4)] == ["a.test", "10.0.0.1"]
    found = ["fd00::9", "10.0.0.9"]
    for scheme, expected in {
        "http": "fd00::9",
        "socks4": "10.0.0.9",
        "socks4a": "10.0.0.9",
        "socks5": "fd00::9",
        "socks5h": "fd00::9",
    }.items():
        assert proxy_target(Proxy(scheme, "proxy", 1080), name, found) == expected
    assert proxy_target(Proxy("socks5h", "proxy", 1080), v6, []) == "fd00::1"
    for scheme in "socks4", "socks4a":
        for url, addresses in (v6, []), (name, ["fd00::1"]):
            with pytest.raises(ProxyError, match="SOCKS4 knows no IPv6") as caught:
                proxy_target(Proxy(scheme, "proxy", 1080), url, addresses)
            assert not caught.value.retryable


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        (1, True),
        (2, False),
        (3, True),
        (5, True),
        (8, False),
        (91, True),
        (93, False),
        (None, False),
    ],
)
def test_what_a_socks_proxy_refuses(code: int | None, retryable: bool) -> None:
    error = socks_failure(Proxy("socks5", "proxy", 1080), "Connection refused by destination", code)
    assert str(error) == "proxy socks5://proxy:1080: connection refused by destination"
    assert error.retryable is retryable
    assert error.status is None
