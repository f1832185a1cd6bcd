"""HTTP header fields: a multi-map for those received, checks for those to be sent (RFC 9110)."""

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias, overload

from wsfast.protocol.errors import InvalidOption

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A pattern for the tokens of RFC 9110, section 5.6.2."""

_TOKEN = re.compile(TOKEN)
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OWNED_BY_HANDSHAKE = frozenset(
    {
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "content-length",
        "transfer-encoding",
    }
)


class Headers:
    """An immutable, ordered multi-map of header fields; names compare without case.

    It holds what it is given, unchecked. Iteration and `len` count each name once, as spelt
    where it first occurs; `items` and `raw` hold every field. Safe to use from any thread.
    """

    __slots__ = ("_index", "_raw")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._raw = [(name, value) for name, value in pairs]
        self._index: dict[str, list[str]] = {}
        for name, value in self._raw:
            self._index.setdefault(name.lower(), []).append(value)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: None) -> str | None: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a name, or the default."""
        values = self._index.get(name.lower())
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """Return every value of a name in order; a new list, empty where there is none."""
        return list(self._index.get(name.lower(), ()))

    def items(self) -> Iterator[tuple[str, str]]:
        """Iterate over every field in order, repeated names included."""
        return iter(self._raw)

    @property
    def raw(self) -> list[tuple[str, str]]:
        """Every field in order, in a new list."""
        return list(self._raw)

    def __getitem__(self, name: str) -> str:
        return self._index[name.lower()][0]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        spelt: dict[str, str] = {}
        for name, _ in self._raw:
            spelt.setdefault(name.lower(), name)
        return iter(spelt.values())

    def __len__(self) -> int:
        return len(self._index)

    def __eq__(self, other: object) -> bool:
        return self._index == other._index if isinstance(other, Headers) else NotImplemented

    __hash__: ClassVar[None]  # type: ignore[assignment]  # mypy has no other way to say so

    def __reduce__(self) -> tuple[type["Headers"], tuple[list[tuple[str, str]]]]:
        return Headers, (self._raw,)

    def __repr__(self) -> str:
        return f"Headers({self._raw!r})"


HeadersLike: TypeAlias = Headers | Mapping[str, str] | Iterable[tuple[str, str]]


def check_headers(value: HeadersLike, option: str) -> list[tuple[str, str]]:
    """Check header fields that the application wants to send; a name may be repeated.

    Values are those of RFC 9110, section 5.5, in Latin-1; white space around them is removed.

    Args:
        option: the option that errors name.

    Raises:
        TypeError: neither a mapping nor pairs, or a name or value that is no str.
        InvalidOption: a name that is no token, a value with CR, LF, NUL or another control
            character but tab or outside Latin-1, a field that belongs to the opening handshake
            itself, or more than one Host.
    """
    checked = []
    hosts = 0
    for name, field_value in _pairs(value, option):
        check_token(name, f"{option}: name")
        lowered = name.lower()
        if lowered in _OWNED_BY_HANDSHAKE:
            raise InvalidOption(f"{option}: {name} is set by the opening handshake itself")
        hosts += lowered == "host"
        checked.append((name, check_value(field_value, f"{option}: value of {name}")))
    if hosts > 1:
        raise InvalidOption(f"{option}: Host may be given only once")
    return checked


def check_value(value: str, what: str) -> str:
    """Check one field value and return it without the white space around it.

    Raises:
        TypeError: not a str.
        InvalidOption: see `check_headers`. The text does not quote the value, often a secret.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    if _FORBIDDEN_IN_VALUE.search(value):
        raise InvalidOption(f"{what} holds a control character")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidOption(f"{what} holds a character outside Latin-1") from None
    return value.strip(" \t")


def check_token(value: str, what: str) -> str:
    """Return the value if it is a token of RFC 9110, section 5.6.2.

    Raises:
        TypeError: not a str.
        InvalidOption: not a token.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    if not _TOKEN.fullmatch(value):
        raise InvalidOption(f"{what} {reprlib.repr(value)} is not an HTTP token")
    return value


def split_tokens(value: str) -> list[str]:
    """Split a comma-separated field value (RFC 9110, section 5.6.1), without empty elements.

    The case is kept, and elements are not checked. Linear in time.
    """
    return [element for part in value.split(",") if (element := part.strip(" \t"))]


def _pairs(value: object, option: str) -> Iterator[tuple[Any, Any]]:
    expected = f"{option} must be a mapping or pairs of str"
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{expected}, not {type(value).__name__}")
    if isinstance(value, Headers | Mapping):
        yield from value.items()
        return
    for pair in value:
        # A str of two letters would unpack as well.
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{expected}; {type(pair).__name__} is no pair")
        yield pair[0], pair[1]
