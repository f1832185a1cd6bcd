"""From a host name to a TCP connection, and the ways to give that up."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectError, ConnectTimeout
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads import dial
from wsfast.threads.client import Dial
from wsfast.threads.dial import Cancel, Cancelled, connect_tcp, interleave, resolve

WAIT = 10.0
V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def black_hole(black_hole_url: str) -> tuple[str, int]:
    return "127.0.0.1", urlsplit(black_hole_url).port or 0


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what every name resolves to."""

    def set_addresses(*found: tuple[int, Any]) -> None:
        def getaddrinfo(host: str, port: int, **kwargs: Any) -> list[Any]:
            if kwargs["flags"] & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]

        monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)

    return set_addresses


@pytest.fixture
def stalled_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set once a name is being looked up, which never ends before the test does."""
    entered, release = threading.Event(), threading.Event()

    def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
        if kwargs["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        entered.set()
        release.wait(2 * WAIT)
        raise socket.gaierror(socket.EAI_AGAIN, "released")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    yield entered
    release.set()


def connect(host: str = "example.com", port: int = 80, timeout: float = WAIT) -> socket.socket:
    return connect_tcp(host, port, time.monotonic() + timeout, Cancel())


# ---------------------------------------------------------------- order of addresses


def test_families_alternate_and_the_systems_favourite_comes_first() -> None:
    def order(text: str) -> str:
        found = [(V6 if c.isupper() else V4, c) for c in text]
        return "".join(address for _, address in interleave(found))

    assert order("ABCdef") == "AdBeCf"
    assert order("abcDEF") == "aDbEcF"
    assert order("ABCd") == "AdBC"
    assert order("abCDE") == "aCbDE"
    assert order("abc") == "abc"
    assert order("A") == "A"


# ---------------------------------------------------------------- Happy Eyeballs


def test_the_socket_blocks_and_does_not_delay(listener: socket.socket) -> None:
    with connect("127.0.0.1", listener.getsockname()[1]) as sock:
        assert sock.getblocking()
        assert sock.gettimeout() is None
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_dead_address_does_not_hold_up_the_next(
    listener: socket.socket,
    black_hole: Any,
    addresses: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial, "ATTEMPT_DELAY", 0.01)
    addresses((V4, black_hole), (V4, black_hole), (V4, listener.getsockname()))
    with connect() as sock:
        assert sock.getpeername() == listener.getsockname()


def test_an_address_that_fails_is_followed_by_the_next_at_once(
    listener: socket.socket,
    refused_port: int,
    addresses: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial, "ATTEMPT_DELAY", 3600)
    addresses(
        (V6, ("::1", refused_port, 0, 0)),
        (V4, ("127.0.0.1", refused_port)),
        (V4, listener.getsockname()),
    )
    with connect() as sock:
        assert sock.getpeername() == listener.getsockname()


def test_the_first_that_connects_wins(
    listener: socket.socket,
    black_hole: Any,
    addresses: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are tried at the same time here."""
    monkeypatch.setattr(dial, "ATTEMPT_DELAY", 0)
    addresses((V4, black_hole), (V4, listener.getsockname()), (V4, black_hole), (V4, black_hole))
    with connect() as sock:
        assert sock.getpeername() == listener.getsockname()


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
def test_both_families_are_connected_to(loopback: str) -> None:
    family = V6 if ":" in loopback else V4
    with (
        socket.create_server((loopback, 0), family=family) as server,
        connect("localhost" if family == V4 else "::1", server.getsockname()[1]) as sock,
    ):
        assert sock.family == family


@pytest.mark.parametrize(
    "odd", [(99, ("127.0.0.1", 1)), (V4, ("::1", 1)), (V6, ("not an address", 1))]
)
def test_an_address_that_this_system_does_not_speak_is_passed_over(
    listener: socket.socket, addresses: Callable[..., None], odd: Any
) -> None:
    addresses(odd, (V4, listener.getsockname()))
    with connect() as sock:
        assert sock.getpeername() == listener.getsockname()


# ---------------------------------------------------------------- failures


