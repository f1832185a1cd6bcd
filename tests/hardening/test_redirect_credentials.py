"""Redirect credentials: what is secret stays with the origin that it was meant for."""

from collections.abc import Callable
from typing import Any

import pytest
from proxy_peers import HTTPProxy
from raw_peers import RawServer, RawServerPeer, field

import wsfast
from wsfast.protocol.errors import CertificateError, RedirectError, StatusError

Fails = Callable[..., str]
Dial = Callable[..., Any]
StartRaw = Callable[..., RawServer]

SECRETS = {
    "Authorization": "Bearer secret",
    "cookie": "session=secret",
    "Proxy-Authorization": "Basic c2VjcmV0",
}
HEADERS = {**SECRETS, "X-A": "b", "Origin": "https://example.com"}


def redirect(location: str, status: int = 302) -> Callable[[RawServerPeer], bytes]:
    """A server that sends its clients elsewhere, and tells what they asked."""

    def serve(peer: RawServerPeer) -> bytes:
        head = peer.read_head()
        answer = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\n\r\n"
        peer.send(answer.encode("latin-1"))
        return head

    return serve


def accept(peer: RawServerPeer) -> bytes:
    return peer.upgrade()


def secrets_in(head: bytes) -> list[str]:
    return [name for name in SECRETS if field(head, name.encode()) is not None]


# ---------------------------------------------------------------- other origins


def test_another_port_is_another_origin(dial: Dial, raw_server: StartRaw) -> None:
    target = raw_server(accept)
    first = raw_server(redirect(target.url + "x?y"))
    url = first.url.replace("//", "//me:secret@")
    dial(url, headers={k: v for k, v in HEADERS.items() if k != "Authorization"}, max_redirects=1)
    asked, seen = first.result(), target.result()
    assert secrets_in(asked) == list(SECRETS)
    assert secrets_in(seen) == []
    assert b"secret" not in seen
    assert seen.startswith(b"GET /x?y HTTP/1.1\r\n")
    assert field(seen, b"X-A") == b"b"
    assert field(seen, b"Origin") == b"https://example.com"
    assert field(seen, b"Host") == b"localhost:%d" % target.port
    assert field(seen, b"Sec-WebSocket-Key") != field(asked, b"Sec-WebSocket-Key")


def test_another_host_on_the_same_server(dial: Dial, raw_server: StartRaw) -> None:
    """127.0.0.1 is not localhost, though the bytes go to the same place."""
    heads: list[bytes] = []

    def serve(peer: RawServerPeer) -> None:
        heads.append(peer.read_head())
        location = b"http://127.0.0.1:%d/" % peer.sock.getsockname()[1]
        peer.send(b"HTTP/1.1 308 Moved\r\nLocation: %s\r\n\r\n" % location)

    server = raw_server(serve)
    with pytest.raises(RedirectError):
        dial(server.url, headers={**HEADERS, "Host": "virtual"}, max_redirects=2)
    assert [secrets_in(head) for head in heads] == [list(SECRETS), [], []]
    assert [field(head, b"Host") for head in heads] == [
        b"virtual",
        b"127.0.0.1:%d" % server.port,
        b"127.0.0.1:%d" % server.port,
    ]


def test_another_scheme_is_another_origin(
    dial: Dial, raw_server: StartRaw, certificates: Any
) -> None:
    target = raw_server(accept, certificates.server)
    first = raw_server(redirect(target.url))
    dial(first.url, headers=HEADERS, max_redirects=1, ssl_context=certificates.client)
    assert secrets_in(first.result()) == list(SECRETS)
    assert secrets_in(target.result()) == []


def test_there_and_back(dial: Dial, raw_server: StartRaw) -> None:
    """The first origin does not get back what the second did not get: it may be the second that
    chose the path."""
    locations: list[str] = []

    def first(peer: RawServerPeer) -> bytes:
        return redirect(locations.pop())(peer) if locations else peer.upgrade()

    home = raw_server(first)
    away = raw_server(redirect(home.url + "log-out"))
    locations.append(away.url)
    url = home.url.replace("//", "//me:secret@")
    connection = dial(url, headers={"Cookie": "a=b", "X-A": "b"}, max_redirects=2)
    heads = sorted([home.result(), home.result()], key=lambda head: b"/log-out" in head)
    assert secrets_in(away.result()) == []
    assert [secrets_in(head) for head in heads] == [["Authorization", "cookie"], []]
    assert heads[1].startswith(b"GET /log-out HTTP/1.1")
    assert field(heads[1], b"X-A") == b"b"
    assert connection.url.text == home.url + "log-out"


