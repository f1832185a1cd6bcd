"""Whether and where a client follows a redirect of its handshake (RFC 9110, section 15.4).

Off unless `max_redirects` allows it, as RFC 6455 (section 4.1) leaves it to the client. What is
secret goes to the origin (scheme, host, port) that it was meant for, and no further. An
`ssl_context` counts for every target: its client certificate, if it has one, is shown to each that
asks for one.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from wsfast.protocol.errors import InvalidURL, RedirectError
from wsfast.protocol.headers import Headers
from wsfast.protocol.options import ClientOptions
from wsfast.protocol.url import URL, parse_url

__all__ = ["Hop", "follow"]

STATUSES = frozenset({301, 302, 303, 307, 308})
"""Those that say where to go instead. A handshake is a GET, so they all mean the same."""

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_SCHEME_ALONE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!//)")
_FOR_ONE_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization", "host"})


@dataclass(frozen=True, slots=True)
class Hop:
    """What to connect to, and how; `followed` redirects have led here."""

    url: URL
    options: ClientOptions
    followed: int = 0


def follow(status: int, headers: Headers, hop: Hop) -> Hop | None:
    """Where to go on from `hop` after an answer; None if the answer is no redirect, or redirects
    are off.

    For another origin the headers Authorization, Cookie, Proxy-Authorization and Host and the
    URL's user and password are left behind, for another host `server_name` too. What has been
    left behind does not come back, even if a later redirect leads to the first origin again.

    Raises:
        RedirectError: too many, from wss:// to ws://, to no WebSocket URL, or to one with a user
            or password, which are not the server's to choose.
    """
    locations = headers.get_all("Location")
    if status not in STATUSES or not locations or not hop.options.max_redirects:
        return None
    if hop.followed >= hop.options.max_redirects:
        raise RedirectError(f"more redirects than max_redirects, {hop.options.max_redirects}")
    if len(locations) > 1:
        raise RedirectError("the server redirects to several places at once")
    url, options = _resolve(locations[0], hop.url), hop.options
    if url.credentials is not None:
        raise RedirectError("redirect refused: its URL holds a user or password")
    if hop.url.secure and not url.secure:
        raise RedirectError("redirect refused: it leads from wss:// to ws://, without encryption")
    if _origin(url) == _origin(hop.url):
        url = replace(url, credentials=hop.url.credentials)
    else:
        kept = [field for field in options.headers if field[0].lower() not in _FOR_ONE_ORIGIN]
        options = replace(options, headers=tuple(kept))
    if url.host != hop.url.host:
        options = replace(options, server_name=None)
    return Hop(url, options, hop.followed + 1)


def _origin(url: URL) -> tuple[bool, str, int]:
    return url.secure, url.host, url.port


def _resolve(location: str, base: URL) -> URL:
    """The URL that a Location means, relative to what was asked for (RFC 3986, section 5)."""
    # Before urljoin, which drops some of what a URL may not hold, and takes `ws:x` for a path.
    if not location.isascii() or not location.isprintable() or "#" in location:
        raise RedirectError("redirect refused: its URL holds what no WebSocket URL may hold")
    if _SCHEME_ALONE.match(location):
        raise RedirectError("redirect refused: it leads to no WebSocket URL")
    scheme = "wss" if base.secure else "ws"
    try:
        joined = urljoin(f"{scheme}://{base.host_header}{base.target}", location)
        given, separator, rest = joined.partition("://")
        return parse_url(_SCHEMES.get(given.lower(), given) + separator + rest)
    except ValueError as error:  # InvalidURL is one, and urljoin knows others
        detail = error if isinstance(error, InvalidURL) else "malformed"
        raise RedirectError(f"redirect refused: it leads to no WebSocket URL: {detail}") from None
