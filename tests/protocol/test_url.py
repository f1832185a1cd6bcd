import re
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsfast.protocol.errors import InvalidURL
from wsfast.protocol.url import MAX_LENGTH, URL, parse_url


def test_the_parts_of_a_url() -> None:
    url = parse_url("wss://user:p%40ss@Example.com:8443/chat/room?x=1&y=2")
    assert url == URL(
        secure=True,
        host="example.com",
        port=8443,
        target="/chat/room?x=1&y=2",
        host_header="example.com:8443",
        credentials=("user", "p@ss"),
        text="wss://user:p%40ss@Example.com:8443/chat/room?x=1&y=2",
    )


@pytest.mark.parametrize(
    ("text", "secure", "port", "host_header"),
    [
        ("ws://a", False, 80, "a"),
        ("WS://a", False, 80, "a"),
        ("ws://a:80", False, 80, "a"),
        ("ws://a:00080", False, 80, "a"),
        ("ws://a:443", False, 443, "a:443"),
        ("wss://a", True, 443, "a"),
        ("Wss://a:443/", True, 443, "a"),
        ("wss://a:80", True, 80, "a:80"),
        ("ws://a:1", False, 1, "a:1"),
        ("ws://a:65535", False, 65535, "a:65535"),
        ("wss://[::1]", True, 443, "[::1]"),
        ("wss://[::1]:444", True, 444, "[::1]:444"),
    ],
)
def test_scheme_and_port(text: str, secure: bool, port: int, host_header: str) -> None:
    url = parse_url(text)
    assert (url.secure, url.port, url.host_header) == (secure, port, host_header)


@pytest.mark.parametrize(
    ("given_host", "host"),
    [
        ("EXAMPLE.com", "example.com"),
        ("my_service-1", "my_service-1"),
        ("example.com.", "example.com."),
        ("127.0.0.1", "127.0.0.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("\u65e5\u672c\u8a9e.example", "xn--wgv71a119e.example"),
        ("%65xample.com", "example.com"),
        ("b%C3%BCcher.example", "xn--bcher-kva.example"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abc"),
    ],
)
def test_hosts(given_host: str, host: str) -> None:
    assert parse_url(f"ws://{given_host}/").host == host


def test_the_name_for_tls_has_no_trailing_dot() -> None:
    url = parse_url("wss://example.com.:444/")
    assert (url.host, url.server_name) == ("example.com.", "example.com")
    assert url.host_header == "example.com.:444"
    assert parse_url("wss://[::1]").server_name == "::1"


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("?", "/?"),
        ("?a=b", "/?a=b"),
        ("?a=/x", "/?a=/x"),
        ("/a b", "/a%20b"),
        ("/a?b c", "/a?b%20c"),
        ("/\u00e9?\u20ac=\U0001f600", "/%C3%A9?%E2%82%AC=%F0%9F%98%80"),
        ("/%41%e9%2f", "/%41%e9%2f"),
        ("/100%", "/100%25"),
        ("/%zz%4", "/%25zz%254"),
        ("/%%41", "/%25%41"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/a[]=1;b='c'!$&()*+,;=:@~-._", "/a[]=1;b='c'!$&()*+,;=:@~-._"),
        ("/a/../b//c", "/a/../b//c"),
        ("/\x80\x9f", "/%C2%80%C2%9F"),
        ("/a@b:c", "/a@b:c"),
        ("?a@b", "/?a@b"),
    ],
)
def test_targets(rest: str, target: str) -> None:
    assert parse_url(f"ws://host{rest}").target == target


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("", None),
        ("@", None),
        (":@", ("", "")),
        ("user@", ("user", "")),
        (":secret@", ("", "secret")),
        ("user:secret@", ("user", "secret")),
        ("user:a:b@", ("user", "a:b")),
        ("u%40x:p%2Fq%25@", ("u@x", "p/q%")),
        ("j\u00f6rg:%E2%82%AC@", ("j\u00f6rg", "\u20ac")),
        ("a b:c d@", ("a b", "c d")),
    ],
)
def test_credentials(userinfo: str, credentials: tuple[str, str] | None) -> None:
    assert parse_url(f"ws://{userinfo}host/").credentials == credentials


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("ws://host/a b", "ws://host/a b"),
        ("WSS://user:secret@Host:1/x?y", "WSS://user:***@Host:1/x?y"),
        ("ws://user:@host", "ws://user:***@host"),
        ("ws://user@host", "ws://user@host"),
        ("ws://@host", "ws://@host"),
        ("ws://u:secret@[::1]:9/secret@x", "ws://u:***@[::1]:9/secret@x"),
        ("ws://u:a:b@host?x@y", "ws://u:***@host?x@y"),
    ],
)
def test_redacted(text: str, redacted: str) -> None:
    url = parse_url(text)
    assert url.text == text
    assert url.redacted == str(url) == redacted


def test_repr_has_no_password() -> None:
    assert "secret" not in repr(parse_url("ws://user:secret@host/"))


