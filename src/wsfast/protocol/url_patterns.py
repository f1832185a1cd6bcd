"""Patterns of URLs, as security policies have them.

They are compared with what a URL means, not with its text: with the scheme, host, port and path
that it was parsed into. So neither user information nor case, percent-encodings, the spelling of an
address or a default port make a difference.
"""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

from wsfast.protocol.addresses import real_address
from wsfast.protocol.errors import InvalidOption, InvalidURL
from wsfast.protocol.patterns import HostPattern, joined
from wsfast.protocol.url import URL, ascii_host

__all__ = ["URLPattern"]

_PARTS = re.compile(r"((?:[^/]*://)?[^/]*)(/[^?#\\\x00-\x1f\x7f]*)?")
_LIKE_IPV4 = re.compile(r"[0-9.*?]*[0-9][0-9.*?]*")
_ENCODED_DOT = re.compile(r"%2[Ee]")
# What servers do not agree about: encoded separators, percent signs and control characters,
# parameters, empty segments, and segments that stand for a directory.
_UNCLEAR = re.compile(r"%(?:2[Ff5]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])|;|//|/\.\.?(?:/|$)")


@dataclass(frozen=True, slots=True)
class URLPattern:
    """``*`` alone for every URL, or ``[scheme://]host[:port][/path]``. Immutable.

    - The scheme is ws or wss; without one, both are meant.
    - In the host, ``*`` matches any run of characters, dots included, and ``?`` any one: so
      ``*.example.com`` matches subdomains at any depth, but neither ``example.com`` nor
      ``evil-example.com``. Case is ignored, and a dot at the end. Digits and dots, as in ``10.*``,
      match IPv4 addresses only, and an address matches in whatever way it is written. Hosts outside
      ASCII stand in xn-- form. Names are not looked up.
    - Without a port the scheme's default one is meant, 80 or 443; the port ``*`` means all.
    - In the path, ``*`` matches any run of characters, slashes included; without a path, every one
      is meant. Case counts, ``%XX`` does not. The query is never looked at. What servers read in
      different ways, such as ``/public/..%2Fadmin``, ``//admin`` or ``/admin;a``, matches no path.

    A pattern that is read widely, as where it denies, matches more if in doubt: without a port all
    of them, paths in upper or lower case, and those that servers read in different ways.
    """

    _host: HostPattern | None
    _ipv4: bool = False
    _path: "re.Pattern[str] | None" = None
    _wide: bool = False

    @classmethod
    def parse(cls, text: str, *, wide: bool = False) -> "URLPattern":
        """Parse a pattern; `wide` says how it is read.

        Raises:
            TypeError: not a str.
            InvalidOption: no such pattern, or one that could never match.
        """
        if not isinstance(text, str):
            raise TypeError(f"a URL pattern must be a str, not {type(text).__name__}")
        if text == "*":
            return cls(None)
        parts = _PARTS.fullmatch(text)
        try:
            host = HostPattern.parse(parts[1], _pattern_host) if parts else None
            path = _path_pattern(parts[2], wide) if parts and parts[2] else None
        except InvalidURL as error:
            raise InvalidOption(f"URL pattern {text!r}: {error}") from None
        if host is None or host.scheme not in (None, "ws", "wss"):
            raise InvalidOption(
                f"{text!r} is not a URL pattern such as 'wss://*.example.com/feed/*'; it has no "
                "user, query or fragment, and hosts outside ASCII stand in xn-- form"
            )
        if wide and host.port is None:
            host = replace(host, any_port=True)
        return cls(host, _LIKE_IPV4.fullmatch(host.host) is not None, path, wide)

    def matches(self, url: URL) -> bool:
        """Tell whether the pattern means a URL."""
        if self._host is None:
            return True
        host = _url_host(url)
        if self._ipv4 and not host.replace(".", "").isdigit():
            return False
        if not self._host.matches("wss" if url.secure else "ws", host, url.port):
            return False
        if self._path is None:
            return True
        path = _decoded(url.target.partition("?")[0])
        return self._wide if path is None else self._path.fullmatch(path) is not None


def _pattern_host(host: str) -> str:
    """The host of a pattern as `_url_host` has hosts. Raises `InvalidURL` if there is none such."""
    if host.startswith("["):
        address = real_address(host[1:-1])
        if address is None:
            raise InvalidURL("malformed IPv6 address")
        return _shown(address)
    name = host.removesuffix(".")
    if "*" not in name and "?" not in name:
        return ascii_host(name)
    if not all(name.split(".")):
        raise InvalidURL("its host has an empty part")
    return name


def _url_host(url: URL) -> str:
    address = real_address(url.host)
    return url.server_name if address is None else _shown(address)


def _shown(address: IPv4Address | IPv6Address) -> str:
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)


def _path_pattern(pattern: str, wide: bool) -> "re.Pattern[str]":
    if _decoded(pattern) is None:
        raise InvalidURL("servers do not agree about what its path means, so it matches none")
    flags = re.IGNORECASE if wide else re.NOFLAG
    return joined((re.escape(unquote(part)) for part in pattern.split("*")), flags)


def _decoded(path: str) -> str | None:
    """None for what servers do not agree about."""
    if _UNCLEAR.search(_ENCODED_DOT.sub(".", path)):
        return None
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
