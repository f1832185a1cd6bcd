"""Patterns of scheme, host and port: of who may connect, and of what may be connected to."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["DEFAULT_PORTS", "IPV6", "PORT", "SCHEME", "HostPattern", "joined"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SCHEME = r"(?P<scheme>[a-z][a-z0-9+.-]*)"
PORT = r"[1-9][0-9]{0,4}"
IPV6 = r"\[[0-9a-f:.]+\]"
_PATTERN = re.compile(rf"(?:{SCHEME}://)?(?P<host>[a-z0-9_.*?-]+|{IPV6})(?::(?P<port>{PORT}|\*))?")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """``host``, ``host:port``, ``scheme://host`` or ``scheme://host:port``. Immutable.

    In the host, ``*`` matches any run of characters, dots included, and ``?`` any one character.
    Without a scheme every one is meant, without a port the scheme's default one; the port ``*``
    means all.
    """

    scheme: str | None
    host: str
    port: int | None
    any_port: bool
    _glob: "re.Pattern[str]"

    @classmethod
    def parse(cls, text: str, normal: Callable[[str], str] = str) -> "HostPattern | None":
        """None for what is no such pattern. Case is ignored; `normal` gives the host the form in
        which it will be compared."""
        parts = _PATTERN.fullmatch(text.lower()) if text.isascii() else None
        if parts is None:
            return None
        any_port = parts["port"] == "*"
        port = int(parts["port"]) if parts["port"] and not any_port else None
        if port is not None and port > 65535:
            return None
        host = normal(parts["host"])
        return cls(
            scheme=parts["scheme"],
            host=host,
            port=port,
            any_port=any_port,
            _glob=joined(re.escape(part).replace(r"\?", ".") for part in host.split("*")),
        )

    def matches(self, scheme: str, host: str, port: int | None) -> bool:
        """Scheme and host in lower case, IPv6 in brackets."""
        return (
            self.scheme in (None, scheme)
            and (self.any_port or port == (self.port or DEFAULT_PORTS.get(scheme)))
            and self._glob.fullmatch(host) is not None
        )


def joined(parts: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> "re.Pattern[str]":
    """Any characters, as few or as many as there are, between regular expressions."""
    first, *others = parts
    if not others:
        return re.compile(first, re.DOTALL | flags)
    *middle, last = others
    # Atomic groups: each middle part is taken where it first occurs, so nothing backtracks far.
    between = "".join(rf"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{between}.*{last}", re.DOTALL | flags)
