"""What the table of `wsfast.errors` says, each condition brought about for real."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_peers import RawServerPeer

import wsfast
from wsfast import errors, security
from wsfast.channel import Channel
from wsfast.client import Client, connect
from wsfast.protocol import errors as all_errors

Opening = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def no_policy() -> Iterator[None]:
    yield
    security.set_global(None)
    security.require_policy(False)


def answer(line: str) -> Callable[[RawServerPeer], None]:
    def serve(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(f"{line}\r\n\r\n".encode())

    return serve


class Conditions:
    """Each method makes what its name says, and returns the URL and the options to connect with."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._fixture = request.getfixturevalue

    def _answered(self, line: str) -> Opening:
        return self._fixture("raw_server")(answer(line)).url, {}

    def connections_disabled(self) -> Opening:
        security.set_global(security.Policy([security.allow("websocket.connect.url", "*")]))
        return "ws://localhost/", {}

    def url_not_allowed(self) -> Opening:
        security.set_global(security.Policy([security.allow("websocket.connect")]))
        return "ws://localhost/", {}

    def address_not_allowed(self) -> Opening:
        rules = [security.allow("websocket.connect"), security.allow("websocket.connect.url", "*")]
        security.set_global(security.Policy(rules))
        return "ws://localhost/", {}

    def no_context(self) -> Opening:
        security.require_policy()
        return "ws://localhost/", {}

    def no_such_name(self) -> Opening:
        # RFC 6761, section 6.4: guaranteed to have no address.
        return "ws://nobody.invalid/", {"proxy": None}

    def refused(self) -> Opening:
        return f"ws://127.0.0.1:{self._fixture('refused_port')}/", {}

    def timeout(self) -> Opening:
        return self._fixture("stalled_url"), {"dial_timeout": "100ms"}

    def tls(self) -> Opening:
        port = self._fixture("raw_server")(lambda peer: peer.send(b"no TLS")).port
        return f"wss://localhost:{port}/", {}

    def certificate(self) -> Opening:
        """Issued by an authority that nobody trusts."""
        context = self._fixture("certificates").server
        return self._fixture("raw_server")(lambda peer: None, context).url, {}

    def http_4xx(self) -> Opening:
        return self._answered("HTTP/1.1 404 Not Found")

    def http_5xx(self) -> Opening:
        return self._answered("HTTP/1.1 503 Busy")

    def no_handshake(self) -> Opening:
        return self._answered("HTTP/1.1 101 Switching Protocols")

    def redirect(self) -> Opening:
        url, _ = self._answered("HTTP/1.1 302 Found\r\nLocation: /")
        return url, {"max_redirects": 1}

    def proxy_failed(self) -> Opening:
        return "ws://localhost/", {"proxy": f"http://127.0.0.1:{self._fixture('refused_port')}"}

    def proxy_refused(self) -> Opening:
        url, _ = self._answered("HTTP/1.1 403 Not There")
        return "ws://localhost/", {"proxy": url.replace("ws", "http")}


ANSWERS: dict[str, tuple[type[errors.WebSocketError], bool, str]] = {
    "connections_disabled": (errors.PermissionDenied, False, "policy: websocket.connect$"),
    "url_not_allowed": (errors.PermissionDenied, False, "websocket.connect.url ws://localhost$"),
    "address_not_allowed": (errors.PermissionDenied, False, "localhost has no address of the pub"),
    "no_context": (errors.NoContext, False, "no security policy"),
    "no_such_name": (errors.ConnectError, True, "cannot find the address of nobody.invalid"),
    "refused": (errors.ConnectError, True, "connection refused"),
    "timeout": (errors.ConnectTimeout, True, "timeout"),
    "tls": (errors.TLSError, True, "TLS"),
    "certificate": (errors.CertificateError, False, "TLS.*certificate"),
    "http_4xx": (errors.StatusError, False, "HTTP 404 Not Found"),
    "http_5xx": (errors.StatusError, True, "HTTP 503 Busy"),
    "no_handshake": (errors.HandshakeError, False, "lacks 'Upgrade: websocket'"),
    "redirect": (errors.RedirectError, False, "more redirects than max_redirects"),
    "proxy_failed": (errors.ProxyError, True, "proxy .* connection refused"),
    "proxy_refused": (errors.ProxyError, False, "proxy .* HTTP 403 Not There"),
}
"""The exception, whether it is retryable, and what its text holds."""

KNOWN_AT_ONCE = {"connections_disabled", "url_not_allowed", "no_context"}
"""What `wsfast.connect` answers with 0."""


def test_all_conditions_are_here() -> None:
    assert [name for name in vars(Conditions) if not name.startswith("_")] == [*ANSWERS]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_threaded_client_raises(name: str, request: pytest.FixtureRequest) -> None:
    url, options = getattr(Conditions(request), name)()
    expected, retryable, text = ANSWERS[name]
    with pytest.raises(errors.WebSocketError, match=text) as caught:
        connect(url, options)
    assert type(caught.value) is expected
    assert caught.value.retryable is retryable
    denied = expected is errors.PermissionDenied
    assert errors.is_(caught.value, errors.PERMISSION_DENIED) is denied
    assert errors.is_(caught.value, errors.INTERNAL) is not denied


