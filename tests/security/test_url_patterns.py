"""Patterns of URLs: what they match, and the ways around them that lead nowhere."""

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.errors import InvalidOption, InvalidURL
from wsfast.protocol.url import parse_url
from wsfast.protocol.url_patterns import URLPattern


def matches(pattern: str, url: str) -> bool:
    return URLPattern.parse(pattern).matches(parse_url(url))


def matches_widely(pattern: str, url: str) -> bool:
    """As where it denies."""
    return URLPattern.parse(pattern, wide=True).matches(parse_url(url))


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("*", "ws://example.com/"),
        ("*", "wss://[::1]:1234/a/../b?c"),
        ("example.com", "ws://example.com/"),
        ("example.com", "wss://example.com/a?b"),
        ("example.com", "WSS://EXAMPLE.com:443"),
        ("Example.COM", "ws://example.com"),
        ("wss://example.com", "wss://example.com/"),
        ("WSS://example.com", "wss://example.com/"),
        ("example.com:8080", "ws://example.com:8080/"),
        ("example.com:443", "wss://example.com/"),
        ("example.com:80", "ws://example.com/"),
        ("example.com:*", "ws://example.com:8080/"),
        ("example.com:*", "ws://example.com/"),
        ("*:8080", "ws://example.com:8080/"),
        ("*.example.com", "ws://a.example.com/"),
        ("*.example.com", "ws://a.b.c.example.com/"),
        ("app-?.example.com", "ws://app-7.example.com/"),
        ("*.example.*", "ws://a.example.org/"),
        # a trailing dot
        ("example.com", "ws://example.com./"),
        ("example.com.", "ws://example.com/"),
        ("example.com.", "ws://example.com./"),
        ("*.example.com", "ws://a.example.com./"),
        ("*.example.com.", "ws://a.example.com/"),
        ("*.", "ws://example.com/"),
        # user information is nobody's host
        ("example.com", "ws://evil.org@example.com/"),
        ("example.com", "ws://evil.org:80@example.com/"),
        # IDNA and percent-encoding
        ("xn--bcher-kva.example", "ws://bücher.example/"),
        ("xn--bcher-kva.example", "ws://BÜCHER.example/"),
        ("xn--bcher-kva.example", "ws://b%C3%BCcher.example/"),
        ("example.com", "ws://ex%61mple.com/"),
        ("example.com", "ws://ｅｘａｍｐｌｅ.com/"),
        ("example.com", "ws://example。com/"),
        # addresses
        ("127.0.0.1", "ws://127.0.0.1/"),
        ("127.*", "ws://127.0.0.1/"),
        ("10.0.0.?", "ws://10.0.0.7/"),
        ("*.1", "ws://10.0.0.1/"),
        ("127.0.0.1", "ws://[::ffff:127.0.0.1]/"),
        ("127.0.0.1", "ws://[::ffff:7f00:1]/"),
        ("127.0.0.1", "ws://[64:ff9b::127.0.0.1]/"),
        ("[::ffff:127.0.0.1]", "ws://127.0.0.1/"),
        ("[::1]", "ws://[::1]/"),
        ("[::1]", "ws://[0:0:0:0:0:0:0:1]/"),
        ("[0::0:1]:8080", "ws://[::1]:8080/"),
        ("[FD00::A]", "ws://[fd00::a]/"),
        ("*", "ws://[::1]/"),
        ("ws://*", "ws://[::1]/"),
        # paths
        ("example.com/", "ws://example.com"),
        ("example.com/", "ws://example.com?a"),
        ("example.com/feed", "ws://example.com/feed?token=/x"),
        ("example.com/feed/*", "ws://example.com/feed/a/b"),
        ("example.com/feed/*", "ws://example.com/feed/"),
        ("example.com/*/b", "ws://example.com/a/b"),
        ("example.com/a b", "ws://example.com/a%20b"),
        ("example.com/a%20b", "ws://example.com/a b"),
        ("example.com/ü", "ws://example.com/%C3%BC"),
        ("example.com/%2A", "ws://example.com/*"),
        ("example.com/~a", "ws://example.com/%7Ea"),
        ("example.com/.*", "ws://example.com/.well-known"),
        ("example.com/..*", "ws://example.com/..a"),
        ("example.com:*/feed", "ws://example.com:1/feed"),
    ],
)
def test_what_a_pattern_matches(pattern: str, url: str) -> None:
    assert matches(pattern, url)
    assert matches_widely(pattern, url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("example.com", "ws://example.com:443/"),
        ("example.com", "wss://example.com:80/"),
        ("example.com", "ws://example.com:8080/"),
        ("wss://example.com", "wss://example.com:8080/"),
        ("*.example.com", "ws://a.example.com.:1/"),
        ("127.0.0.1", "ws://[::ffff:7f00:1]:8080/"),
        ("example.com/feed", "ws://example.com/Feed"),
        ("example.com/feed", "ws://example.com/%46eed"),
        ("example.com/é", "ws://example.com/%C3%89"),
        ("example.com/feed/*", "ws://example.com:81/FEED/a"),
    ],
)
def test_what_it_matches_only_where_it_denies(pattern: str, url: str) -> None:
    assert not matches(pattern, url)
    assert matches_widely(pattern, url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("wss://example.com", "ws://example.com/"),
        ("ws://example.com", "wss://example.com/"),
        # ports
        ("example.com:443", "ws://example.com/"),
        ("example.com:8080", "ws://example.com:8081/"),
        # subdomains, prefixes, suffixes
        ("example.com", "ws://a.example.com/"),
        ("*.example.com", "ws://example.com/"),
        ("*.example.com", "ws://evil-example.com/"),
        ("*.example.com", "ws://evilexample.com/"),
        ("*.example.com", "ws://example.com.evil.org/"),
        ("*.example.com", "ws://a.example.com.evil.org/"),
        ("example.com", "ws://example.com.evil.org/"),
        ("example.com", "ws://example.co/"),
        ("app-?.example.com", "ws://app-77.example.com/"),
        # the host is after the last @, and before any / or ?
        ("example.com", "ws://example.com@evil.org/"),
        ("example.com", "ws://example.com:80@evil.org/"),
        ("*.example.com", "ws://a.example.com@evil.org/"),
        ("example.com", "ws://evil.org/@example.com"),
        ("example.com", "ws://evil.org?@example.com"),
        ("example.com", "ws://evil.org/ws://example.com/"),
        ("*.example.com", "ws://evil.org/.example.com"),
        ("*.example.com", "ws://evil.org?.example.com"),
        # digits mean addresses, never names
        ("10.*", "ws://10.evil.org/"),
        ("127.0.0.1*", "ws://127.0.0.1.evil.org/"),
        ("127.?.?.?", "ws://127.0.0.b/"),
        ("1*", "ws://1evil.org/"),
        ("127.0.0.1", "ws://127.0.0.11/"),
        ("10.0.0.1", "ws://[::10.0.0.1]/"),
        ("[::1]", "ws://[::2]/"),
        # paths
        ("example.com/", "ws://example.com/a"),
        ("example.com/feed", "ws://example.com/feed/"),
        ("example.com/feed/*", "ws://example.com/feed"),
        ("example.com/feed/*", "ws://example.com/feeds/a"),
        ("example.com/feed", "ws://example.com/?/feed"),
        ("example.com/feed", "ws://example.com/a?x=/feed"),
        ("example.com/feed", "ws://evil.org/feed"),
    ],
)
def test_what_it_does_not_match(pattern: str, url: str) -> None:
    assert not matches(pattern, url)
    assert not matches_widely(pattern, url)


