"""Checks of single option values: each takes a value and the option's name for errors.

They return the value in the form that the rest of the package uses. A wrong type is a
`TypeError`, a wrong value `InvalidOption`; both name the option.
"""

from collections.abc import Callable, Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any, TypeAlias

from wsfast.protocol.constants import Compression
from wsfast.protocol.durations import seconds
from wsfast.protocol.errors import InvalidOption, InvalidURL
from wsfast.protocol.headers import check_headers, check_token, check_value
from wsfast.protocol.origins import OriginPolicy
from wsfast.protocol.proxy import Proxy, parse_proxy
from wsfast.protocol.url import ascii_host

if TYPE_CHECKING:
    import ssl

Check: TypeAlias = Callable[[Any, str], Any]


def integer(least: int, most: int) -> Check:
    """Make a check for an int within bounds, both included."""

    def check(value: Any, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if not least <= value <= most:
            raise InvalidOption(f"{name} must be between {least} and {most}")
        return value

    return check


def real(least: float, most: float) -> Check:
    """Make a check for a number within bounds, both included."""

    def check(value: Any, name: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
        if not least <= value <= most:  # which NaN is not either
            raise InvalidOption(f"{name} must be between {least} and {most}")
        return value

    return check


def choice(allowed: Sequence[str]) -> Check:
    """Make a check for one of some words."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
        if value not in allowed:
            raise InvalidOption(f"{name} must be one of {', '.join(map(repr, allowed))}")
        return value

    return check


def optional(check: Check) -> Check:
    """Make a check that lets None pass too."""
    return lambda value, name: None if value is None else check(value, name)


def flag(value: Any, name: str) -> bool:
    """Check a bool; other truth values are more likely a mistake."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def compression(value: Any, name: str) -> Compression:
    """Check a `Compression`, also given by its number or its name in any case."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{name} must be a Compression, not {type(value).__name__}")
    try:
        return Compression[value.upper()] if isinstance(value, str) else Compression(value)
    except (KeyError, ValueError):
        names = ", ".join(repr(mode.name.lower()) for mode in Compression)
        raise InvalidOption(f"{name} must be one of {names}") from None


def required_seconds(value: Any, name: str) -> float:
    """Check a duration that may not be None."""
    duration = seconds(value, name)
    if duration is None:
        raise InvalidOption(f"{name} must not be None")
    return duration


def headers(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Check header fields, see `check_headers`."""
    return tuple(check_headers(value, name))


def header_value(value: Any, name: str) -> str:
    """Check the value of one header field, which may not be empty."""
    checked = check_value(value, name)
    if not checked:
        raise InvalidOption(f"{name} must not be empty")
    return checked


def protocols(value: Any, name: str) -> tuple[str, ...]:
    """Check subprotocols: tokens, none twice (RFC 6455, section 4.1)."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a sequence of str, not {type(value).__name__}")
    tokens = tuple(check_token(token, f"{name}: subprotocol") for token in value)
    if len(set(tokens)) < len(tokens):
        raise InvalidOption(f"{name} holds a subprotocol twice")
    return tokens


def origins(value: Any, _name: str) -> tuple[str, ...]:
    """Check origin patterns by building their `OriginPolicy`, whose errors say "origins"."""
    OriginPolicy(value)
    return tuple(value)


def server_name(value: Any, name: str) -> str:
    """Check a host name or IP address, without brackets, for TLS."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        return str(IPv6Address(value)) if ":" in value else ascii_host(value)
    except (AddressValueError, InvalidURL) as error:
        raise InvalidOption(f"{name}: {error}") from None


def proxy(value: Any, name: str) -> Proxy | bool:
    """Check a proxy's URL; True for the environment's proxy, False and None for none."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, a bool or None, not {type(value).__name__}")
    try:
        return parse_proxy(value)
    except InvalidURL as error:
        raise InvalidOption(f"{name}: {error}") from None


def context(value: Any, name: str) -> "ssl.SSLContext | None":
    """Check an SSLContext; `ssl` is imported only where one may be given."""
    if value is None:
        return None
    import ssl

    if not isinstance(value, ssl.SSLContext):
        raise TypeError(f"{name} must be an ssl.SSLContext, not {type(value).__name__}")
    return value


def context_side(value: "ssl.SSLContext", name: str, *, server_side: bool) -> None:
    """Refuse a context made for the other side, which would fail at every handshake."""
    import ssl

    wrong = ssl.PROTOCOL_TLS_CLIENT if server_side else ssl.PROTOCOL_TLS_SERVER
    if value.protocol == wrong:
        raise InvalidOption(f"{name} is for the other side: {wrong.name}")
