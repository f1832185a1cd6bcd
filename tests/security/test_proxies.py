"""Policies and proxies: a proxy gets an address that has been looked at, or nothing."""

import socket
from collections.abc import Callable
from typing import Any

import proxy_peers
import pytest
from proxy_peers import Asked, HTTPProxy, SOCKSProxy
from raw_peers import RawServer

from wsfast import security
from wsfast.errors import ConnectError, PermissionDenied, ProxyError
from wsfast.security import Policy, allow
from wsfast.server import Connection

ANY = [allow("websocket.connect"), allow("websocket.connect.url", "*")]
KINDS = ["http", "socks4", "socks4a", "socks5", "socks5h"]
RESOLVING = ["http", "socks4a", "socks5h"]
WAIT = 10.0
PUBLIC, PUBLIC_V6 = "93.184.215.14", "2606:4700::1111"

Dialer = Callable[..., Connection]
StartProxy = Callable[[str], tuple[dict[str, Any], Asked]]


@pytest.fixture
def server(start_server: Any, monkeypatch: pytest.MonkeyPatch, certificates: Any) -> Any:
    """Where all proxies lead, whatever they are asked for. It is a.test over TLS, too."""
    endpoint = start_server(
        lambda connection: connection.send(connection.request.headers["Host"]),
        "wss",
        ssl_context=certificates.issue("a.test"),
    )

    def connect(host: str, port: int) -> socket.socket:
        return socket.create_connection(("localhost", endpoint.server.port), WAIT)

    monkeypatch.setattr(proxy_peers, "connect", connect)
    return endpoint


@pytest.fixture
def start_proxy(raw_server: Callable[..., RawServer]) -> StartProxy:
    def start(scheme: str) -> tuple[dict[str, Any], Asked]:
        proxy: Any = HTTPProxy() if scheme == "http" else SOCKSProxy()
        return {"proxy": f"{scheme}://localhost:{raw_server(proxy).port}"}, proxy.asked

    return start


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_is_asked_for_an_address_that_was_looked_at(
    kind: str, dial: Dialer, names: Any, server: Any, start_proxy: StartProxy
) -> None:
    """TLS and the request are about the name all the same."""
    names["a.test"] = ["10.0.0.1", "127.0.0.1", PUBLIC, "1.1.1.1"]
    options, asked = start_proxy(kind)
    with security.use(Policy(ANY)):
        connection = dial("wss://a.test:4433/", **options, **server.options)
    assert connection.receive(WAIT) == "a.test:4433"
    assert asked.targets == [(PUBLIC, 4433)]


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
def test_an_ipv6_address(
    kind: str, dial: Dialer, names: Any, server: Any, start_proxy: StartProxy
) -> None:
    names["a.test"] = ["fd00::1", PUBLIC_V6]
    options, asked = start_proxy(kind)
    with security.use(Policy(ANY)):
        dial("wss://a.test/", **options, **server.options)
    assert [(host.strip("[]"), port) for host, port in asked.targets] == [(PUBLIC_V6, 443)]


@pytest.mark.parametrize("kind", ["socks4", "socks4a"])
def test_socks4_has_no_form_for_what_is_left(
    kind: str, dial: Dialer, names: Any, start_proxy: StartProxy
) -> None:
    names["a.test"] = ["10.0.0.1", PUBLIC_V6]
    options, asked = start_proxy(kind)
    with security.use(Policy(ANY)), pytest.raises(ProxyError, match="SOCKS4 knows no IPv6"):
        dial("ws://a.test/", **options)
    assert asked.targets == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", ["in.test", "localhost", "169.254.169.254", "[::1]", "127.0.0.1"])
def test_private_addresses_are_refused_before_the_proxy_is_asked(
    kind: str, host: str, dial: Dialer, names: Any, raw_listener: Any
) -> None:
    names["in.test"] = ["192.168.0.1", "fd00::1"]
    with (
        security.use(Policy(ANY)),
        pytest.raises(PermissionDenied, match="no address of the public Internet"),
    ):
        dial(f"ws://{host}/", proxy=f"{kind}://127.0.0.1:{raw_listener.port}")
    raw_listener.expect_nobody()


@pytest.mark.parametrize("kind", RESOLVING)
def test_a_name_that_only_the_proxy_knows(
    kind: str, dial: Dialer, server: Any, start_proxy: StartProxy, names: Any
) -> None:
    """Without private addresses it fails; where they are allowed the proxy looks it up."""
    options, asked = start_proxy(kind)
    names["a.test"] = []
    with (
        security.use(Policy(ANY)),
        pytest.raises(ConnectError, match="cannot find the address of a.test"),
    ):
        dial("wss://a.test/", **options, **server.options)
    assert asked.targets == []
    names.asked.clear()
    with security.use(Policy(ANY, allow_private=True)):
        dial("wss://a.test/", **options, **server.options)
    assert asked.targets == [("a.test", 443)]
    assert "a.test" not in names.asked


def test_a_proxy_from_the_environment(
    dial: Dialer,
    names: Any,
    server: Any,
    start_proxy: StartProxy,
    environment: Callable[..., None],
) -> None:
    names["a.test"] = [PUBLIC]
    options, asked = start_proxy("http")
    environment(https_proxy=options["proxy"])
    with security.use(Policy(ANY)):
        dial("wss://a.test/", **server.options)
    assert asked.targets == [(PUBLIC, 443)]
