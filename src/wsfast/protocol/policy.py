"""Security policies: which connections may be opened (seed 001, "Permissions").

Those that count for an opening are a matter of `wsfast.protocol.scope`, which drivers ask.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from wsfast.protocol.errors import InvalidOption, PermissionDenied
from wsfast.protocol.url import URL
from wsfast.protocol.url_patterns import URLPattern

__all__ = ["Action", "Check", "Policy", "Rule", "allow", "deny"]


class Action(StrEnum):
    """What a policy decides about (seed 001)."""

    CONNECT = "websocket.connect"
    """Opening connections at all."""
    CONNECT_URL = "websocket.connect.url"
    """Opening one to a certain URL."""


Check: TypeAlias = Callable[[Action, URL | None], bool | None]
"""Decides in code: True allows, False denies, None leaves it to the rules.

For `Action.CONNECT` the URL is None. Otherwise look at its `host`, `port`, `secure` and `target`;
the text of a URL is easily misread.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy; `allow` and `deny` make them. Immutable, safe to use from any thread.

    Raises:
        TypeError: a wrong type; no pattern where there must be one, or one where there can be none.
        InvalidOption: an unknown action, or what is no pattern.
    """

    allowed: bool
    action: str
    """An `Action`, or its name."""
    urls: tuple[str, ...] = ()
    """Patterns, see `wsfast.protocol.url_patterns.URLPattern`; at least one for
    "websocket.connect.url", none for the other. They are read widely where the rule denies."""
    _patterns: tuple[URLPattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks all fields."""
        if not isinstance(self.allowed, bool):
            raise TypeError(f"allowed must be a bool, not {type(self.allowed).__name__}")
        if not isinstance(self.urls, tuple):
            raise TypeError(f"urls must be a tuple, not {type(self.urls).__name__}")
        if not isinstance(self.action, str):
            raise TypeError(f"action must be a str, not {type(self.action).__name__}")
        if self.action not in [*Action]:
            raise InvalidOption(f"action must be one of {', '.join(Action)}")
        if self.action == Action.CONNECT and self.urls:
            raise TypeError(f"{self.action} has no URL; {Action.CONNECT_URL} has")
        if self.action == Action.CONNECT_URL and not self.urls:
            raise TypeError(f"{self.action} needs a URL pattern; '*' means every URL")
        patterns = tuple(URLPattern.parse(url, wide=not self.allowed) for url in self.urls)
        object.__setattr__(self, "_patterns", patterns)

    def covers(self, action: Action, url: URL | None) -> bool:
        """Whether the rule says something about that."""
        if action != self.action:
            return False
        return url is None or any(pattern.matches(url) for pattern in self._patterns)


def allow(action: str, *urls: str) -> Rule:
    """Make a rule that allows: `allow("websocket.connect.url", "wss://*.example.com")`.

    Raises as `Rule` does.
    """
    return Rule(True, action, urls)


def deny(action: str, *urls: str) -> Rule:
    """Make a rule that denies, whatever else allows; as `allow`."""
    return Rule(False, action, urls)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be connected to. Immutable, and safe to use from any thread.

    Asked about "websocket.connect" first, and then about "websocket.connect.url" with the URL; both
    must be allowed. What a rule or `check` denies is denied, whatever else allows it; what nothing
    allows is denied too. So a policy without rules allows nothing (seed 001).

    Raises:
        TypeError: a wrong type.
    """

    rules: Sequence[Rule] = ()
    """In any order; `allow` and `deny` make them."""
    allow_private: bool = field(default=False, kw_only=True)
    """Whether to connect to addresses that are not of the public Internet: private, loopback,
    link-local, shared, reserved and multicast ones, also where an IPv6 address has one of these
    inside. It counts for what a name turns out to mean as for an address in the URL."""
    check: Check | None = field(default=None, kw_only=True)
    """Asked after the rules, unless they deny, on the thread that opens the connection. What it
    raises, or returns but a bool or None, refuses the connection. No timeout bounds it, so it
    should not block."""

    def __post_init__(self) -> None:
        """Checks all fields."""
        if not isinstance(self.rules, Iterable):
            raise TypeError(f"rules must be a sequence of Rule, not {type(self.rules).__name__}")
        object.__setattr__(self, "rules", tuple(self.rules))
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise TypeError(f"rules must hold Rule, not {type(rule).__name__}")
        if not isinstance(self.allow_private, bool):
            raise TypeError(
                f"allow_private must be a bool, not {type(self.allow_private).__name__}"
            )
        if self.check is not None and not callable(self.check):
            raise TypeError(f"check: {self.check!r} is not callable")

    def demand(self, action: Action, url: URL | None = None) -> None:
        """Return if that is allowed.

        Raises:
            PermissionDenied: it is not. The text has no more of the URL than scheme, host and port.
        """
        verdicts: set[bool | None] = {
            rule.allowed for rule in self.rules if rule.covers(action, url)
        }
        if False not in verdicts and self.check is not None:
            verdicts.add(_ask(self.check, action, url))
        if False in verdicts:
            raise PermissionDenied(f"denied by a security policy: {_named(action, url)}")
        if True not in verdicts:
            raise PermissionDenied(f"not allowed by a security policy: {_named(action, url)}")


def _ask(check: Check, action: Action, url: URL | None) -> bool | None:
    try:
        verdict = check(action, url)
        if verdict is not None and not isinstance(verdict, bool):
            raise TypeError(f"it returned {type(verdict).__name__}, not bool or None")
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        raise PermissionDenied(
            f"refused, as the check of a security policy failed: {_named(action, url)}: "
            f"{type(exc).__name__}: {exc}"
        ) from exc
    return verdict


def _named(action: Action, url: URL | None) -> str:
    if url is None:
        return action
    scheme = "wss" if url.secure else "ws"
    return f"{action} {scheme}://{url.host_header}"
