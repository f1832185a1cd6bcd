"""Where a redirect of the handshake leads, and what goes along."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_wire import answer, read_head, request

from wsfast.protocol.connection import Connection
from wsfast.protocol.constants import State
from wsfast.protocol.errors import HandshakeError, RedirectError, StatusError
from wsfast.protocol.headers import Headers
from wsfast.protocol.options import client_options, server_options
from wsfast.protocol.redirects import Hop, follow
from wsfast.protocol.url import parse_url

SECRETS = {"Authorization": "Bearer secret", "cookie": "a=b", "Proxy-Authorization": "Basic c2Vj"}


def start(url: str = "ws://example.com/a/b?c", **options: Any) -> Hop:
    options.setdefault("max_redirects", 3)
    return Hop(parse_url(url), client_options(**options))


def go(hop: Hop, location: str, status: int = 302) -> Hop:
    led_to = follow(status, Headers([("Location", location)]), hop)
    assert led_to is not None
    return led_to


def names(hop: Hop) -> list[str]:
    return [name for name, _ in hop.options.headers]


# ---------------------------------------------------------------- whether


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_statuses_that_redirect(status: int) -> None:
    hop = go(start(), "/elsewhere", status)
    assert hop.url.target == "/elsewhere"
    assert hop.followed == 1


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 309, 401, 426, 503])
def test_statuses_that_do_not(status: int) -> None:
    assert follow(status, Headers([("Location", "/elsewhere")]), start()) is None


def test_off_by_default_and_without_a_location() -> None:
    located = Headers([("Location", "ws://example.org/")])
    assert follow(302, located, Hop(parse_url("ws://example.com/"), client_options())) is None
    assert follow(302, Headers(), start()) is None


def test_the_bound() -> None:
    hop = start(max_redirects=2)
    for number in 1, 2:
        hop = go(hop, f"/{number}")
    with pytest.raises(RedirectError, match="^more redirects than max_redirects, 2$") as caught:
        go(hop, "/3")
    assert not caught.value.retryable
    assert isinstance(caught.value, HandshakeError)


# ---------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/x", "ws://example.com/x"),
        ("x", "ws://example.com/a/x"),
        ("../../x", "ws://example.com/x"),
        ("?d", "ws://example.com/a/b?d"),
        ("", "ws://example.com/a/b?c"),
        ("//example.org:81/x", "ws://example.org:81/x"),
        ("http://example.org", "ws://example.org"),
        ("HTTPS://example.org/x?y", "wss://example.org/x?y"),
        ("ws://example.org", "ws://example.org"),
        ("wss://example.org", "wss://example.org"),
        ("http://[fd00::1]/", "ws://[fd00::1]/"),
        ("/a%20b", "ws://example.com/a%20b"),
        ("/a b", "ws://example.com/a b"),
    ],
)
def test_locations(location: str, expected: str) -> None:
    url, wanted = go(start(), location).url, parse_url(expected)
    assert (url.secure, url.host, url.port, url.target) == (
        wanted.secure,
        wanted.host,
        wanted.port,
        wanted.target,
    )


@pytest.mark.parametrize(
    "location",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http:x",
        "ws:x",
        "ws:/x",
        "http://",
        "http://:80/",
        "http://example.org:0/",
        "http://[::1/",
        "http://127.1/",
        "//[",
        "/x#fragment",
        "#",
        "/x\r\nX-Evil: 1",
        "/x\0",
        "/\tx",
        "/x\\y",
        "//exa\\mple.org",
        "/\u00e9",
        "/" + "a" * 9000,
    ],
)
def test_locations_that_are_no_websocket_url(location: str) -> None:
    with pytest.raises(RedirectError, match="^redirect refused: ") as caught:
        go(start(), location)
    assert str(caught.value).isprintable()


@given(
    location=st.text(st.characters(max_codepoint=255))
    | st.from_regex(r"(?i)(wss?|https?|ftp)?:?(//)?[\x20-\x7e]*", fullmatch=True)
    | st.text("/:?#[]@.%a0-").map("//".__add__),
    url=st.sampled_from(["ws://a.test", "wss://a.test:8443/b/c?d", "ws://u:p@[fd00::1]/%20"]),
)
def test_any_location_is_followed_or_refused(location: str, url: str) -> None:
    hop = start(url, headers=SECRETS, max_redirects=1)
    try:
        led_to = go(hop, location)
    except RedirectError:
        return
    left, reached = hop.url, led_to.url
    assert reached.secure >= left.secure
    parse_url(reached.text)
    same = (left.secure, left.host, left.port) == (reached.secure, reached.host, reached.port)
    assert led_to.options.headers == (hop.options.headers if same else ())
    assert reached.credentials == (left.credentials if same else None)


def test_several_locations() -> None:
    with pytest.raises(RedirectError, match="several places"):
        follow(302, Headers([("Location", "/a"), ("location", "/a")]), start())


@pytest.mark.parametrize("location", ["ws://example.com/", "http://example.com:443/", "ws://x:80/"])
def test_encryption_is_not_given_up(location: str) -> None:
    with pytest.raises(RedirectError, match="from wss:// to ws://"):
        go(start("wss://example.com/"), location)


def test_encryption_may_be_taken_up() -> None:
    assert go(start(), "https://example.com/").url.secure
    assert go(start("wss://example.com/"), "//example.org/").url.secure


@pytest.mark.parametrize(
    "location", ["ws://me:pw@example.com/", "http://me@example.org/", "//:pw@example.com/"]
)
def test_credentials_of_the_servers_choosing(location: str) -> None:
    with pytest.raises(RedirectError, match="holds a user or password") as caught:
        go(start(), location)
    assert "pw" not in str(caught.value)


# ---------------------------------------------------------------- what goes along


def test_the_same_origin_gets_everything_again() -> None:
    hop = start(
        "ws://me:secret@example.com:8080/",
        headers={**SECRETS, "X-A": "b", "Host": "virtual"},
        server_name="virtual",
        origin="https://example.com",
    )
    led_to = go(hop, "http://EXAMPLE.com:8080/x")
    assert led_to.options == hop.options
    assert led_to.url.credentials == ("me", "secret")
    assert "secret" not in f"{led_to.url} {led_to!r}"
    assert str(led_to.url) == "ws://EXAMPLE.com:8080/x"


@pytest.mark.parametrize(
    "location",
    [
        "ws://example.org/",
        "ws://example.com:81/",
        "wss://example.com/",
        "wss://example.com:80/",
        "ws://www.example.com/",
        "ws://example.com./",
        "//example.com.evil.test/",
    ],
)
def test_another_origin_gets_no_secrets(location: str) -> None:
    hop = start(
        "ws://me:secret@example.com/",
        headers=[*SECRETS.items(), ("X-A", "b"), ("COOKIE", "c=d"), ("Host", "virtual")],
        origin="https://example.com",
        protocols=["chat"],
    )
    led_to = go(hop, location)
    assert led_to.options.headers == (("X-A", "b"),)
    assert led_to.url.credentials is None
    assert led_to.options.origin == "https://example.com"
    assert led_to.options.protocols == ("chat",)


def test_what_was_left_behind_does_not_come_back() -> None:
    hop = start("ws://me:secret@example.com/", headers=SECRETS, server_name="virtual")
    for location in "ws://example.org/", "ws://example.com/", "/x":
        hop = go(hop, location)
        assert names(hop) == []
        assert hop.url.credentials is None
        assert hop.options.server_name is None


def test_server_name_is_for_one_host() -> None:
    hop = start("wss://10.0.0.1/", server_name="example.com")
    assert go(hop, "//10.0.0.1:8443/").options.server_name == "example.com"
    assert go(hop, "//10.0.0.2/").options.server_name is None


# ---------------------------------------------------------------- in the connection


def asked(connection: Connection) -> tuple[str, dict[str, str]]:
    line, pairs, _ = read_head(connection.data_to_send())
    return line, dict(pairs)


def test_a_connection_that_is_redirected() -> None:
    hop = start("ws://example.com/", headers=SECRETS)
    first = Connection.client(hop.url, hop.options, 1.0)
    assert first.url is hop.url
    assert first.redirect is None
    assert asked(first)[1]["Authorization"] == "Bearer secret"
    first.feed(b"HTTP/1.1 307 Over there\r\nLocation: ws://example.org/x\r\n\r\nbody", 2.0)
    assert first.state is State.CONNECTING
    assert first.error is None
    hop_to = first.redirect
    assert hop_to is not None

    second = Connection.client(hop_to.url, hop_to.options, 1.0, followed=hop_to.followed)
    assert second.deadline == first.deadline
    sent = second.data_to_send()
    line, pairs, _ = read_head(sent)
    assert line == "GET /x HTTP/1.1"
    assert "Authorization" not in dict(pairs)
    second.feed(answer(sent), 3.0)
    assert second.state is State.CONNECTED
    assert second.redirect is None
    assert second.url is hop_to.url


def test_a_connection_that_does_not_follow() -> None:
    for options, error in (({}, StatusError), ({"max_redirects": 1}, RedirectError)):
        hop = start("wss://example.com/", **{"max_redirects": 0, **options})
        connection = Connection.client(hop.url, hop.options, 1.0)
        connection.feed(b"HTTP/1.1 302 Found\r\nLocation: ws://example.com/\r\n\r\n", 2.0)
        assert connection.state is State.ERROR
        assert type(connection.error) is error
        assert connection.redirect is None


def test_servers_have_neither() -> None:
    connection = Connection.server(server_options(), 1.0)
    connection.feed(request(), 2.0)
    assert connection.url is None
    assert connection.redirect is None
