"""Openings under a policy: what is refused, when, and that nothing gets past it."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer

import wsfast
from wsfast import security
from wsfast.errors import ConnectError, InvalidURL, PermissionDenied
from wsfast.protocol.scope import Guard
from wsfast.security import URL, Action, Policy, allow, deny
from wsfast.server import Connection
from wsfast.threads.dial import Cancel, connect_tcp

CONNECT, CONNECT_URL = "websocket.connect", "websocket.connect.url"
ANY = [allow(CONNECT), allow(CONNECT_URL, "*")]
WAIT = 10.0
PUBLIC, OTHER, PUBLIC_V6 = "93.184.215.14", "1.1.1.1", "2606:4700::1111"

Dialer = Callable[..., Connection]
StartRaw = Callable[..., RawServer]


def redirect(location: str) -> Callable[[RawServerPeer], None]:
    def serve(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())

    return serve


# ---------------------------------------------------------------- URLs


def test_what_is_allowed_works(dial: Dialer, echo_server: Any) -> None:
    rules = [allow(CONNECT), allow(CONNECT_URL, echo_server.url)]
    with security.use(Policy(rules, allow_private=True)):
        connection = dial(echo_server.url, **echo_server.options)
    connection.send("hello")
    assert connection.receive(WAIT) == "hello"


@pytest.mark.parametrize("rules", [[], ANY[:1], ANY[1:], [*ANY, deny(CONNECT_URL, "localhost:*")]])
def test_what_is_not_is_refused_before_anything_is_done(
    rules: list[Any], dial: Dialer, names: Any, raw_listener: Any, recorder: Any
) -> None:
    url = f"ws://localhost:{raw_listener.port}/"
    with security.use(Policy(rules, allow_private=True)):
        with pytest.raises(PermissionDenied, match=" by a security policy: ") as caught:
            dial(url)
        assert wsfast.connect(url, **recorder.callbacks) == 0
    assert recorder.log == [("error", str(caught.value))]
    assert names.asked == []
    raw_listener.expect_nobody()


def test_it_is_refused_before_the_proxy_is_asked(dial: Dialer, raw_listener: Any) -> None:
    with security.use(Policy()), pytest.raises(PermissionDenied):
        dial("ws://a.test/", proxy=f"http://127.0.0.1:{raw_listener.port}")
    raw_listener.expect_nobody()


def test_a_check_is_asked_once_for_each_opening(
    dial: Dialer, start_server: Any, recorder: Any
) -> None:
    asked: list[tuple[str, URL | None]] = []

    def check(action: Action, url: URL | None) -> bool:
        asked.append((action, url))
        return True

    url = start_server(lambda connection: connection.receive()).url
    with security.use(Policy(check=check, allow_private=True)):
        assert asked == []
        assert dial(url).url == asked[1][1]
        assert [action for action, _ in asked] == [CONNECT, CONNECT_URL]
        wsfast.connect(url, **recorder.callbacks)
        assert recorder.opened.wait(WAIT)
    assert [action for action, _ in asked] == [CONNECT, CONNECT_URL] * 2


def test_a_check_that_fails_refuses(dial: Dialer, raw_listener: Any, recorder: Any) -> None:
    error = LookupError("the list is not there")

    def check(action: Action, url: URL | None) -> bool:
        raise error

    with security.use(Policy(ANY, check=check, allow_private=True)):
        with pytest.raises(PermissionDenied) as caught:
            dial(raw_listener.url)
        assert wsfast.connect(raw_listener.url, **recorder.callbacks) == 0
    assert caught.value.__cause__ is error
    assert recorder.log == [("error", str(caught.value))]
    assert "LookupError: the list is not there" in str(caught.value)
    raw_listener.expect_nobody()


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[2002:7f00:1::]",
        "user@127.0.0.1",
        "public.example@127.0.0.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
    ],
)
def test_private_addresses_are_refused(
    host: str, scheme: str, dial: Dialer, wire: Any, recorder: Any
) -> None:
    with security.use(Policy(ANY)):
        with pytest.raises(PermissionDenied, match="no address of the public Internet") as caught:
            dial(f"{scheme}://{host}/", proxy=None)
        assert wsfast.connect(f"{scheme}://{host}/", **recorder.callbacks, proxy=None) > 0
    assert recorder.wait_closed()[0] == 1006
    assert recorder.errors == [str(caught.value)]
    assert wire.tried == []


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0x7f.1", "0177.0.0.1"]
)
def test_other_spellings_of_addresses(host: str, dial: Dialer, wire: Any) -> None:
    """No URL has them. The resolver takes them for 127.0.0.1, and what it says is what counts."""
    with security.use(Policy(ANY)), pytest.raises(InvalidURL):
        dial(f"ws://{host}/")
    with pytest.raises((PermissionDenied, ConnectError)):  # not every resolver knows them all
        connect_tcp(host, 80, time.monotonic() + WAIT, Cancel(), Guard((Policy(ANY),)).permitted)
    assert wire.tried == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1", "192.168.0.1", "fd00::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::10.0.0.1"],
        ["0.0.0.0"],
        ["169.254.169.254"],
    ],
)
def test_names_for_private_addresses_are_refused(
    addresses: list[str], dial: Dialer, names: Any, wire: Any
) -> None:
    names["a.test"] = addresses
    with security.use(Policy(ANY)), pytest.raises(PermissionDenied, match="a.test has no address"):
        dial("ws://a.test/", proxy=None)
    assert wire.tried == []


def test_of_mixed_answers_only_public_addresses_are_tried(
    dial: Dialer, names: Any, wire: Any, start_server: Any
) -> None:
    """The first public one does not answer, so all that may be tried are."""
    wire.port = start_server(lambda connection: connection.send("hi")).server.port
    wire.dead = {OTHER}
    names["a.test"] = ["10.0.0.1", OTHER, "::1", "127.0.0.1", "169.254.169.254", PUBLIC]
    with security.use(Policy(ANY)):
        connection = dial("ws://a.test/", proxy=None)
    assert connection.receive(WAIT) == "hi"
    assert wire.tried == [OTHER, PUBLIC]


def test_no_private_address_is_tried_where_public_ones_fail(
    dial: Dialer, names: Any, wire: Any
) -> None:
    wire.dead = {PUBLIC, PUBLIC_V6}
    names["a.test"] = [PUBLIC_V6, "::1", PUBLIC, "127.0.0.1"]
    with security.use(Policy(ANY)), pytest.raises(ConnectError, match="connection refused"):
        dial("ws://a.test/", proxy=None)
    assert wire.tried == [PUBLIC_V6, PUBLIC]


def test_a_name_that_changes_its_meaning(
    dial: Dialer, names: Any, wire: Any, start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up once; what was looked at is what is connected to."""
    wire.port = start_server(lambda connection: connection.send("hi")).server.port
    names["a.test"] = [PUBLIC]
    names.asked.clear()
    permitted = Guard.permitted

    def rebind(guard: Guard, host: str, addresses: list[Any]) -> list[Any]:
        names["a.test"] = ["127.0.0.1"]
        return permitted(guard, host, addresses)

    monkeypatch.setattr(Guard, "permitted", rebind)
    with security.use(Policy(ANY)):
        assert dial("ws://a.test/", proxy=None).receive(WAIT) == "hi"
    assert names.asked == ["a.test"]
    assert wire.tried == [PUBLIC]