@pytest.mark.parametrize(
    "path",
    [
        "/feed/../admin",
        "/feed/..",
        "/feed/./a",
        "/feed/.",
        "/feed/%2e%2e/admin",
        "/feed/.%2E/admin",
        "/feed/%2e%2E",
        "/feed/..%2fadmin",
        "/feed%2Fadmin",
        "/feed/..%5Cadmin",
        "/feed/%252e%252e/admin",
        "/feed/%25",
        "/feed/100%",
        "/feed/..;/admin",
        "/feed;x/a",
        "/feed//a",
        "//feed/a",
        "/feed/%00",
        "/feed/%0a",
        "/feed/%0D%0A",
        "/feed/%7f",
        "/feed/%FF",
        "/feed/%C3",
        "/feed/%C0%AE%C0%AE/",
    ],
)
def test_paths_that_servers_do_not_agree_about(path: str) -> None:
    url = f"ws://example.com{path}"
    for pattern in "example.com/feed/*", "example.com/*":
        assert not matches(pattern, url)
        assert matches_widely(pattern, url)
    assert matches("example.com", url)
    assert not matches_widely("other.example.com/feed/*", url)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "1"])
def test_spellings_of_addresses_that_some_resolvers_know_are_no_urls(host: str) -> None:
    """Nor are they patterns, which would never match."""
    with pytest.raises(InvalidURL, match="IPv4"):
        parse_url(f"ws://{host}/")
    with pytest.raises(InvalidOption, match="IPv4"):
        URLPattern.parse(host)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "/feed",
        "ws://",
        "wss:///feed",
        "http://example.com",
        "https://example.com/",
        "://example.com",
        "//example.com",
        "w*://example.com",
        "user@example.com",
        "ws://user:password@example.com/",
        "example.com:",
        "example.com:0",
        "example.com:080",
        "example.com:65536",
        "example.com:99999",
        "example.com:8*",
        "example.com/?a",
        "example.com?a=b",
        "example.com/#a",
        "example.com/a\\b",
        "example.com/\n",
        "example.com\n",
        " example.com",
        "exam ple.com",
        "bücher.example",
        "ｅxample.com",
        "ex%61mple.com",
        ".example.com",
        "*..example.com",
        ".*",
        ".",
        "a..b",
        "a" * 64 + ".com",
        "[::1",
        "::1",
        "[::g]",
        "[1.2]",
        "[fe80::1%25eth0]",
        "[*]",
        "256.0.0.1",
        "example.com/a/../b",
        "example.com//a",
        "example.com/a;b",
        "example.com/%2F",
        "example.com/%ff",
        "example.com/100%25",
    ],
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        URLPattern.parse(pattern)
    assert str(caught.value).isprintable()


