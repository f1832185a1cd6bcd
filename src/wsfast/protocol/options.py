"""The options of clients and servers: their names, units, defaults and checks.

Every option is described once, at its key of the `TypedDict`s, which say what callers pass.
The dataclasses say what the rest of the package gets: checked values, durations in seconds.
Build them with `client_options` and `server_options`; the constructors check nothing.
"""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_args

from wsfast._version import __version__
from wsfast.protocol import checks
from wsfast.protocol.constants import Compression
from wsfast.protocol.durations import Duration, seconds
from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.headers import HeadersLike
from wsfast.protocol.proxy import Proxy

if TYPE_CHECKING:
    import ssl

SendOverflow = Literal["block", "fail"]
ReceiveOverflow = Literal["pause", "drop_oldest"]

DEFAULT_READ_LIMIT = 16 * 1024 * 1024
MAX_READ_LIMIT = 134_217_728
"""Bytes in a message (seed 001)."""

MAX_COMPRESSION_THRESHOLD = 104_857_600
DEFAULT_COMPRESSION_THRESHOLD = {
    Compression.DISABLED: 128,
    Compression.CONTEXT_TAKEOVER: 128,
    Compression.NO_CONTEXT: 512,
}
"""Bytes from which on compressing a message pays, without and with what came before (seed 001)."""


class OptionsDict(TypedDict, total=False):
    """Options that clients and servers share.

    A duration is a number of milliseconds, a Go duration string or a timedelta; None means no
    limit. Queues count the payload bytes of their messages.
    """

    headers: HeadersLike
    """Further fields of the request (client) or of the 101 response (server). Seed 001."""
    protocols: Sequence[str]
    """Subprotocols in order of preference; none by default. RFC 6455, section 1.9; seed 001."""
    dial_timeout: Duration | None
    """Bounds the whole opening: DNS, TCP, proxy, TLS, upgrade, redirects. Default "10s".
    Seed 001."""
    read_timeout: Duration | None
    """Bounds the wait for each whole message; pings do not extend it. Default None. Seed 001."""
    write_timeout: Duration | None
    """Bounds how long a send may wait for room. Default "30s". Seed 001."""
    close_timeout: Duration
    """Bounds the closing handshake. None is refused: every close ends. Default "5s"."""
    ping_interval: Duration | None
    """Time between keepalive pings; None sends none. Default "20s". Seed 002."""
    pong_timeout: Duration | None
    """Bounds the wait for a keepalive's pong; None waits forever. Default "20s". Seed 002."""
    read_limit: int
    """Bytes in a received message, 0 to 134217728; 0 is the default, 16 MiB. Seed 001."""
    max_fragments: int
    """Frames in a received message. Default 131072."""
    compression: Compression | Literal[0, 1, 2] | str
    """permessage-deflate (RFC 7692), if the peer agrees: a `Compression` or its number or name.
    Default `DISABLED`. Seed 001."""
    compression_threshold: int
    """Bytes from which on a message is compressed, 0 to 104857600; 0, the default, is 128 with
    context takeover and 512 without. Seed 001."""
    compression_level: int
    """From 1, the fastest, to 9, the smallest. Default 6."""
    compression_window_bits: int
    """Binary logarithm, 9 to 15, of the window in bytes that either side compresses with, as far
    as the peer agrees. Bounds the memory, see `wsfast.protocol.deflate`. Default 12."""
    receive_queue_messages: int
    """Messages that wait to be taken. Default 65536."""
    receive_queue_bytes: int
    """Bytes that wait to be taken. Default 32 MiB."""
    send_queue_messages: int
    """Messages that wait to be written. Default 65536."""
    send_queue_bytes: int
    """Bytes that wait to be written. Default 16 MiB."""
    send_overflow: SendOverflow
    """At the send queue's bound: "block" up to `write_timeout` (default), or "fail" at once."""
    receive_overflow: ReceiveOverflow
    """At the receive queue's bound: "pause" reading (default), or "drop_oldest"."""
    streaming: bool
    """Whether messages of any size are received, piece by piece as they come, by `receive_stream`.
    `read_limit` then bounds what is joined to whole messages, and `receive_queue_bytes` what waits,
    also of what is inflated; `read_timeout` is the wait for each piece. Not together with
    `receive_overflow="drop_oldest"`; for threads, and not for `wsfast.connect`. Default False."""
    control_messages: bool
    """Whether pings and pongs that have come are received too, in order among the messages, as
    `wsfast.codec.Ping` and `Pong`; pings are answered all the same. At the receive queue's bounds
    they count as messages do. Not for `wsfast.connect`. Default False. Seed 002."""
    ssl_context: "ssl.SSLContext | None"
    """TLS settings. None: a verifying context for wss:// (client), no TLS (server)."""