def test_private_addresses_may_be_allowed(dial: Dialer, start_server: Any) -> None:
    url = start_server(lambda connection: connection.send("hi")).url
    with security.use(Policy(ANY, allow_private=True)):
        assert dial(url).receive(WAIT) == "hi"


# ---------------------------------------------------------------- redirects


@pytest.mark.parametrize(
    "target", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "in.test"]
)
def test_a_redirect_to_a_private_address(
    target: str, dial: Dialer, names: Any, wire: Any, raw_server: StartRaw, recorder: Any
) -> None:
    wire.port = raw_server(redirect(f"ws://{target}/")).port
    names["a.test"], names["in.test"] = [PUBLIC], ["10.0.0.1"]
    options = {"max_redirects": 5, "proxy": None}
    with security.use(Policy(ANY)):
        with pytest.raises(PermissionDenied, match="no address of the public Internet") as caught:
            dial("ws://a.test/", **options)
        assert wsfast.connect("ws://a.test/", **recorder.callbacks, **options) > 0
        assert recorder.wait_closed()[0] == 1006
    assert recorder.errors == [str(caught.value)]
    assert wire.tried == [PUBLIC] * 2


@pytest.mark.parametrize(
    "denied", [deny(CONNECT_URL, "*/denied"), deny(CONNECT_URL, "127.0.0.1:*")]
)
def test_a_redirect_to_a_denied_url(
    denied: Any, dial: Dialer, raw_server: StartRaw, raw_listener: Any
) -> None:
    first = raw_server(redirect(f"ws://127.0.0.1:{raw_listener.port}/denied"))
    rules = [*ANY, denied, deny(CONNECT_URL, f"*:{raw_listener.port}/denied")]
    with (
        security.use(Policy(rules, allow_private=True)),
        pytest.raises(PermissionDenied, match=f"ws://127.0.0.1:{raw_listener.port}$"),
    ):
        dial(first.url, max_redirects=1)
    raw_listener.expect_nobody()


def test_both_actions_are_asked_about_for_each_target(
    dial: Dialer, raw_server: StartRaw, start_server: Any
) -> None:
    asked: list[tuple[str, int | None]] = []

    def check(action: Action, url: URL | None) -> bool:
        asked.append((action, url and url.port))
        return True

    endpoint = start_server(lambda connection: connection.send("hi"))
    last = endpoint.server.port
    second = raw_server(redirect(endpoint.url)).port
    first = raw_server(redirect(f"ws://localhost:{second}/"))
    with security.use(Policy(check=check, allow_private=True)):
        assert dial(first.url, max_redirects=2).receive(WAIT) == "hi"
    assert asked == [
        (action, port if action == CONNECT_URL else None)
        for port in (first.port, second, last)
        for action in (CONNECT, CONNECT_URL)
    ]


def test_a_check_that_fails_for_a_redirect(dial: Dialer, raw_server: StartRaw) -> None:
    def check(action: Action, url: URL | None) -> bool:
        if url is not None and url.target == "/next":
            raise OSError("no list")
        return True

    first = raw_server(redirect("/next"))
    with (
        security.use(Policy(check=check, allow_private=True)),
        pytest.raises(PermissionDenied, match="OSError: no list") as caught,
    ):
        dial(first.url, max_redirects=1)
    assert isinstance(caught.value.__cause__, OSError)


# ---------------------------------------------------------------- no descriptor is left


def test_refused_again_and_again(dial: Dialer, names: Any) -> None:
    """What each test checks in the end: no thread, no descriptor is left over."""
    names["a.test"] = ["10.0.0.1"]
    with security.use(Policy(ANY)):
        for _ in range(100):
            with pytest.raises(PermissionDenied):
                dial("wss://a.test/", proxy=None)
    assert socket.getaddrinfo("a.test", 80)[0][4][0] == "10.0.0.1"
