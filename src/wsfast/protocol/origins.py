"""Which web pages may connect: the check of the Origin header (RFC 6455, section 10.2)."""

import re
from collections.abc import Sequence

from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.patterns import DEFAULT_PORTS, IPV6, PORT, SCHEME, HostPattern

_HOST = rf"(?P<host>[a-z0-9_-]++(?:\.[a-z0-9_-]++)*+\.?|{IPV6})"
_ORIGIN = re.compile(rf"{SCHEME}://{_HOST}(?::(?P<port>{PORT}))?")
_HOST_HEADER = re.compile(rf"{_HOST}(?::(?P<port>{PORT}))?")
# The longest DNS name with room for scheme and port; more is no browser's.
_MAX_LENGTH = 512


class OriginPolicy:
    """Decides by the Origin header whether a handshake may go on.

    A request without Origin does not come from a browser's page and always passes. Otherwise:

    - The pattern ``*`` alone allows every Origin, ``null`` and malformed ones included.
    - An Origin must be ``scheme://host`` or ``scheme://host:port`` and nothing else: ``null``,
      an empty value, user info, a path, a port of 0 or white space are refused.
    - With no patterns (None), the Origin must be http or https and have the host and port of the
      Host header; a port left out of either is the default port of the Origin's scheme.
    - With patterns, one of them must match; the server's own origin is not added to them.
      ``host``, ``host:port`` match any scheme, ``scheme://host``, ``scheme://host:port`` that
      scheme only. In the host, ``*`` matches any run of characters, dots included, and ``?`` any
      one character. A pattern without a port matches the scheme's default port only; the port
      ``*`` matches all.

    So ``https://*.example.com`` allows subdomains at any depth, but neither ``example.com`` nor
    ``evil-example.com``. Case is ignored. A trailing dot is part of the host, as in browsers:
    ``https://example.com.`` is not ``https://example.com``.

    Immutable, and safe to use from any thread.

    Raises:
        TypeError: the patterns are a str, or not a sequence of str.
        InvalidOption: a pattern that could never match, such as one with a path.
    """

    __slots__ = ("_any", "_rules")

    def __init__(self, patterns: Sequence[str] | None) -> None:
        self._rules: list[HostPattern] | None = None
        self._any = False
        if patterns is None:
            return
        if isinstance(patterns, str) or not isinstance(patterns, Sequence):
            raise TypeError(
                f"origins must be a sequence of str or None, not {type(patterns).__name__}"
            )
        for pattern in patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"origins must hold str, not {type(pattern).__name__}")
        self._any = "*" in patterns
        self._rules = [_rule(pattern) for pattern in patterns]

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Tell whether a request may connect.

        Args:
            origin: the value of the Origin header, None where there is none.
            host: the value of the Host header, None where there is none.
        """
        if origin is None or self._any:
            return True
        # Some letters outside ASCII are ASCII in lower case.
        if len(origin) > _MAX_LENGTH or not origin.isascii():
            return False
        match = _ORIGIN.fullmatch(origin.lower())
        if match is None:
            return False
        scheme, name = match["scheme"], match["host"]
        port = _port(match, scheme)
        if self._rules is None:
            return scheme in ("http", "https") and _same(scheme, name, port, host)
        return any(rule.matches(scheme, name, port) for rule in self._rules)


def _port(match: re.Match[str], scheme: str) -> int | None:
    return int(match["port"]) if match["port"] else DEFAULT_PORTS.get(scheme)


def _same(scheme: str, name: str, port: int | None, host: str | None) -> bool:
    match = _HOST_HEADER.fullmatch(host.lower()) if host and host.isascii() else None
    return match is not None and match["host"] == name and _port(match, scheme) == port


def _rule(pattern: str) -> HostPattern:
    parsed = HostPattern.parse(pattern)
    if parsed is None:
        raise InvalidOption(
            f"origins: {pattern!r} is not a pattern such as 'https://*.example.com' or "
            "'localhost:*'; hosts outside ASCII stand in xn-- form"
        )
    return parsed