@pytest.mark.parametrize("url", [None, b"ws://host", 5, ["ws://host"]])
def test_a_url_is_a_str(url: object) -> None:
    with pytest.raises(TypeError, match="URL must be a str"):
        parse_url(url)


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_http_urls_are_told_what_to_use(scheme: str) -> None:
    with pytest.raises(InvalidURL, match=rf"^{scheme.lower()}:// .* use ws:// or wss://$"):
        parse_url(f"{scheme}://host/")


@pytest.mark.parametrize(
    "url", ["", "host", "host:80", "//host", "ws:host", "ws:/host", "://host", "ftp://host"]
)
def test_other_schemes(url: str) -> None:
    with pytest.raises(InvalidURL, match=r"^use ws:// or wss://$"):
        parse_url(url)


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u3000"])
def test_white_space_is_not_trimmed(space: str) -> None:
    with pytest.raises(InvalidURL):
        parse_url(f"{space}ws://host/")
    with pytest.raises(InvalidURL):
        parse_url(f"ws://host{space}")


@pytest.mark.parametrize("code", [*range(32), 127, ord("\\")])
@pytest.mark.parametrize(
    "place",
    [
        "{}ws://host",
        "w{}s://host",
        "ws:{}//host",
        "ws://{}host",
        "ws://ho{}st",
        "ws://host{}",
        "ws://host:8{}0",
        "ws://u{}:p@host",
        "ws://u:p{}@host",
        "ws://host/{}x",
        "ws://host/?{}",
        "ws://host/{}",
    ],
)
def test_no_control_character_anywhere(code: int, place: str) -> None:
    with pytest.raises(InvalidURL, match="control character or a backslash"):
        parse_url(place.format(chr(code)))


@pytest.mark.parametrize("url", ["ws://host/#", "ws://host#x", "ws://host/a#b?c", "ws://#host"])
def test_no_fragment(url: str) -> None:
    with pytest.raises(InvalidURL, match="no fragment"):
        parse_url(url)


@pytest.mark.parametrize("authority", ["", ":80", "user:secret@", "user@:80"])
def test_no_host(authority: str) -> None:
    with pytest.raises(InvalidURL, match="no host"):
        parse_url(f"ws://{authority}/path")


@pytest.mark.parametrize(
    "port", ["", "0", "00000", "65536", "99999", "000080", "-1", "+80", "8_0", "80a", "a", " 80"]
)
@pytest.mark.parametrize("host", ["host", "[::1]"])
def test_bad_ports(host: str, port: str) -> None:
    with pytest.raises(InvalidURL, match="invalid port"):
        parse_url(f"ws://{host}:{port}/")


def test_digits_of_other_scripts_are_no_port() -> None:
    with pytest.raises(InvalidURL, match="invalid port"):
        parse_url("ws://host:\u0668\u0660/")