class ClientOptionsDict(OptionsDict, total=False):
    """Options of clients, as callers pass them."""

    verify: bool
    """Whether to verify certificate and host name; False contradicts `ssl_context`."""
    server_name: str | None
    """The name for TLS (SNI, certificate) in place of the URL's host. RFC 6066, section 3."""
    origin: str | None
    """The Origin header; None (default) sends none. RFC 6455, section 4.1."""
    user_agent: str | None
    """The User-Agent header; None sends none. Default "wsfast/<version>"."""
    proxy: str | bool | None
    """The proxy: an http, https, socks4, socks4a, socks5 or socks5h URL; True (default) takes the
    environment's, see `wsfast.protocol.proxy`; None or False connects directly."""
    proxy_ssl_context: "ssl.SSLContext | None"
    """TLS settings for an https proxy; None (default) verifies its certificate."""
    max_redirects: int
    """Redirects of the handshake to follow, 0 (default) to 20, see `wsfast.protocol.redirects`."""


class ServerOptionsDict(OptionsDict, total=False):
    """Options of servers, as callers pass them."""

    origins: Sequence[str] | None
    """Origins that may connect, see `OriginPolicy`. Default None: the same origin. Seed 003."""
    max_connections: int
    """Connections at a time, handshakes included. Default 1000."""
    server_header: str | None
    """The Server header; None (default) sends none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Checked options that clients and servers share; `OptionsDict` describes them."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    protocols: tuple[str, ...] = ()
    dial_timeout: float | None = 10.0
    read_timeout: float | None = None
    write_timeout: float | None = 30.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    pong_timeout: float | None = 20.0
    read_limit: int = DEFAULT_READ_LIMIT
    max_fragments: int = 131_072
    compression: Compression = Compression.DISABLED
    compression_threshold: int = DEFAULT_COMPRESSION_THRESHOLD[Compression.DISABLED]
    compression_level: int = 6
    compression_window_bits: int = 12
    receive_queue_messages: int = 65_536
    receive_queue_bytes: int = 32 * 1024 * 1024
    send_queue_messages: int = 65_536
    send_queue_bytes: int = 16 * 1024 * 1024
    send_overflow: SendOverflow = "block"
    receive_overflow: ReceiveOverflow = "pause"
    streaming: bool = False
    control_messages: bool = False
    ssl_context: "ssl.SSLContext | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientOptions(Options):
    """Checked options of a client; `ClientOptionsDict` describes them."""

    verify: bool = True
    server_name: str | None = None
    origin: str | None = None
    user_agent: str | None = f"wsfast/{__version__}"
    proxy: Proxy | bool = True
    proxy_ssl_context: "ssl.SSLContext | None" = None
    max_redirects: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions(Options):
    """Checked options of a server; `ServerOptionsDict` describes them."""

    origins: tuple[str, ...] | None = None
    max_connections: int = 1000
    server_header: str | None = None


def client_options(**options: Unpack[ClientOptionsDict]) -> ClientOptions:
    """Check the options of a client and fill in defaults.

    A User-Agent or Origin among the headers takes the place of the option.

    Raises:
        TypeError: an unknown option or a value of a wrong type.
        InvalidOption: a wrong value, or options that contradict each other. Names the option.
    """
    checked = _checked(options, ClientOptions)
    if checked.get("ssl_context") is not None and checked.get("verify") is False:
        raise InvalidOption("verify=False contradicts ssl_context; set verify_mode there")
    _fit_context(checked, server_side=False)
    _fit_proxy(checked)
    _one_source(checked, "user_agent", "User-Agent")
    _one_source(checked, "origin", "Origin")
    return ClientOptions(**checked)


def server_options(**options: Unpack[ServerOptionsDict]) -> ServerOptions:
    """Check the options of a server and fill in defaults.

    A Server header among the headers takes the place of the option.

    Raises:
        TypeError: an unknown option or a value of a wrong type.
        InvalidOption: a wrong value, or options that contradict each other. Names the option.
    """
    checked = _checked(options, ServerOptions)
    _fit_context(checked, server_side=True)
    _one_source(checked, "server_header", "Server")
    return ServerOptions(**checked)


def _checked(given: Mapping[str, Any], cls: type[Options]) -> dict[str, Any]:
    known = [option.name for option in fields(cls)]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"unknown option {name!r}{hint}")
    checked = {name: _CHECKS[name](value, name) for name, value in given.items()}
    if checked.get("streaming") and checked.get("receive_overflow") == "drop_oldest":
        raise InvalidOption("streaming contradicts receive_overflow='drop_oldest'")
    if checked.get("read_limit") == 0:
        checked["read_limit"] = DEFAULT_READ_LIMIT
    if not checked.get("compression_threshold"):
        compression = checked.get("compression", Compression.DISABLED)
        checked["compression_threshold"] = DEFAULT_COMPRESSION_THRESHOLD[compression]
    return checked


def _one_source(checked: dict[str, Any], option: str, header: str) -> None:
    if any(name.lower() == header.lower() for name, _ in checked.get("headers", ())):
        if checked.get(option) is not None:
            raise InvalidOption(f"{option} and headers both set {header}")
        checked[option] = None


def _fit_context(checked: Mapping[str, Any], *, server_side: bool) -> None:
    if checked.get("ssl_context") is not None:
        checks.context_side(checked["ssl_context"], "ssl_context", server_side=server_side)


def _fit_proxy(checked: Mapping[str, Any]) -> None:
    context, proxy = checked.get("proxy_ssl_context"), checked.get("proxy", True)
    if context is None:
        return
    checks.context_side(context, "proxy_ssl_context", server_side=False)
    if proxy is False or (isinstance(proxy, Proxy) and proxy.scheme != "https"):
        raise InvalidOption("proxy_ssl_context contradicts proxy, which is not an https:// URL")


_count = checks.integer(1, 2**31 - 1)
_size = checks.integer(1, sys.maxsize)
_CHECKS: Mapping[str, checks.Check] = {
    "headers": checks.headers,
    "protocols": checks.protocols,
    "dial_timeout": seconds,
    "read_timeout": seconds,
    "write_timeout": seconds,
    "close_timeout": checks.required_seconds,
    "ping_interval": seconds,
    "pong_timeout": seconds,
    "read_limit": checks.integer(0, MAX_READ_LIMIT),
    "max_fragments": _count,
    "compression": checks.compression,
    "compression_threshold": checks.integer(0, MAX_COMPRESSION_THRESHOLD),
    "compression_level": checks.integer(1, 9),
    "compression_window_bits": checks.integer(9, 15),
    "receive_queue_messages": _count,
    "receive_queue_bytes": _size,
    "send_queue_messages": _count,
    "send_queue_bytes": _size,
    "send_overflow": checks.choice(get_args(SendOverflow)),
    "receive_overflow": checks.choice(get_args(ReceiveOverflow)),
    "streaming": checks.flag,
    "control_messages": checks.flag,
    "ssl_context": checks.context,
    "verify": checks.flag,
    "server_name": checks.optional(checks.server_name),
    "origin": checks.optional(checks.header_value),
    "user_agent": checks.optional(checks.header_value),
    "proxy": checks.proxy,
    "proxy_ssl_context": checks.context,
    "max_redirects": checks.integer(0, 20),
    "origins": checks.optional(checks.origins),
    "max_connections": _count,
    "server_header": checks.optional(checks.header_value),
}