def test_a_pattern_is_a_str() -> None:
    for wrong in None, b"*", ["*"], 1:
        with pytest.raises(TypeError, match="must be a str"):
            URLPattern.parse(wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- properties

LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
PORTS = st.none() | st.integers(1, 65535)
PATHS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "Nd"])), max_size=4).map(
    lambda parts: "/" + "/".join(filter(None, parts))
)


def url_of(scheme: str, host: str, port: int | None, path: str = "/") -> str:
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"


@given(st.sampled_from(["ws", "wss"]), HOSTS, PORTS, PATHS)
def test_a_url_is_a_pattern_for_itself(scheme: str, host: str, port: int | None, path: str) -> None:
    url = url_of(scheme, host, port, path)
    assert matches(url, url)
    assert matches(url, url_of(scheme.upper(), host.upper() + ".", port, path + "?query"))
    assert matches(url, url_of(scheme, f"user:password@{host}", port, path))
    assert matches_widely(url, url)


@given(HOSTS, HOSTS)
def test_subdomains_and_nothing_else(host: str, other: str) -> None:
    inside = other.endswith(f".{host}")
    assert matches(f"*.{host}", f"ws://{other}/") is inside
    assert matches(f"*.{host}", f"ws://{other}.{host}/")
    assert matches(host, f"ws://{other}/") is (host == other)


def reference(pattern: str) -> "re.Pattern[str]":
    """What a pattern's host means, as a plain regular expression."""
    wild = {"*": "[a-z0-9.-]*", "?": "[a-z0-9.-]"}
    return re.compile("".join(wild.get(char) or re.escape(char) for char in pattern))


def dotted(letters: str) -> st.SearchStrategy[str]:
    parts = st.text(letters, min_size=1, max_size=3)
    return st.lists(parts, min_size=1, max_size=3).map(".".join)


@given(dotted("ab*?"), dotted("ab"))
def test_wildcards_mean_what_regular_expressions_say(pattern: str, host: str) -> None:
    assert matches(pattern, f"ws://{host}/") is bool(reference(pattern).fullmatch(host))


@given(dotted("ab*"), dotted("ab"))
def test_wildcards_in_paths(pattern: str, path: str) -> None:
    pattern, path = (f"/{text.replace('.', '/')}" for text in (pattern, path))
    expression = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    assert matches(f"example.com{pattern}", f"ws://example.com{path}") is (
        expression.fullmatch(path) is not None
    )


@given(st.binary(max_size=20))
def test_percent_encoding_makes_no_difference(data: bytes) -> None:
    """Whatever is encoded: the same as without, or unclear."""
    path = "/" + "".join(f"%{byte:02X}" for byte in data)
    url = parse_url(f"ws://example.com{path}")
    try:
        plain = "/" + data.decode()
    except UnicodeDecodeError:
        assert not matches("example.com/*", url.text)
        assert matches_widely("example.com/*", url.text)
        return
    if set(plain[1:]) & set("/\\%;") or not plain.isprintable() or plain in ("/.", "/.."):
        return
    pattern = plain.replace("?", "%3F").replace("#", "%23").replace("*", "%2A")
    assert matches(f"example.com{pattern}", url.text)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_addresses(address: IPv4Address, other: IPv4Address) -> None:
    assert matches(str(address), f"ws://{address}/")
    assert matches(str(address), f"ws://[::ffff:{address}]/")
    assert matches(str(address), f"ws://{other}/") is (address == other)


@given(st.ip_addresses(v=6))
def test_ipv6_addresses(address: IPv6Address) -> None:
    for text in str(address), address.exploded, address.exploded.upper():
        assert matches(f"[{address}]", f"ws://[{text}]/")
        assert matches(f"[{text}]", f"ws://[{address}]/")


def test_hostile_patterns_take_no_time() -> None:
    """Regular expressions that backtrack would take for ever."""
    path = "/" + "a" * 4000
    assert not matches("example.com/" + "*a" * 100 + "*b", f"ws://example.com{path}")
    host = ".".join(["a" * 60] * 4)
    assert not matches("*a" * 60 + "*b", f"ws://{host}/")
