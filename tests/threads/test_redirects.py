"""Redirects as the driver follows them: one opening, one deadline, one way to give it up."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from proxy_peers import HTTPProxy
from raw_peers import RawServer, RawServerPeer

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectError, ConnectTimeout, RedirectError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import Connection
from wsfast.threads.client import Dial
from wsfast.threads.dial import Cancelled

WAIT = 10.0

Dialer = Callable[..., Connection]
StartRaw = Callable[..., RawServer]


def redirect(location: str) -> Callable[[RawServerPeer], None]:
    def serve(peer: RawServerPeer) -> None:
        peer.read_head()
        peer.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())

    return serve


def test_what_the_connection_is_in_the_end(
    dial: Dialer, start_server: Any, raw_server: StartRaw
) -> None:
    endpoint = start_server(
        lambda connection: connection.send(connection.request.target), headers={"X-Final": "yes"}
    )
    first = raw_server(redirect(endpoint.url + "a?b"))
    connection = dial(first.url, max_redirects=1)
    assert connection.receive(WAIT) == "/a?b"
    assert connection.response is not None
    assert connection.response.headers["X-Final"] == "yes"
    assert connection.url == parse_url(endpoint.url + "a?b")
    assert connection.remote_address[1] == endpoint.server.port  # type: ignore[index]
    connection.finish()


def test_it_is_connecting_all_the_time(raw_server: StartRaw) -> None:
    arrived: queue.Queue[RawServerPeer] = queue.Queue()

    def wait(peer: RawServerPeer) -> None:
        arrived.put(peer)
        peer.read_to_end()

    target = raw_server(wait)
    opening = Dial(
        parse_url(raw_server(redirect(target.url)).url),
        client_options(max_redirects=1, dial_timeout=None),
    )
    first = opening.connection
    first.keep(["from before"])
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(opening.open)
        arrived.get(timeout=WAIT)
        assert opening.connection is not first
        assert opening.connection.state is State.CONNECTING
        assert opening.connection.take_all() == ["from before"]
        opening.close()
        assert isinstance(result.exception(WAIT), Cancelled)
    assert first.wait_ended(WAIT)
    assert opening.connection.wait_ended(WAIT)
    assert opening.connection.state is State.DISCONNECTED
    assert opening.connection.error is None


def test_one_deadline_for_all_hops(dial: Dialer, raw_server: StartRaw) -> None:
    """Each answers in good time, and yet it would go on for a minute."""
    over = threading.Event()

    def slow(peer: RawServerPeer) -> None:
        peer.read_head()
        over.wait(0.1)
        peer.send(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")

    with pytest.raises(ConnectTimeout):
        dial(raw_server(slow).url, max_redirects=20, dial_timeout=500)
    over.set()


def test_a_target_that_is_not_there(dial: Dialer, raw_server: StartRaw, refused_port: int) -> None:
    url = raw_server(redirect(f"//127.0.0.1:{refused_port}/")).url
    with pytest.raises(ConnectError, match=f"connection refused by 127.0.0.1 port {refused_port}"):
        dial(url, max_redirects=1)


def test_each_hop_chooses_its_proxy(
    dial: Dialer, start_server: Any, raw_server: StartRaw, environment: Callable[..., None]
) -> None:
    endpoint = start_server(lambda connection: connection.send("hi"))
    proxy = HTTPProxy()
    environment(http_proxy=f"http://localhost:{raw_server(proxy).port}")
    first = raw_server(redirect(f"ws://server.test:{endpoint.server.port}/"))
    connection = dial(first.url, max_redirects=1)  # directly, because it is on this machine
    assert connection.receive(WAIT) == "hi"
    assert proxy.asked.targets == [("server.test", endpoint.server.port)]
    connection.finish()


def test_closed_again_and_again(raw_server: StartRaw) -> None:
    """At whatever moment the close comes: the same end, and nothing left over."""
    url = parse_url(raw_server(redirect("/")).url)
    options = client_options(max_redirects=20)
    ends = []
    with ThreadPoolExecutor(1) as pool:
        for pause in range(100):
            opening = Dial(url, options)
            result = pool.submit(opening.open)
            for _ in range(pause * 1000):
                pass  # moves the close through the hops
            opening.close()
            ends.append((type(result.exception(WAIT)), opening.connection.state))
            assert opening.connection.wait_ended(WAIT)
    assert set(ends) <= {
        (Cancelled, State.DISCONNECTED),
        (RedirectError, State.ERROR),
    }
    assert (Cancelled, State.DISCONNECTED) in ends


def test_given_up_between_two_hops(
    raw_server: StartRaw, monkeypatch: pytest.MonkeyPatch, refused_port: int
) -> None:
    """The close comes when the redirect has been read and not been followed yet."""
    first = raw_server(redirect(f"ws://127.0.0.1:{refused_port}/"))
    opening = Dial(parse_url(first.url), client_options(max_redirects=1))
    start = Connection.start

    def start_and_close(connection: Connection, *args: Any) -> None:
        start(connection, *args)
        opening.close()

    monkeypatch.setattr(Connection, "start", start_and_close)
    with pytest.raises(Cancelled):
        opening.open()
    assert opening.connection.state is State.DISCONNECTED
    assert opening.connection.error is None
    assert opening.connection.wait_ended(WAIT)