def test_the_same_origin_keeps_them(dial: Dial, raw_server: StartRaw) -> None:
    heads: list[bytes] = []

    def serve(peer: RawServerPeer) -> None:
        heads.append(peer.read_head())
        line = b"302 Found\r\nLocation: /x" if len(heads) == 1 else b"404 Not Found"
        peer.send(b"HTTP/1.1 " + line + b"\r\n\r\n")

    url = raw_server(serve).url.replace("//", "//me:secret@")
    with pytest.raises(StatusError) as caught:
        dial(url, headers={"Cookie": "a=b"}, max_redirects=5)
    assert caught.value.status == 404
    assert [secrets_in(head) for head in heads] == [["Authorization", "cookie"]] * 2


def test_the_proxys_credentials_go_to_the_proxy_alone(dial: Dial, raw_server: StartRaw) -> None:
    target = raw_server(accept)
    first = raw_server(redirect(target.url))
    proxy = HTTPProxy(("someone", "secret"))
    option = f"http://someone:secret@127.0.0.1:{raw_server(proxy).port}"
    dial(first.url, proxy=option, max_redirects=1)
    assert proxy.asked.targets == [("localhost", first.port), ("localhost", target.port)]
    for server in first, target:
        assert field(server.result(), b"Proxy-Authorization") is None


# ---------------------------------------------------------------- what is refused


def test_off_by_default(
    fails: Fails, dial: Dial, raw_server: StartRaw, untouched_port: int
) -> None:
    url = raw_server(redirect(f"ws://127.0.0.1:{untouched_port}/")).url
    assert "302 Elsewhere" in fails(url)
    with pytest.raises(StatusError) as caught:
        dial(url)
    assert caught.value.status == 302
    assert caught.value.headers["Location"].startswith("ws://127.0.0.1")


@pytest.mark.parametrize("scheme", ["ws", "http", "WS", "HTTP"])
def test_encryption_is_not_given_up(
    scheme: str,
    fails: Fails,
    dial: Dial,
    raw_server: StartRaw,
    certificates: Any,
    untouched_port: int,
) -> None:
    location = f"{scheme}://localhost:{untouched_port}/"
    server = raw_server(redirect(location), certificates.server)
    options = {"ssl_context": certificates.client, "max_redirects": 5, "headers": SECRETS}
    assert "redirect refused: it leads from wss:// to ws://" in fails(server.url, **options)
    with pytest.raises(RedirectError) as caught:
        dial(server.url, **options)
    assert not caught.value.retryable


def test_the_certificate_of_each_target_counts(
    dial: Dial, raw_server: StartRaw, certificates: Any
) -> None:
    target = raw_server(accept, certificates.issue("other.test"))
    first = raw_server(redirect(f"https://localhost:{target.port}/"), certificates.server)
    with pytest.raises(CertificateError):
        dial(first.url, ssl_context=certificates.client, max_redirects=1)


@pytest.mark.parametrize(
    "location",
    [
        "ws://me:secret@127.0.0.1:{port}/",
        "ws://127.0.0.1:{port}/#fragment",
        "ws://127.0.0.1:{port}/a\tb",
        "ws://127.0.0.1:{port}/\u00e9",
        "ftp://127.0.0.1:{port}/",
        "ws:127.0.0.1:{port}/",
        "ws://127.0.0.1%0d%0aX:{port}/",
        "ws://127.0.0.1\\:{port}/",
        "ws://127.0.0.1 :{port}/",
    ],
)
def test_bad_locations(
    location: str, fails: Fails, raw_server: StartRaw, untouched_port: int
) -> None:
    url = raw_server(redirect(location.replace("{port}", str(untouched_port)))).url
    told = fails(url, max_redirects=5)
    assert told.startswith("redirect refused: ")
    assert "secret" not in told


def test_a_loop_ends(fails: Fails, raw_server: StartRaw) -> None:
    server = raw_server(redirect("/"))
    assert fails(server.url, max_redirects=20) == "more redirects than max_redirects, 20"
    assert len([server.result() for _ in range(21)]) == 21


# ---------------------------------------------------------------- what a user sees


def test_one_opening(raw_server: StartRaw, start_server: Any, recorder: Any) -> None:
    """Through three redirects: one on_open, and the URL is what was given to connect."""
    echo = start_server(lambda connection: connection.send(connection.request.target))
    url = echo.url + "final"
    for status in 301, 303, 307:
        url = raw_server(redirect(url, status)).url
    number = wsfast.connect(url, **recorder.callbacks, max_redirects=3)
    assert recorder.wait_messages(1) == ["/final"]
    recorder.wait_closed()
    assert recorder.log == [("open",), ("message", "/final"), ("close", 1000, "")]
    assert wsfast.get_url(number) == url
