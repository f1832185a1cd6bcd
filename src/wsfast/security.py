"""Policies for outgoing connections (seed 001, "Permissions").

    from wsfast import security
    from wsfast.security import allow, deny

    policy = security.Policy([
        allow("websocket.connect"),
        allow("websocket.connect.url", "wss://*.example.com", "wss://example.org/feed/*"),
        deny("websocket.connect.url", "internal.example.com"),
    ])
    with security.use(policy):
        ...  # connections opened here; or everywhere: security.set_global(policy)

Without any policy everything is allowed. With one, a connection is opened only if it allows both
actions, "websocket.connect" and then "websocket.connect.url" with the URL; several must all do so.
Each target of a redirect is asked about anew. Unless the policy says `allow_private=True`, only
addresses of the public Internet are connected to: names are looked up once, and of what they mean
nothing is tried that is not such an address.

What is refused raises `wsfast.errors.PermissionDenied` before a byte is sent, and for a URL before
its name is looked up. `wsfast.connect` returns 0 if that is known at once, and tells the rest by
`on_error`. It is not tried again.

With a proxy, the policy decides about the server, not about the proxy, which is for the program to
choose. While only public addresses are allowed, names are looked up here all the same, and the
proxy is asked for an address that has been checked, whatever its kind. In a network where only the
proxy can look up names, that fails; `allow_private=True` leaves it to the proxy.
"""

from wsfast.protocol.policy import Action, Check, Policy, Rule, allow, deny
from wsfast.protocol.scope import get_global, require_policy, set_global, use
from wsfast.protocol.url import URL

__all__ = [
    "URL",
    "Action",
    "Check",
    "Policy",
    "Rule",
    "allow",
    "deny",
    "get_global",
    "require_policy",
    "set_global",
    "use",
]