@pytest.mark.parametrize("name", ANSWERS)
def test_the_id_api_tells(name: str, request: pytest.FixtureRequest, recorder: Any) -> None:
    url, options = getattr(Conditions(request), name)()
    number = wsfast.connect(url, **recorder.callbacks, **options)
    if name in KNOWN_AT_ONCE:
        assert number == 0
        assert [kind for kind, *_ in recorder.log] == ["error"]
    else:
        assert recorder.wait_closed()[0] == 1006
        assert [kind for kind, *_ in recorder.log] == ["error", "close"]
        assert wsfast.get_state(number) == "error"
    assert re.search(ANSWERS[name][2], recorder.errors[0])


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in KNOWN_AT_ONCE])
def test_what_is_retryable_is_tried_again(
    name: str, request: pytest.FixtureRequest, recorder: Any
) -> None:
    url, options = getattr(Conditions(request), name)()
    again = {"initial": "1ms", "maximum": "1ms", "attempts": 1}
    wsfast.connect(url, **recorder.callbacks, **options, reconnect=again)
    recorder.wait_closed()
    assert len(recorder.of("reconnect")) == ANSWERS[name][1]


@pytest.mark.parametrize(
    "url", ["http://localhost/", "ws:localhost", "", "ws://", "ws://localhost:0/", "ws://a b/"]
)
def test_a_bad_url(url: str, recorder: Any) -> None:
    with pytest.raises(errors.InvalidURL) as caught:
        connect(url)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retryable
    assert errors.is_(caught.value, errors.INTERNAL)
    assert wsfast.connect(url, **recorder.callbacks) == 0
    assert recorder.log == [("error", str(caught.value))]


@pytest.mark.parametrize(
    "option",
    [
        {"dial_timeout": 0},
        {"read_limit": -1},
        {"headers": {"A": "b\r\nC: d"}},
        {"compression": "always"},
        {"proxy": "ftp://proxy"},
        {"protocols": ["a b"]},
    ],
)
def test_a_bad_option(option: dict[str, Any], refused_port: int, recorder: Any) -> None:
    url = f"ws://127.0.0.1:{refused_port}/"
    (name,) = option
    with pytest.raises(errors.InvalidOption, match=name) as caught:
        connect(url, option)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retryable
    assert errors.is_(caught.value, errors.INTERNAL)
    with pytest.raises(errors.InvalidOption, match=name):
        wsfast.connect(url, **recorder.callbacks, **option)
    assert recorder.log == []


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match="unknown option 'dial_timout'; did you mean"):
        wsfast.connect("ws://localhost/", dial_timout=1)  # type: ignore[call-arg]


def test_an_unknown_id_is_no_error() -> None:
    unknown = 10**9
    assert wsfast.send(unknown, "text") is False
    assert wsfast.close(unknown) is False
    assert wsfast.is_connected(unknown) is False
    assert wsfast.get_messages(unknown) == []
    assert wsfast.get_url(unknown) == ""
    assert wsfast.get_state(unknown) == "disconnected"


# ---------------------------------------------------------------- after the opening


def test_the_connection_was_closed(start_server: Any) -> None:
    endpoint = start_server(lambda connection: connection.close(1000, "reason"))
    with connect(endpoint.url) as client:
        assert list(client) == []
        with pytest.raises(errors.ConnectionClosed) as caught:
            client.send("too late")
    assert type(caught.value) is errors.ConnectionClosed
    assert (caught.value.code, caught.value.reason, caught.value.clean) == (1000, "reason", True)
    assert not caught.value.retryable


def test_the_connection_was_lost(raw_server: Any) -> None:
    with (
        connect(raw_server(RawServerPeer.upgrade).url) as client,
        pytest.raises(errors.ConnectionLost) as caught,
    ):
        list(client)
    assert caught.value.code == 1006
    assert caught.value.retryable


def test_the_peer_broke_the_protocol(raw_server: Any) -> None:
    def misbehave(peer: RawServerPeer) -> None:
        peer.upgrade()
        peer.send(b"\xff\x00")
        peer.read_to_end()

    with (
        connect(raw_server(misbehave).url) as client,
        pytest.raises(errors.ProtocolError) as caught,
    ):
        list(client)
    assert caught.value.code == 1002
    assert not caught.value.retryable


def fill(client: Client) -> None:
    while True:
        client.send(bytes(100_000))


@pytest.mark.parametrize(
    ("options", "action", "expected"),
    [
        ({"send_overflow": "fail"}, fill, errors.QueueFull),
        ({"write_timeout": "50ms"}, fill, errors.SendTimeout),
        ({"pong_timeout": "50ms"}, Client.ping, errors.PongTimeout),
    ],
)
def test_a_peer_that_does_not_read(
    options: dict[str, Any],
    action: Callable[[Client], object],
    expected: type[errors.WebSocketError],
    stalled_reader: str,
) -> None:
    usual = {"send_queue_bytes": 200_000, "ping_interval": None, "close_timeout": "50ms"}
    with (
        connect(stalled_reader, usual | options) as client,
        pytest.raises(errors.WebSocketError) as caught,
    ):
        action(client)
    assert type(caught.value) is expected
    assert caught.value.retryable


def test_a_channel_is_closed() -> None:
    channel: Channel[str] = Channel()
    channel.close()
    with pytest.raises(errors.ChannelClosed) as caught:
        channel.send("too late")
    assert not caught.value.retryable


@pytest.fixture
def stalled_reader(raw_server: Any) -> Iterator[str]:
    """A server that upgrades, and then reads nothing until the test is over."""
    over = threading.Event()

    def serve(peer: RawServerPeer) -> None:
        peer.upgrade()
        over.wait(30)

    yield raw_server(serve, receive_buffer=4096).url
    over.set()


# ---------------------------------------------------------------- the module


def test_all_exceptions_are_public_and_in_the_table() -> None:
    defined = {
        name
        for name, value in vars(all_errors).items()
        if isinstance(value, type) and issubclass(value, errors.WebSocketError)
    }
    assert defined | {"INTERNAL", "PERMISSION_DENIED", "Kind", "is_"} == set(errors.__all__)
    assert errors.__doc__ is not None
    for name in defined - {"WebSocketError"}:
        assert f"`{name}`" in errors.__doc__
