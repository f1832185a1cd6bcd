"""Origin bypass: requests from pages that are not allowed to connect, over real sockets."""

from typing import Any

import pytest
from raw_peers import client_peer

ALLOWED = ["https://app.example.com", "https://*.trusted.example", "http://localhost:3000"]
DENIED = [
    b"null",
    b"",
    b"https://evil.example",
    b"https://app.example.com.evil.example",
    b"https://evil-app.example.com",
    b"https://evilapp.example.com",
    b"https://app.example.com:444",
    b"https://app.example.com:80",
    b"https://app.example.com:0443x",
    b"http://app.example.com",
    b"https://app.example.com.",
    b"https://app.example.com@evil.example",
    b"https://evil.example@app.example.com",
    b"https://user:pass@app.example.com",
    b"https://app.example.com/",
    b"https://app.example.com/path",
    b"https://app.example.com?",
    b"https://app.example.com#",
    b"https://evil.example#app.example.com",
    b"https://evil.example?https://app.example.com",
    b"https://evil.example, https://app.example.com",
    b"https://app.example.com https://evil.example",
    b"https://app.example.com%2eevil.example",
    b"https://app\xe4example.com",
    b"https://xapp.example.com",
    b"app.example.com",
    b"//app.example.com",
    b"https:app.example.com",
    b"https:/app.example.com",
    b"javascript://app.example.com",
    b"https://trusted.example",
    b"https://eviltrusted.example",
    b"https://a.trusted.example.evil.example",
    b"https://evil.example/.trusted.example",
    b"https://evil.example#.trusted.example",
    b"https://evil.example:443.trusted.example",
    b"http://localhost",
    b"http://localhost:30000",
    b"http://localhost:3000.evil.example",
    b"http://127.0.0.1:3000",
    b"http://[::1]:3000",
    b"file://",
]
PERMITTED = [
    b"https://app.example.com",
    b"https://app.example.com:443",
    b"HTTPS://APP.EXAMPLE.COM",
    b"https://a.trusted.example",
    b"https://a.b.trusted.example",
    b"http://localhost:3000",
]


def status(port: int, *fields: bytes, host: bytes = b"localhost") -> int:
    with client_peer(port) as peer:
        peer.ask(*fields, host=host)
        return peer.status()


@pytest.fixture
def guarded(start_server: Any) -> int:
    return start_server(lambda connection: None, origins=ALLOWED).server.port


@pytest.mark.parametrize("origin", DENIED)
def test_denied(origin: bytes, guarded: int) -> None:
    assert status(guarded, b"Origin: " + origin) == 403


@pytest.mark.parametrize("origin", PERMITTED)
def test_permitted(origin: bytes, guarded: int) -> None:
    assert status(guarded, b"Origin: " + origin) == 101


def test_the_name_of_the_header_has_no_case(guarded: int) -> None:
    assert status(guarded, b"ORIGIN: https://evil.example") == 403
    assert status(guarded, b"origin:https://evil.example") == 403


def test_two_origins_are_denied_in_either_order(guarded: int) -> None:
    good, bad = b"Origin: https://app.example.com", b"Origin: https://evil.example"
    assert status(guarded, good, bad) == 403
    assert status(guarded, bad, good) == 403
    assert status(guarded, good, good) == 403


def test_without_patterns_only_the_same_origin(start_server: Any) -> None:
    port = start_server(lambda connection: None).server.port
    host = b"app.example.com:%d" % port
    assert status(port, host=host) == 101
    assert status(port, b"Origin: http://" + host, host=host) == 101
    assert status(port, b"Origin: https://" + host, host=host) == 101
    for origin in (
        b"null",
        b"",
        b"http://app.example.com",
        b"http://app.example.com:%d" % (port % 65535 + 1),
        b"http://www." + host,
        b"http://" + host + b".evil.example",
        b"http://evil.example@" + host,
        b"http://" + host + b"@evil.example",
        b"http://" + host + b"/",
        b"ftp://" + host,
        host,
    ):
        assert status(port, b"Origin: " + origin, host=host) == 403, origin
    # A Host that the origin merely begins or ends with.
    assert status(port, b"Origin: http://app.example.com", host=b"example.com") == 403
    assert status(port, b"Origin: http://app.example.com", host=b"app.example.com.") == 403
    assert status(port, b"Origin: http://app.example.com:80", host=b"app.example.com") == 101


def test_the_star_alone_allows_any(start_server: Any) -> None:
    port = start_server(lambda connection: None, origins=["*"]).server.port
    for origin in b"null", b"https://evil.example", b"nonsense":
        assert status(port, b"Origin: " + origin) == 101


def test_no_origins_allow_none(start_server: Any) -> None:
    port = start_server(lambda connection: None, origins=[]).server.port
    assert status(port, b"Origin: http://localhost:%d" % port) == 403
    assert status(port) == 101  # not a browser's page
