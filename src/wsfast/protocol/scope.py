"""Which security policies count for an opening, and what a driver asks them.

A driver takes the `Scope` of who calls it, asks `Scope.admit` about the URL before it does anything
for the connection, asks the `Guard` that it gets about the target of each redirect, and connects to
no address that the guard has not let pass.

What is set for the whole process is read and replaced in one step; no lock is needed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from wsfast.protocol.addresses import is_public
from wsfast.protocol.errors import NoContext, PermissionDenied
from wsfast.protocol.policy import Action, Policy
from wsfast.protocol.url import URL

__all__ = ["Guard", "Scope", "get_global", "require_policy", "set_global", "use"]

_Address = TypeVar("_Address", bound=tuple[Any, Any])


class Guard:
    """The policies that count for one opening. Immutable."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._policies = policies

    def admit(self, url: URL) -> None:
        """Return if the URL may be connected to.

        Raises:
            PermissionDenied: it may not.
        """
        for policy in self._policies:
            policy.demand(Action.CONNECT)
        for policy in self._policies:
            policy.demand(Action.CONNECT_URL, url)

    @property
    def public_only(self) -> bool:
        """Whether `permitted` leaves addresses out, so that they must be known before connecting:
        a proxy is not to be given a name then, but an address."""
        return not all(policy.allow_private for policy in self._policies)

    def permitted(self, host: str, addresses: list[_Address]) -> list[_Address]:
        """Those of the addresses that may be connected to: what has been looked at is what the
        driver connects to.

        Args:
            host: whose addresses they are.
            addresses: address families and socket addresses, as `socket.getaddrinfo` has them.

        Raises:
            PermissionDenied: there are none.
        """
        if not self.public_only:
            return addresses
        public = [address for address in addresses if is_public(str(address[1][0]))]
        if not public:
            raise PermissionDenied(
                f"refused by a security policy: {host} has no address of the public Internet"
            )
        return public


@dataclass(frozen=True, slots=True)
class Scope:
    """The policies of a context. Immutable."""

    _policies: tuple[Policy, ...]

    @classmethod
    def current(cls) -> "Scope":
        """That of who calls."""
        return cls(_context.get())

    def enter(self) -> None:
        """Make it the scope of the current context: for a new thread, which has a context of its
        own."""
        _context.set(self._policies)

    def admit(self, url: URL) -> Guard:
        """The guard for one opening, which has let the URL pass. The process's own policy counts as
        it is now.

        Raises:
            PermissionDenied: it has not.
            NoContext: there is no policy, though there must be one.
        """
        everywhere = _global
        policies = self._policies if everywhere is None else (*self._policies, everywhere)
        if _required and not policies:
            raise NoContext("there is no security policy, and without one no connection is opened")
        guard = Guard(policies)
        guard.admit(url)
        return guard


@contextmanager
def use(policy: Policy) -> Iterator[None]:
    """Within the block, openings must be allowed by the policy, and by those of the blocks around
    it: a block can take rights away, never give any.

    It counts where context variables do (PEP 567): in the block, in the asyncio tasks that begin in
    it, and in threads that are given a copy of its context, which `threading` does by itself on
    free-threaded Python from 3.14 on. Of the ID API it counts for all that becomes of a connection:
    further attempts (`reconnect=`) and what its callbacks open.

    Raises:
        TypeError: no `Policy`.
    """
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy, not {type(policy).__name__}")
    token = _context.set((*_context.get(), policy))
    try:
        yield
    finally:
        _context.reset(token)


def set_global(policy: Policy | None) -> None:
    """Let a policy count for every opening of the process from now on, beside those of `use`; with
    None there is no such policy. Thread-safe.

    Connections that are open are not touched; it counts when they are opened again (`reconnect=`).

    Raises:
        TypeError: neither a `Policy` nor None.
    """
    global _global
    if policy is not None and not isinstance(policy, Policy):
        raise TypeError(f"policy must be a Policy or None, not {type(policy).__name__}")
    _global = policy


def get_global() -> Policy | None:
    """What `set_global` has set. Thread-safe."""
    return _global


def require_policy(required: bool = True) -> None:
    """Let no connection be opened without a policy: with neither one of `use` nor a global one,
    opening raises `NoContext`. Off by default; for the whole process. Thread-safe.

    Raises:
        TypeError: no bool.
    """
    global _required
    if not isinstance(required, bool):
        raise TypeError(f"required must be a bool, not {type(required).__name__}")
    _required = required


_context: ContextVar[tuple[Policy, ...]] = ContextVar("wsfast security policies", default=())
_global: Policy | None = None
_required = False
