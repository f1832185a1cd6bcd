import copy
import pickle

import pytest

from wsfast.protocol import errors
from wsfast.protocol.errors import (
    CertificateError,
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    ForkedError,
    HandshakeError,
    InvalidOption,
    InvalidURL,
    Kind,
    NoContext,
    PermissionDenied,
    ProtocolError,
    ProxyError,
    RedirectError,
    SendTimeout,
    StatusError,
    TLSError,
    WebSocketError,
    is_,
)
from wsfast.protocol.headers import Headers

HEADERS = Headers([("Retry-After", "5"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])

SAMPLES: list[tuple[WebSocketError, bool]] = [
    (WebSocketError("something"), False),
    (InvalidURL("URL has no host"), False),
    (InvalidOption("read_limit must be an int"), False),
    (PermissionDenied("the policy says no"), False),
    (NoContext("no security policy"), False),
    (ConnectError("connection refused"), True),
    (ConnectTimeout("timeout after 10 s"), True),
    (TLSError("TLS handshake failed"), True),
    (CertificateError("TLS certificate is self-signed"), False),
    (HandshakeError("not HTTP"), False),
    (StatusError(404, "Not Found", HEADERS), False),
    (StatusError(499, "", HEADERS), False),
    (StatusError(500, "Internal Server Error", HEADERS), True),
    (StatusError(503, "Busy", HEADERS), True),
    (RedirectError("more redirects than max_redirects, 3"), False),
    (ProxyError("proxy http://proxy:80: connection refused by proxy port 80"), True),
    (ProxyError("proxy http://proxy:80 asks for a user", status=407, retryable=False), False),
    (ConnectionClosed(1000, "bye"), False),
    (ConnectionClosed(1001, "", clean=False), False),
    (ConnectionLost(1006, "connection reset by peer"), True),
    (ConnectionLost(), True),
    (ProtocolError(1002, "reserved bits"), False),
    (ForkedError(), False),
    (SendTimeout("write timeout after 30 s"), True),
]


@pytest.mark.parametrize(("error", "retryable"), SAMPLES, ids=lambda value: repr(value))
def test_kind_and_retryable(error: WebSocketError, retryable: bool) -> None:
    assert error.retryable is retryable
    denied = isinstance(error, PermissionDenied)
    assert error.kind is (Kind.PERMISSION_DENIED if denied else Kind.INTERNAL)
    assert is_(error, Kind.PERMISSION_DENIED) is denied
    assert is_(error, Kind.INTERNAL) is not denied


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(("error", "retryable"), SAMPLES, ids=lambda value: repr(value))
def test_errors_survive_pickle(error: WebSocketError, retryable: bool, protocol: int) -> None:
    assert_same(pickle.loads(pickle.dumps(error, protocol)), error)


@pytest.mark.parametrize(("error", "retryable"), SAMPLES, ids=lambda value: repr(value))
def test_errors_survive_copy(error: WebSocketError, retryable: bool) -> None:
    assert_same(copy.copy(error), error)
    assert_same(copy.deepcopy(error), error)


def assert_same(twin: WebSocketError, error: WebSocketError) -> None:
    assert twin is not error
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert (twin.kind, twin.retryable) == (error.kind, error.retryable)


def test_notes_survive_pickle() -> None:
    error = ConnectionLost(1006, "reset")
    error.add_note("while sending")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while sending"]


def test_the_hierarchy_lets_callers_catch_what_python_programs_catch() -> None:
    assert issubclass(InvalidURL, ValueError)
    assert issubclass(InvalidOption, ValueError)
    assert issubclass(ConnectTimeout, TimeoutError)
    assert issubclass(SendTimeout, TimeoutError)
    assert issubclass(ConnectTimeout, ConnectError)
    assert issubclass(CertificateError, TLSError)
    assert issubclass(TLSError, ConnectError)
    assert issubclass(StatusError, HandshakeError)
    assert issubclass(HandshakeError, ConnectError)
    for ended in (ConnectionLost, ProtocolError, ForkedError):
        assert issubclass(ended, ConnectionClosed)
        assert ended(1006).clean is False


def test_a_status_error_has_the_answer() -> None:
    error = StatusError(403, "Forbidden", HEADERS)
    assert (error.status, error.reason, error.headers) == (403, "Forbidden", HEADERS)
    assert str(error) == "the server answered HTTP 403 Forbidden instead of 101 Switching Protocols"
    assert "HTTP 403 instead" in str(StatusError(403, "", HEADERS))


def test_an_end_has_code_reason_and_whether_it_was_clean() -> None:
    error = ConnectionClosed(1001, "going away")
    assert (error.code, error.reason, error.clean) == (1001, "going away", True)
    assert str(error) == "connection closed: 1001 going away"
    assert str(ConnectionClosed(1005)) == "connection closed: 1005"
    assert str(ProtocolError(1002, "reserved bits")) == "protocol error: 1002 reserved bits"
    assert str(ConnectionLost(1006, "timeout")) == "connection lost: 1006 timeout"
    assert ConnectionLost(1011, clean=True).clean is True
    assert "opened before fork()" in str(ForkedError())


def test_text_from_the_peer_cannot_forge_log_lines() -> None:
    hostile = "x\r\n2026-01-01 root logged in \x1b[2J"
    for error in (ConnectionClosed(1000, hostile), StatusError(400, hostile, HEADERS)):
        assert error.reason == hostile
        assert str(error).isprintable()


def test_is_knows_only_errors_of_the_package() -> None:
    assert errors.is_(PermissionDenied("no"), errors.PERMISSION_DENIED)
    assert not errors.is_(PermissionDenied("no"), errors.INTERNAL)
    assert not errors.is_(ValueError("no"), errors.INTERNAL)
    assert not errors.is_(None, errors.INTERNAL)


def test_kinds_are_their_names() -> None:
    assert [str(kind) for kind in Kind] == ["PERMISSION_DENIED", "INTERNAL"]