@pytest.mark.parametrize(
    "host",
    [
        "[",
        "[]",
        "[::1",
        "[::1]x",
        "[::1]]",
        "[:::1]",
        "[1.2.3.4]",
        "[host]",
        "[::g]",
        "[v1.x]",
        "[ ::1]",
        "[::1 ]",
        "[12345::]",
        "[%3A%3A1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
    ],
)
def test_bad_ipv6_literals(host: str) -> None:
    with pytest.raises(InvalidURL, match="IPv6"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize("host", ["::1", "fe80::1", "1:2:3:4:5:6:7:8", "host:1:2"])
def test_ipv6_needs_brackets(host: str) -> None:
    with pytest.raises(InvalidURL, match="brackets"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "a b",
        "a..b",
        ".a",
        "..",
        ".",
        "a,b",
        "a;b",
        "a=b",
        "a!b",
        "a*b",
        '"a"',
        "<a>",
        "a|b",
        "a^b",
        "a`b",
        "{a}",
        "a]b",
        "a[b",
        "a'b",
        "(a)",
        "a+b",
        "a&b",
        "$a",
        "~a",
        "a" * 64,
    ],
)
def test_bad_host_names(host: str) -> None:
    with pytest.raises(InvalidURL, match="host is no valid name"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize(
    "host",
    # One character each that normalises to a slash, a question mark, an at sign, a full stop...
    [
        "a\u2100b",
        "evil.org\uff0fb",
        "a\uff1fb",
        "a\uff20b",
        "a\uff03b",
        "a\uff1a80",
        "\u00a0",
        "a\u2025b",
        "\u3002\u3002",
        "\u00ad",
        "a\u00a0b",
        "\u0661\u05d0",
        "\u00fc" * 64,
        "a\x80",
    ],
)
def test_bad_international_names(host: str) -> None:
    with pytest.raises(InvalidURL, match="host is no valid"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize("host", ["fa\u00df.de", "\u03bb\u03cc\u03b3\u03bf\u03c2.gr", "a\u200db.c"])
def test_names_that_idna_versions_map_differently(host: str) -> None:
    with pytest.raises(InvalidURL, match="xn-- form"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.256",
        "1.2.3.4.5",
        "127.0.0.1.",
        "0x",
        "example.1",
        "1.2.3",
    ],
)
def test_numbers_that_only_resolvers_take_for_addresses(host: str) -> None:
    with pytest.raises(InvalidURL, match="no valid IPv4 address"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize("host", [".".join(["a" * 50] * 5), "a." * 5000, "\u00fc" * 5000])
def test_hosts_that_no_dns_name_can_be(host: str) -> None:
    with pytest.raises(InvalidURL, match=r"^host is "):
        parse_url(f"ws://{host}/"[:MAX_LENGTH])


@pytest.mark.parametrize(
    "host", ["%", "a%", "%4", "%zz", "a%2", "%00", "%0d%0a", "%2e%2e", "%20", "%2f", "%40", "%25"]
)
def test_bad_percent_encoding_in_a_host(host: str) -> None:
    with pytest.raises(InvalidURL, match="host"):
        parse_url(f"ws://{host}/")


@pytest.mark.parametrize("text", ["%ff", "%C3", "%ed%a0%80"])
def test_percent_encoding_that_is_no_utf8(text: str) -> None:
    with pytest.raises(InvalidURL, match="not UTF-8"):
        parse_url(f"ws://{text}/")
    with pytest.raises(InvalidURL, match="not UTF-8"):
        parse_url(f"ws://user:{text}@host/")


@pytest.mark.parametrize(
    ("userinfo", "problem"),
    [
        ("user:100%", "malformed percent-encoding"),
        ("us%er:x", "malformed percent-encoding"),
        ("user:%0d%0aX: y", "control character"),
        ("user:%00", "control character"),
        ("us%7Fer:x", "control character"),
        ("us%C2%85er:x", "control character"),
        ("us%3Aer:x", "colon"),
        ("user:p@ss", "more than one @"),
    ],
)
def test_bad_user_info(userinfo: str, problem: str) -> None:
    with pytest.raises(InvalidURL, match=problem):
        parse_url(f"ws://{userinfo}@host/")


def test_long_urls() -> None:
    most = "ws://host/" + "x" * (MAX_LENGTH - 10)
    assert len(parse_url(most).text) == MAX_LENGTH
    with pytest.raises(InvalidURL, match="longer than 8192 characters"):
        parse_url(most + "x")
    with pytest.raises(InvalidURL, match="longer than 8192 bytes when encoded"):
        parse_url("ws://host/" + " " * 2731)


def test_lone_surrogates() -> None:
    with pytest.raises(InvalidURL, match="surrogate"):
        parse_url("ws://host/\ud800")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@host",
        "ws://user:hunter2@",
        "ws://user:hunter2@host:x",
        "hunter2://a",
        "ws://user:hunter2/x@host",
        "ws://user:hunter2?x@host",
        "ws://user:hunter2#x@host",
        "ws://user:hunter2@x@host",
        "ws://user:hunter2%0a@host",
        "ws://user:hunter2%@host",
        "user:hunter2@host",
        "ws://user:hunter2\n@host",
        "ws://user:hunter2@[::1",
        "ws:hunter2",
        "ws://user:hunter2%ff@host",
        "ws://user:hunter2@1.1",
        "ws://[hunter2]",
        "ws://hunter2*",
    ],
)
def test_no_error_quotes_a_password(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_url(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["ws://", "wss://", "WS://"]),
    st.just("") | st.text(max_size=8).map(lambda text: text + "@"),
    st.sampled_from(["host", "[::1]", "127.0.0.1", "b\u00fccher.example"]) | st.text(max_size=12),
    st.text(max_size=20) | st.text(max_size=20).map(lambda text: "/" + text),
)


@given(st.text() | URLS)
@example("ws://\u2260")
@example("ws://[::1%\u0130]")
def test_any_text_is_a_url_or_an_invalid_url(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidURL:
        return
    assert re.fullmatch(r"/[!-~]*", url.target)
    assert re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", url.host)
    assert re.fullmatch(r"[a-z0-9.:_\[\]-]+", url.host_header)
    assert 1 <= url.port <= 65535
    if url.credentials is not None:
        assert not re.search(r"[\x00-\x1f\x7f]", "".join(url.credentials))


@given(URLS)
def test_the_parts_put_together_are_the_same_url(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidURL:
        return
    again = parse_url(f"ws{'s' * url.secure}://{url.host_header}{url.target}")
    assert (again.secure, again.host, again.port) == (url.secure, url.host, url.port)
    assert (again.target, again.host_header) == (url.target, url.host_header)


@given(st.text(st.characters(exclude_characters="@/?#\\", exclude_categories=["Cc", "Cs"])))
def test_redacted_never_holds_the_password(password: str) -> None:
    try:
        url = parse_url(f"ws://user:{password}@host/path")
    except InvalidURL:
        assert "%" in password
    else:
        assert url.redacted == "ws://user:***@host/path"
