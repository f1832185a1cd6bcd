"""Every exception that the package raises for what happens on a connection.

A wrong type is a plain `TypeError`; everything else stands under `WebSocketError`. The kinds and
what is retryable follow seed 001. Texts are composed where the failure is seen; the ones of
`ConnectError` and its subclasses bear the words that programs written for seed 004 look for:
``connection refused``, ``timeout`` and ``TLS``.

All of them survive `pickle` and `copy`, so that they can cross process boundaries.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from wsfast.protocol.headers import Headers

_Error = TypeVar("_Error", bound="WebSocketError")


class Kind(StrEnum):
    """The error kinds of seed 001."""

    PERMISSION_DENIED = "PERMISSION_DENIED"
    INTERNAL = "INTERNAL"


PERMISSION_DENIED = Kind.PERMISSION_DENIED
INTERNAL = Kind.INTERNAL


def _rebuild(cls: type[_Error], args: tuple[Any, ...]) -> _Error:
    # Not cls(*args): args hold the composed text, which is not what every __init__ takes.
    error = cls.__new__(cls, *args)
    error.args = args
    return error


def _printable(text: str) -> str:
    # Peers choose this text, and it ends in logs: no line breaks or terminal escapes there.
    return text if text.isprintable() else repr(text)[1:-1]


class WebSocketError(Exception):
    """The root of the hierarchy."""

    kind: Kind = Kind.INTERNAL
    retryable: bool = False
    """Whether the same call may succeed later, with nothing changed on our side."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__


class InvalidURL(WebSocketError, ValueError):
    """The URL is no WebSocket URL (RFC 6455, section 3). The text never holds a password."""


class InvalidOption(WebSocketError, ValueError):
    """An option, a header or a token has a value that it cannot have. The text names it."""


class PermissionDenied(WebSocketError):
    """The security policy does not allow the connection (seed 001)."""

    kind = Kind.PERMISSION_DENIED


class NoContext(WebSocketError):
    """What the call needs of its context is not there, such as a policy where one is required
    (seed 001)."""


class ConnectError(WebSocketError):
    """The connection could not be opened: DNS, connection refused, reset, no route."""

    retryable = True


class ConnectTimeout(ConnectError, TimeoutError):
    """``dial_timeout`` ran out before the connection was open. The text says "timeout"."""


class TLSError(ConnectError):
    """The TLS handshake failed. The text says "TLS"."""


class CertificateError(TLSError):
    """The server's certificate was refused. Trying again does not help."""

    retryable = False


class HandshakeError(ConnectError):
    """The peer answered the opening handshake with something that is no WebSocket reply."""

    retryable = False


class StatusError(HandshakeError):
    """The server answered the opening handshake with another HTTP status than 101.

    Retryable if the status is 500 or more.
    """

    status: int
    reason: str
    headers: "Headers"

    def __init__(self, status: int, reason: str, headers: "Headers") -> None:
        answer = f"{status} {_printable(reason)}".rstrip()
        super().__init__(f"the server answered HTTP {answer} instead of 101 Switching Protocols")
        self.status = status
        self.reason = reason
        self.headers = headers
        self.retryable = status >= 500


class RedirectError(HandshakeError):
    """The server redirected the handshake to where the client does not go."""


class ProxyError(ConnectError):
    """The proxy could not be reached, or did not open the way to the server.

    Attributes:
        status: that of an HTTP proxy's answer; None if there was none.
        retryable: False if the proxy refuses, for example for want of credentials (407).
    """

    status: int | None

    def __init__(self, text: str, *, status: int | None = None, retryable: bool = True) -> None:
        super().__init__(_printable(text))
        self.status = status
        self.retryable = retryable


class ConnectionClosed(WebSocketError):
    """The connection has ended; raised by what was tried on it afterwards.

    Attributes:
        code: the close code, 1005 if the peer's close frame had none, 1006 if there was no frame.
        reason: the close reason, or what ended the connection if there was no frame.
        clean: whether the closing handshake was completed (RFC 6455, section 7.1.4).
    """

    code: int
    reason: str
    clean: bool = True

    _what = "connection closed"

    def __init__(self, code: int, reason: str = "", *, clean: bool | None = None) -> None:
        detail = f"{code:d} {_printable(reason)}".rstrip()
        super().__init__(f"{self._what}: {detail}")
        self.code = int(code)
        self.reason = reason
        if clean is not None:
            self.clean = clean


class ConnectionLost(ConnectionClosed):
    """The connection ended without a closing handshake, or failed on our side."""

    retryable = True
    clean = False

    _what = "connection lost"

    def __init__(self, code: int = 1006, reason: str = "", *, clean: bool | None = None) -> None:
        super().__init__(code, reason, clean=clean)


class ProtocolError(ConnectionClosed):
    """The peer violated the protocol or a limit; `code` is the close code that we sent."""

    clean = False

    _what = "protocol error"


class ForkedError(ConnectionClosed):
    """The connection belongs to the parent process and is dead in this one."""

    clean = False

    def __init__(
        self,
        code: int = 1006,
        reason: str = "the connection was opened before fork()",
        *,
        clean: bool | None = None,
    ) -> None:
        super().__init__(code, reason, clean=clean)


class QueueFull(WebSocketError):
    """The send queue has no room for the message, and ``send_overflow`` is "fail"."""

    retryable = True


class SendTimeout(WebSocketError, TimeoutError):
    """``write_timeout`` ran out before there was room for the message. The text says "timeout"."""

    retryable = True


class ChannelClosed(WebSocketError):
    """Something was to be sent to a channel that is closed. It was not sent."""

    def __init__(self, text: str = "the channel is closed") -> None:
        super().__init__(text)


class NoProcess(WebSocketError, LookupError):
    """There is no process of this name, or none any more with this PID."""


class NameTaken(WebSocketError):
    """The name belongs to another process."""


class PongTimeout(WebSocketError, TimeoutError):
    """A ping was not answered in time. The text says "timeout"."""

    retryable = True


def is_(err: BaseException | None, kind: Kind) -> bool:
    """Tell whether an error is of a kind, as `errors.is` of seed 001. None is of no kind."""
    return isinstance(err, WebSocketError) and err.kind == kind