def test_all_refused(refused_port: int, addresses: Callable[..., None]) -> None:
    addresses((V6, ("::1", refused_port, 0, 0)), (V4, ("127.0.0.1", refused_port)))
    with pytest.raises(ConnectError, match="^connection refused by example.com port 80$") as caught:
        connect()
    assert caught.value.retryable


def test_different_failures_are_all_told(refused_port: int, addresses: Callable[..., None]) -> None:
    # Nothing may connect to a broadcast address without asking for it.
    addresses((V4, ("127.0.0.1", refused_port)), (V4, ("255.255.255.255", 1)))
    with pytest.raises(ConnectError, match="connection refused; .+"):
        connect()


def test_the_deadline_covers_the_attempts(black_hole: tuple[str, int]) -> None:
    with pytest.raises(ConnectTimeout, match="timeout: connecting to 127.0.0.1 port"):
        connect(*black_hole, timeout=0.05)


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectError, match="cannot find the address of example.com") as caught:
        connect()
    assert isinstance(caught.value.__cause__, socket.gaierror)


def test_the_deadline_covers_the_look_up(stalled_resolver: threading.Event) -> None:
    with pytest.raises(ConnectTimeout, match="timeout: looking up example.com"):
        connect(timeout=0.05)
    assert stalled_resolver.is_set()


def test_a_deadline_that_has_passed(listener: socket.socket) -> None:
    with pytest.raises(ConnectTimeout, match="timeout"):
        connect("127.0.0.1", listener.getsockname()[1], timeout=-1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_not_looked_up(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise AssertionError("a thread for the resolver")

    monkeypatch.setattr(threading.Thread, "start", start)
    ((_, address),) = resolve(host, 80, None, Cancel())
    assert address[:2] == (host, 80)


# ---------------------------------------------------------------- cancelling


def test_cancelled_before_it_begins(listener: socket.socket) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        connect_tcp("127.0.0.1", listener.getsockname()[1], None, cancel)


def test_cancelled_while_looking_up(stalled_resolver: threading.Event) -> None:
    cancel = Cancel()
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(connect_tcp, "example.com", 80, None, cancel)
        assert stalled_resolver.wait(WAIT)
        cancel.cancel()
        assert isinstance(opening.exception(WAIT), Cancelled)


def test_cancelled_while_connecting(
    black_hole: Any, addresses: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses((V4, black_hole))
    cancel, trying = Cancel(), threading.Event()
    select = dial.selectors.DefaultSelector.select

    def note(selector: Any, timeout: float | None = None) -> Any:
        trying.set()
        return select(selector, timeout)

    monkeypatch.setattr(dial.selectors.DefaultSelector, "select", note)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(connect_tcp, "example.com", 80, None, cancel)
        assert trying.wait(WAIT)
        cancel.cancel()
        assert isinstance(opening.exception(WAIT), Cancelled)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_closed_while_the_server_says_nothing(scheme: str, listener: socket.socket) -> None:
    """In the upgrade, and in the TLS handshake."""
    url = parse_url(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/")
    opening = Dial(url, client_options(dial_timeout=None))
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(opening.open)
        listener.settimeout(WAIT)
        peer = listener.accept()[0]
        with peer:
            peer.settimeout(WAIT)
            assert peer.recv(1)  # the request, or the client's hello
            opening.close()
            assert isinstance(result.exception(WAIT), Cancelled)
    assert opening.connection.state is State.DISCONNECTED
    assert opening.connection.error is None
    assert opening.connection.close_code == 1006


def test_closed_again_and_again(listener: socket.socket) -> None:
    """At whatever moment the close comes: the same end, and no descriptor left over."""
    url = parse_url(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
    options = client_options()
    with ThreadPoolExecutor(1) as pool:
        for pause in range(200):
            opening = Dial(url, options)
            result = pool.submit(opening.open)
            for _ in range(pause * 20):
                pass  # moves the close through the steps of the opening
            opening.close()
            assert isinstance(result.exception(WAIT), Cancelled)
            assert opening.connection.state is State.DISCONNECTED
            assert opening.connection.wait_ended(WAIT)
