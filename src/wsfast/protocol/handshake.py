"""The upgrade from HTTP to WebSocket (RFC 6455, section 4), both sides, over h11.

Bytes in, bytes out; deadlines are the connection's. Nothing after the end of the HTTP messages is
looked at here: it is handed on in `leftover`, or never read after a refusal.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from http.client import responses

import h11

from wsfast.protocol.errors import ConnectError, HandshakeError, StatusError
from wsfast.protocol.extensions import (
    Deflate,
    ExtensionError,
    accept_answer,
    answer_offers,
    make_offer,
)
from wsfast.protocol.headers import Headers, split_tokens
from wsfast.protocol.http1 import MAX_HEAD_BYTES, HTTPReader, Pairs, brief, decode, encode
from wsfast.protocol.options import ClientOptions, ServerOptions
from wsfast.protocol.origins import OriginPolicy
from wsfast.protocol.url import URL

__all__ = ["ClientHandshake", "Refusal", "Request", "Response", "ServerHandshake", "accept_value"]

_ABSOLUTE = re.compile(r"(?:https?|wss?)://[^/?#]+", re.IGNORECASE)
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii") + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for. `target` is the path with its query, percent-encoded as it came."""

    target: str
    headers: Headers

    @property
    def path(self) -> str:
        """The path without the query, percent-encoded as it came."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark; empty if nothing does."""
        return self.target.partition("?")[2]

    @property
    def origin(self) -> str | None:
        """The Origin header, which browsers send (RFC 6454)."""
        return self.headers.get("Origin")

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, the one it prefers first."""
        return _tokens(self.headers, "Sec-WebSocket-Protocol")


@dataclass(frozen=True, slots=True)
class Response:
    """How a server answered."""

    status: int
    headers: Headers


class Refusal(Exception):
    """Why a server turns a request down, as the response that says so."""

    def __init__(self, status: int, text: str, headers: Pairs | None = None) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers or []


def _tokens(headers: Headers, name: str) -> list[str]:
    return [token for value in headers.get_all(name) for token in split_tokens(value)]


def _has_token(headers: Headers, name: str, token: str) -> bool:
    return token in (found.lower() for found in _tokens(headers, name))


def _single(headers: Headers, name: str) -> str | None:
    """The value of a header that must stand exactly once; None if it does not."""
    values = headers.get_all(name)
    return values[0] if len(values) == 1 else None


class ClientHandshake(HTTPReader):
    """Asks for the upgrade and checks the answer (RFC 6455, section 4.1)."""

    def __init__(self, url: URL, options: ClientOptions) -> None:
        super().__init__(h11.CLIENT)
        self._options = options
        self._key = base64.b64encode(os.urandom(16)).decode()
        self.response: Response | None = None
        self.subprotocol: str | None = None
        self.deflate: Deflate | None = None
        request = h11.Request(method="GET", target=url.target, headers=encode(self._headers(url)))
        self.request_bytes = self._send(request) + self._send(h11.EndOfMessage())

    def _send(self, event: h11.Request | h11.EndOfMessage) -> bytes:
        return self._http.send(event) or b""

    def _headers(self, url: URL) -> Pairs:
        options = self._options
        extra = Headers(options.headers)
        pairs: Pairs = []
        if "Host" not in extra:
            pairs.append(("Host", url.host_header))
        pairs += [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key),
            ("Sec-WebSocket-Version", "13"),
        ]
        if options.protocols:
            pairs.append(("Sec-WebSocket-Protocol", ", ".join(options.protocols)))
        extension = make_offer(options)
        if extension is not None:
            pairs.append(("Sec-WebSocket-Extensions", extension))
        if options.origin is not None:
            pairs.append(("Origin", options.origin))
        if options.user_agent is not None:
            pairs.append(("User-Agent", options.user_agent))
        if url.credentials is not None and "Authorization" not in extra:
            joined = ":".join(url.credentials).encode()
            pairs.append(("Authorization", "Basic " + base64.b64encode(joined).decode()))
        return pairs + list(options.headers)

    def feed(self, data: bytes) -> bool:
        """Takes what the server sent; True once the connection is upgraded.

        Raises `HandshakeError` (`StatusError` for a plain HTTP answer) when it never will be.
        """
        self._take(data)
        other = self._other_protocol(data)
        if other is not None:
            raise HandshakeError(f"the server's answer is not valid HTTP: it speaks {other}")
        try:
            event = self._http.next_event()
            while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                event = self._http.next_event()
        except h11.RemoteProtocolError as exc:
            raise HandshakeError(f"the server's answer is not valid HTTP: {brief(exc)}") from exc
        if event is h11.NEED_DATA:
            if self._over_limit():
                raise HandshakeError(f"the server's answer is over {MAX_HEAD_BYTES} bytes")
            return False
        if isinstance(event, h11.InformationalResponse):
            self._check(event)
            self.leftover = self._http.trailing_data[0]
            return True
        assert isinstance(event, h11.Response)  # nothing else can come first
        reason = event.reason.decode("latin-1")
        raise StatusError(event.status_code, reason, decode(event))

    def eof(self) -> ConnectError:
        """The error for a server that closed the connection before its answer was whole."""
        return ConnectError("the server closed the connection during the handshake")

    def _check(self, event: h11.InformationalResponse) -> None:
        headers = decode(event)
        if event.http_version != b"1.1":
            raise HandshakeError(f"the server answered in HTTP/{event.http_version.decode()}")
        if not _has_token(headers, "Upgrade", "websocket"):
            raise HandshakeError("the server's answer lacks 'Upgrade: websocket'")
        if not _has_token(headers, "Connection", "upgrade"):
            raise HandshakeError("the server's answer lacks 'Connection: Upgrade'")
        accept = _single(headers, "Sec-WebSocket-Accept")
        if accept is None or not hmac.compare_digest(
            accept.encode("latin-1"), accept_value(self._key).encode()
        ):
            raise HandshakeError("wrong or missing Sec-WebSocket-Accept: not a WebSocket server?")
        try:
            self.deflate = accept_answer(headers.get_all("Sec-WebSocket-Extensions"), self._options)
        except ExtensionError as exc:
            raise HandshakeError(f"the server's answer: {exc}") from exc
        chosen = headers.get_all("Sec-WebSocket-Protocol")
        if chosen:
            subprotocol = _single(headers, "Sec-WebSocket-Protocol")
            if subprotocol not in self._options.protocols:
                raise HandshakeError(f"the server chose {chosen}, which was not offered")
            self.subprotocol = subprotocol
        self.response = Response(101, headers)


class ServerHandshake(HTTPReader):
    """Reads the request, judges it, and answers (RFC 6455, section 4.2)."""

    def __init__(self, options: ServerOptions) -> None:
        super().__init__(h11.SERVER)
        self._options = options
        self._origins = OriginPolicy(options.origins)
        self._key = ""
        self._extension: str | None = None
        self._has_body = True  # of the response to the request, if that is refused
        self.request: Request | None = None
        self.subprotocol: str | None = None
        self.deflate: Deflate | None = None

    def feed(self, data: bytes) -> bool:
        """Takes what the client sent; True once there is an acceptable `request`.

        Raises `Refusal` for one that is not; `refuse` makes the response.
        """
        self._take(data)
        if self.request is not None:  # frames that did not wait for the answer
            if self._over_limit():
                raise Refusal(400, "Too much data before the answer to the handshake.")
            return True
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as exc:
            raise Refusal(exc.error_status_hint, f"Bad request: {brief(exc)}.") from exc
        if event is h11.NEED_DATA:
            return False
        assert isinstance(event, h11.Request)  # nothing else can come first
        self._has_body = event.method != b"HEAD"
        self.request = Request(_resource(event.target.decode("ascii")), decode(event))
        self._check(event, self.request)
        return True

    def eof(self) -> ConnectError:
        """The error for a client that closed the connection before its request was whole."""
        return ConnectError("the client closed the connection during the handshake")

    def _check(self, event: h11.Request, request: Request) -> None:
        headers = request.headers
        if event.method != b"GET":
            raise Refusal(405, "WebSocket handshakes use GET.", [("Allow", "GET")])
        if event.http_version != b"1.1":
            raise Refusal(505, "WebSocket handshakes use HTTP/1.1.")
        upgrade = ("Upgrade", "websocket")
        if not _has_token(headers, "Upgrade", "websocket") or not _has_token(
            headers, "Connection", "upgrade"
        ):
            raise Refusal(426, "This is a WebSocket server.", [upgrade])
        if _single(headers, "Sec-WebSocket-Version") != "13":
            version = ("Sec-WebSocket-Version", "13")
            raise Refusal(426, "Only WebSocket version 13.", [upgrade, version])
        if not request.target.startswith("/"):
            raise Refusal(400, "The request target is not the path of a resource.")
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            raise Refusal(400, "A WebSocket handshake has no body.")
        key = _single(headers, "Sec-WebSocket-Key")
        if key is None or not _is_key(key):
            raise Refusal(400, "Wrong or missing Sec-WebSocket-Key.")
        self._key = key
        self._choose_extension(headers)
        if len(headers.get_all("Origin")) > 1 or not self._origins.allows(
            headers.get("Origin"), headers.get("Host")
        ):
            raise Refusal(403, "This origin is not allowed.")

    def _choose_extension(self, headers: Headers) -> None:
        try:
            answer = answer_offers(headers.get_all("Sec-WebSocket-Extensions"), self._options)
        except ExtensionError as exc:
            raise Refusal(400, f"Bad request: {exc}.") from exc
        if answer is not None:
            self.deflate, self._extension = answer

    def answer(self) -> Response:
        """The response that upgrades; chooses the subprotocol that the server prefers."""
        assert self.request is not None
        offered = self.request.subprotocols
        self.subprotocol = next((p for p in self._options.protocols if p in offered), None)
        pairs: Pairs = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_value(self._key)),
        ]
        if self.subprotocol is not None:
            pairs.append(("Sec-WebSocket-Protocol", self.subprotocol))
        if self._extension is not None:
            pairs.append(("Sec-WebSocket-Extensions", self._extension))
        return Response(101, Headers(pairs + self._common_headers()))

    def accept(self, further: Pairs | None = None) -> bytes:
        """The bytes of `answer`, with `further` header fields."""
        response = h11.InformationalResponse(
            status_code=101,
            reason=b"Switching Protocols",
            headers=encode(self.answer().headers.raw + (further or [])),
        )
        data = self._http.send(response) or b""
        self.leftover = self._http.trailing_data[0]
        return data

    def refuse(self, refusal: Refusal) -> bytes:
        """The response that turns the request down. Nothing that follows will be read."""
        body = (refusal.text + "\n").encode()
        upgrade = any(name == "Upgrade" for name, _ in refusal.headers)
        pairs: Pairs = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *refusal.headers,
            ("Connection", "Upgrade, close" if upgrade else "close"),
        ]
        data = self.begin_response(refusal.status, pairs + self._common_headers())
        if self._has_body:
            data += self._http.send(h11.Data(data=body)) or b""
        return data

    def begin_response(self, status: int, pairs: Pairs) -> bytes:
        """The head of any response but the upgrade: nothing is added to the header fields but what
        says how long the body is, if they do not."""
        response = h11.Response(
            status_code=status, reason=responses.get(status, "").encode(), headers=encode(pairs)
        )
        return self._http.send(response) or b""

    def continue_response(self, body: bytes, *, last: bool) -> bytes:
        """A piece of its body."""
        data = self._http.send(h11.Data(data=body)) or b""
        if last:
            data += self._http.send(h11.EndOfMessage()) or b""
        return data

    def _common_headers(self) -> Pairs:
        extra = list(self._options.headers)
        if self._options.server_header is not None:
            extra.append(("Server", self._options.server_header))
        return extra


def _resource(target: str) -> str:
    """Path and query of a request target, which may be absolute (RFC 6455, section 4.2.1)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest.startswith("/") else "/" + rest


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
