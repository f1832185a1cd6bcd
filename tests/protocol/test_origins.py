import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.origins import OriginPolicy

SAME = OriginPolicy(None)


@pytest.mark.parametrize("patterns", [None, [], ["https://example.com"], ["*"]])
def test_a_request_without_origin_passes(patterns: list[str] | None) -> None:
    policy = OriginPolicy(patterns)
    assert policy.allows(None, "example.com")
    assert policy.allows(None, None)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com:80", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com", "example.com:443"),
        ("http://example.com:8080", "example.com:8080"),
        ("HTTP://EXAMPLE.com", "example.COM"),
        ("http://[::1]:9000", "[::1]:9000"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://localhost", "localhost"),
        ("https://example.com.", "example.com."),
    ],
)
def test_the_same_origin_passes(origin: str, host: str) -> None:
    assert SAME.allows(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "example.com"),
        ("null", "null"),
        ("", "example.com"),
        ("", ""),
        ("example.com", "example.com"),
        ("//example.com", "example.com"),
        # suffix, prefix
        ("http://example.com.evil.org", "example.com"),
        ("http://evil-example.com", "example.com"),
        ("http://evil.example.com", "example.com"),
        ("http://example.co", "example.com"),
        ("http://com", "example.com"),
        # port
        ("http://example.com:8080", "example.com"),
        ("http://example.com", "example.com:8080"),
        ("https://example.com", "example.com:80"),
        ("http://example.com", "example.com:443"),
        ("http://example.com:0", "example.com:0"),
        ("http://example.com:080", "example.com:080"),
        ("http://example.com:", "example.com:"),
        ("http://example.com:80a", "example.com:80a"),
        ("http://example.com:-80", "example.com:-80"),
        # scheme
        ("ftp://example.com", "example.com"),
        ("ws://example.com", "example.com"),
        ("chrome-extension://example.com", "example.com"),
        ("://example.com", "example.com"),
        # user info, path, query, fragment
        ("http://user@example.com", "example.com"),
        ("http://example.com@evil.org", "example.com"),
        ("http://evil.org@example.com", "example.com"),
        ("http://example.com/", "example.com"),
        ("http://example.com/x", "example.com"),
        ("http://example.com?x", "example.com"),
        ("http://example.com#x", "example.com"),
        ("http://evil.org#http://example.com", "example.com"),
        ("http://example.com\\@evil.org", "example.com"),
        # trailing and empty labels
        ("http://example.com.", "example.com"),
        ("http://example.com", "example.com."),
        ("http://example.com..", "example.com.."),
        ("http://.example.com", ".example.com"),
        ("http://", ""),
        # white space, lists, controls
        (" http://example.com", "example.com"),
        ("http://example.com ", "example.com"),
        ("http://example.com\n", "example.com\n"),
        ("http://example.com http://evil.org", "example.com"),
        ("http://example.com, http://example.com", "example.com"),
        ("http://exa\0mple.com", "exa\0mple.com"),
        # encodings and look-alikes
        ("http://example%2ecom", "example.com"),
        ("http://examp\u217ce.com", "example.com"),
        ("http://\u212aelvin.org", "kelvin.org"),
        ("http://kelvin.org", "\u212aelvin.org"),
        # Host
        ("http://example.com", None),
        ("http://example.com", ""),
        ("http://example.com", "user@example.com"),
        ("http://[::1]", "::1"),
        ("http://" + "a." * 300 + "com", "a." * 300 + "com"),
    ],
)
def test_another_origin_is_refused(origin: str, host: str | None) -> None:
    assert not SAME.allows(origin, host)


