"""WebSocket URLs (RFC 6455, section 3; RFC 3986).

Parsed by hand: `urllib.parse.urlsplit` drops tabs and line breaks silently, which turns a refused
injection into a different URL.
"""

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

from wsfast.protocol.errors import InvalidURL

MAX_LENGTH = 8192
"""Characters in a URL, and bytes in a request target; HTTP servers accept no more."""

_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-z0-9_-]{1,63}"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# RFC 3986's pchar and query, and the brackets that query strings carry raw everywhere.
_TARGET_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})|[^%A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]")
# Python's codec is IDNA 2003, which maps these to other names than browsers and IDNA 2008 do.
_IDNA_DEVIATIONS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")


@dataclass(frozen=True, slots=True)
class URL:
    """A parsed WebSocket URL. Immutable. Its `repr` and `str` hold no password."""

    secure: bool
    """True for wss."""
    host: str
    """To connect to: a name in ASCII (IDNA), an IPv4 address, or an IPv6 one without brackets."""
    port: int
    target: str
    """Path and query as they stand in the request line, percent-encoded; at least ``"/"``."""
    host_header: str
    """Value of the Host header: without the scheme's default port, IPv6 in brackets."""
    credentials: tuple[str, str] | None = field(repr=False)
    """User and password, percent-decoded; None where the URL has none."""
    text: str = field(repr=False)
    """The URL as it was given, password included."""

    @property
    def server_name(self) -> str:
        """The name for TLS (SNI and certificate): the host without the root's trailing dot."""
        return self.host.removesuffix(".")

    @property
    def redacted(self) -> str:
        """The URL as it was given, with ``***`` for the password; for logs."""
        before, authority, after = _cut(self.text)
        userinfo, at, address = authority.rpartition("@")
        if not at:
            return self.text
        user, colon, _ = userinfo.partition(":")
        return f"{before}{user}{colon}{'***' if colon else ''}@{address}{after}"

    def __str__(self) -> str:
        return self.redacted


def parse_url(url: str) -> URL:
    """Parse a ws:// or wss:// URL.

    Spaces and characters outside ASCII in path and query are percent-encoded as UTF-8; ``%XX``
    is kept and a stray ``%`` becomes ``%25``.

    Raises:
        TypeError: not a str.
        InvalidURL: anything that is no WebSocket URL. The text never quotes the URL, whose parts
            may be a mistyped password.
    """
    check_characters(url)
    if "#" in url:
        raise InvalidURL("a WebSocket URL has no fragment; write # as %23")
    scheme = _scheme(url)
    _, authority, rest = _cut(url)
    credentials, host, port = parse_authority(authority)
    default_port = _DEFAULT_PORTS[scheme]
    shown_host = f"[{host}]" if ":" in host else host
    return URL(
        secure=scheme == "wss",
        host=host,
        port=default_port if port is None else port,
        target=_target(rest),
        host_header=shown_host if port in (None, default_port) else f"{shown_host}:{port}",
        credentials=credentials,
        text=url,
    )


def check_characters(url: str) -> None:
    """Check what holds for URLs of every scheme.

    Raises:
        TypeError: not a str.
        InvalidURL: too long, or characters that no URL may hold.
    """
    if not isinstance(url, str):
        raise TypeError(f"URL must be a str, not {type(url).__name__}")
    if len(url) > MAX_LENGTH:
        raise InvalidURL(f"URL is longer than {MAX_LENGTH} characters")
    if _FORBIDDEN.search(url):
        raise InvalidURL("URL holds a control character or a backslash")
    if not url.isascii() and any("\ud800" <= char <= "\udfff" for char in url):
        raise InvalidURL("URL holds a lone surrogate, which UTF-8 cannot encode")


def parse_authority(authority: str) -> tuple[tuple[str, str] | None, str, int | None]:
    """Parse what stands between ``://`` and the path: user and password, host, port.

    Raises:
        InvalidURL: anything that is not of that form.
    """
    userinfo, at, address = authority.rpartition("@")
    if "@" in userinfo:
        raise InvalidURL("URL has more than one @ before its path; write @ in a password as %40")
    host, port = _address(address)
    return _credentials(userinfo) if at else None, host, port


def ascii_host(host: str) -> str:
    """Normalise a host name or IPv4 address: lower case, IDNA for what is not ASCII.

    Raises:
        InvalidURL: no host name, or a number that only looks like an IPv4 address.
    """
    if _IDNA_DEVIATIONS.search(host):
        raise InvalidURL("host holds a character that IDNA versions disagree on; use xn-- form")
    # Longer than any name in DNS, and the codec takes quadratic time.
    if len(host) > 254:
        raise InvalidURL("host is longer than a DNS name can be")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidURL("host is no valid internationalised name") from None
    host = host.lower()
    # Checked after IDNA too, because it maps some characters to delimiters.
    if not _HOST_NAME.fullmatch(host) or len(host.removesuffix(".")) > 253:
        raise InvalidURL("host is no valid name")
    if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        # "127.1" and "2130706433" would reach 127.0.0.1 past every policy that reads the URL.
        try:
            IPv4Address(host)
        except AddressValueError:
            raise InvalidURL("host is no valid IPv4 address") from None
    return host


def _cut(url: str) -> tuple[str, str, str]:
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    return scheme + separator, authority, rest[len(authority) :]


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        given = f"{scheme}:// is not a WebSocket scheme: " if scheme in ("http", "https") else ""
        raise InvalidURL(f"{given}use ws:// or wss://")
    return scheme


def _address(address: str) -> tuple[str, int | None]:
    if address.startswith("["):
        literal, bracket, after = address[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise InvalidURL("URL has a malformed IPv6 address")
        host, colon, port = _ipv6(literal), after[:1], after[1:]
    else:
        name, colon, port = address.partition(":")
        if ":" in port:
            raise InvalidURL("URL has a malformed host; IPv6 addresses stand in brackets")
        if not name:
            raise InvalidURL("URL has no host")
        host = ascii_host(_percent_decoded(name, "host"))
    if not colon:
        return host, None
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise InvalidURL("URL has an invalid port; it must be a number from 1 to 65535")
    return host, int(port)


def _ipv6(literal: str) -> str:
    # ipaddress accepts any text as the zone after a percent sign.
    if "%" in literal:
        raise InvalidURL("URL has an IPv6 address with a zone, which is not supported")
    try:
        return str(IPv6Address(literal))
    except AddressValueError:
        raise InvalidURL("URL has a malformed IPv6 address") from None


def _target(rest: str) -> str:
    target = _TARGET_ESCAPED.sub(_escape, rest if rest.startswith("/") else "/" + rest)
    if len(target) > MAX_LENGTH:
        raise InvalidURL(f"path and query are longer than {MAX_LENGTH} bytes when encoded")
    return target


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _credentials(userinfo: str) -> tuple[str, str] | None:
    user, _, password = userinfo.partition(":")
    user, password = _percent_decoded(user, "user"), _percent_decoded(password, "password")
    if _CONTROL.search(user + password):
        raise InvalidURL("user or password holds a control character")
    if ":" in user:
        raise InvalidURL("user holds a colon, which HTTP authentication cannot express")
    return (user, password) if userinfo else None


def _percent_decoded(text: str, what: str) -> str:
    if _STRAY_PERCENT.search(text):
        raise InvalidURL(f"{what} has a malformed percent-encoding; write % as %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidURL(f"{what} has a percent-encoding that is not UTF-8") from None