@pytest.mark.parametrize(
    "origin", ["null", "", "https://evil.org", "https://user@evil.org", "file://", "nonsense\0"]
)
def test_the_star_alone_allows_everything(origin: str) -> None:
    assert OriginPolicy(["*"]).allows(origin, "example.com")
    assert OriginPolicy(["https://example.com", "*"]).allows(origin, None)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:443", "https://example.com"),
        ("HTTPS://Example.COM", "https://eXample.com"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("https://example.com:*", "https://example.com:8443"),
        ("https://example.com:*", "https://example.com"),
        ("https://*.example.com", "https://a.example.com"),
        ("https://*.example.com", "https://a.b.c.example.com"),
        ("https://*.example.com", "https://a.example.com:443"),
        ("https://*", "https://example.com"),
        ("example.com", "http://example.com"),
        ("example.com", "https://example.com"),
        ("example.com:443", "https://example.com"),
        ("example.com:8080", "http://example.com:8080"),
        ("*:8080", "http://example.com:8080"),
        ("localhost:*", "http://localhost:5173"),
        ("*.example.*", "http://a.example.org"),
        ("app-?.example.com", "http://app-7.example.com"),
        ("a*b*c.com", "http://axxbyybzzc.com"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
        ("example.com.", "https://example.com."),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("my_host", "http://my_host"),
    ],
)
def test_a_pattern_allows(pattern: str, origin: str) -> None:
    assert OriginPolicy([pattern]).allows(origin, "server.example.net")
    assert OriginPolicy(("https://other.example.net", pattern)).allows(origin, None)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        # suffix, prefix
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://evil-example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "https://.example.com"),
        ("https://*.example.com", "https://a.example.com.evil.org"),
        ("https://*.example.com", "https://a.example.comx"),
        ("https://example.com", "https://example.com.evil.org"),
        ("https://example.com", "https://a.example.com"),
        ("example.com", "https://evil-example.com"),
        # The dot of a pattern is a dot.
        ("https://example.com", "https://examplexcom"),
        ("https://*.example.com", "https://a.examplexcom"),
        # scheme
        ("https://example.com", "http://example.com"),
        ("https://example.com", "http://example.com:443"),
        ("https://*", "http://example.com"),
        # port
        ("https://example.com", "https://example.com:8443"),
        ("https://*.example.com", "https://a.example.com:8443"),
        ("example.com", "http://example.com:8080"),
        ("example.com", "http://example.com:443"),
        ("example.com:8080", "http://example.com"),
        ("example.com:80", "https://example.com"),
        ("capacitor://localhost", "capacitor://localhost:80"),
        # null and malformed
        ("null*", "null"),
        ("https://*", "null"),
        ("https://*", ""),
        ("https://*", "https://"),
        # user info, path
        ("https://*.example.com", "https://a.example.com@evil.org"),
        ("https://*.example.com", "https://evil.org/a.example.com"),
        ("https://*.example.com", "https://evil.org/.example.com"),
        ("https://*.example.com", "https://evil.org?.example.com"),
        ("https://*.example.com", "https://evil.org#.example.com"),
        ("https://*.example.com", "https://evil.org:1.example.com"),
        ("https://*.example.com", "https://user:1@a.example.com"),
        ("https://example.com", "https://example.com/"),
        # trailing dot
        ("https://example.com", "https://example.com."),
        ("https://*.example.com", "https://a.example.com."),
        ("example.com.", "https://example.com"),
        # glob
        ("app-?.example.com", "http://app-.example.com"),
        ("app-?.example.com", "http://app-12.example.com"),
        ("a*b*c.com", "http://axxc.com"),
        ("a*ab.com", "http://ab.com"),
    ],
)
def test_a_pattern_refuses(pattern: str, origin: str) -> None:
    assert not OriginPolicy([pattern]).allows(origin, "server.example.net")


def test_patterns_take_the_place_of_the_same_origin() -> None:
    assert not OriginPolicy(["https://a.org"]).allows("https://example.com", "example.com")
    assert not OriginPolicy([]).allows("https://example.com", "example.com")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "https://",
        "https://example.com/",
        "https://user@example.com",
        "http*://example.com",
        "*://example.com",
        "example.com:0",
        "example.com:port",
        "b\u00fccher.example",
        "a b",
        "[::1",
        "https://example.com,https://example.org",
        "example.com\n",
        "example.com:080",
        "[a-z].com",
        "\u212aelvin.org",
    ],
)
def test_a_pattern_that_never_matches_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidOption, match=r"^origins: .* is not a pattern"):
        OriginPolicy([pattern])


@pytest.mark.parametrize("patterns", ["*", b"*", 5, {"*"}, iter(["*"]), [None], [b"*"], ["*", 5]])
def test_patterns_of_a_wrong_type(patterns: object) -> None:
    with pytest.raises(TypeError, match=r"^origins must"):
        OriginPolicy(patterns)


@given(st.text() | st.from_regex(r"https?://[a-z.:@/-]{0,20}example\.com[a-z.:@/0-9-]{0,9}"))
def test_what_a_wildcard_allows_is_a_subdomain(origin: str) -> None:
    if OriginPolicy(["https://*.example.com"]).allows(origin, "example.net"):
        scheme, _, authority = origin.lower().partition("://")
        assert scheme == "https"
        assert authority.removesuffix(":443").endswith(".example.com")
        assert not set(authority) & set("@/?#\\ \t\r\n")


@given(st.text() | st.from_regex(r"https?://[a-z.:@/-]{0,9}a\.org[a-z.:@/0-9-]{0,9}"), st.text())
def test_no_input_raises(origin: str, host: str) -> None:
    assert SAME.allows(origin, host) in (True, False)
