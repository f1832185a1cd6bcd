"""Which proxy leads to a server: the one that an option names, or the environment's.

The environment is read as `curl` reads it, with what browsers add:

- for wss:// the first that is set of `wss_proxy`, `https_proxy`, `all_proxy`, `socks_proxy`; for
  ws:// of `ws_proxy`, `http_proxy`, `all_proxy`, `socks_proxy`. Lower case goes before upper case.
  So a WebSocket takes the way that the web pages it belongs to take. A value without a scheme is
  an http proxy, or a socks5h proxy in `socks_proxy`.
- `no_proxy` lists, between commas or spaces, what is connected to directly: `*` for everything,
  host names, which stand for their subdomains too (a leading `.` or `*.` changes nothing), IP
  addresses, and networks such as `10.0.0.0/8`. With `:port` at its end an entry counts for that
  port only; an IPv6 address then stands in brackets. Names are not looked up for that.
- Loopback (`localhost` and its subdomains, 127.0.0.0/8, ::1) never goes through the environment's
  proxy, to which it would mean another machine.
- On macOS and Windows the system's settings count if no such variable is set.

A proxy that is named by the option is used for every server.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from wsfast.protocol.errors import InvalidURL, ProxyError
from wsfast.protocol.url import URL, check_characters, parse_authority

__all__ = ["Proxy", "choose_proxy", "parse_proxy", "proxy_target", "socks_failure"]

_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
_FOR_WS = ("ws", "http", "all", "socks")
_FOR_WSS = ("wss", "https", "all", "socks")
_AUTHORITY = re.compile(r"([^/?#]*)/?")
_ENTRY_WITH_PORT = re.compile(r"(\[.+\]|[^:]+):([0-9]+)")
_SOCKS_TEXT = re.compile(r"[\x21-\x7e]{1,255}")

# RFC 1928, section 6, and SOCKS4's 91: what may be otherwise the next time.
_SOCKS_PASSES = frozenset({1, 3, 4, 5, 6, 91})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. Immutable. Its `repr` and `str` hold neither user nor password."""

    scheme: str
    """http, https, socks4, socks4a, socks5 or socks5h."""
    host: str
    """As `URL.host`."""
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User and password, percent-decoded; None where the URL has none."""

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.scheme.startswith("socks")

    @property
    def resolves(self) -> bool:
        """Whether it looks up the server's name itself."""
        return self.scheme not in ("socks4", "socks5")

    @property
    def address(self) -> str:
        """Host and port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"proxy {self.scheme}://{self.address}"


def parse_proxy(text: str, default_scheme: str | None = None) -> Proxy:
    """Parse the URL of a proxy; without a scheme it has the default one.

    Raises:
        TypeError: not a str.
        InvalidURL: anything that is no such URL, or credentials that the proxy's protocol cannot
            carry. The text quotes neither.
    """
    check_characters(text)
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator and default_scheme is not None:
        scheme, rest = default_scheme, text
    if scheme not in _DEFAULT_PORTS:
        raise InvalidURL(f"a proxy URL begins with one of {', '.join(_DEFAULT_PORTS)} and ://")
    authority = _AUTHORITY.fullmatch(rest)
    if authority is None:
        raise InvalidURL(
            "a proxy URL ends after its port; write / ? # in a password as %2F %3F %23"
        )
    credentials, host, port = parse_authority(authority[1])
    if credentials is not None:
        _check_credentials(scheme, *credentials)
    return Proxy(scheme, host, port or _DEFAULT_PORTS[scheme], credentials)


def _check_credentials(scheme: str, user: str, password: str) -> None:
    if scheme.startswith("socks4"):
        if password or not _SOCKS_TEXT.fullmatch(user):
            raise InvalidURL("SOCKS4 knows a user of 1 to 255 ASCII characters, and no password")
    elif scheme.startswith("socks5") and not (
        _SOCKS_TEXT.fullmatch(user) and _SOCKS_TEXT.fullmatch(password)
    ):
        raise InvalidURL("SOCKS5 needs user and password of 1 to 255 ASCII characters each")


# ---------------------------------------------------------------- the choice


def choose_proxy(url: URL, option: Proxy | bool) -> Proxy | None:
    """The proxy for a server, as the option `proxy` says; None to connect directly.

    Reads the environment, and on macOS and Windows the system's settings. Thread-safe.

    Raises:
        InvalidURL: what the environment names is no proxy's URL.
    """
    if isinstance(option, Proxy):
        return option
    return _from_environment(url) if option else None


def _from_environment(url: URL) -> Proxy | None:
    if _is_loopback(url.host):
        return None
    from urllib import request  # takes longer to import than all else here

    settings = request.getproxies_environment()
    if not settings:
        settings = request.getproxies()
        if not settings or request.proxy_bypass(url.host):
            return None
    elif _is_exempt(url, settings.get("no", "")):
        return None
    name = next((name for name in (_FOR_WSS if url.secure else _FOR_WS) if name in settings), None)
    if name is None:
        return None
    text = settings[name]
    if name == "socks":
        text = text.removeprefix("http://")  # macOS calls every proxy so
    try:
        return parse_proxy(text, "socks5h" if name == "socks" else "http")
    except InvalidURL as error:
        raise InvalidURL(f"{name}_proxy in the environment: {error}") from None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None  # a name


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return f".{host.removesuffix('.')}".endswith(".localhost")


def _is_exempt(url: URL, no_proxy: str) -> bool:
    return any(_covers(entry, url) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _covers(entry: str, url: URL) -> bool:
    """Whether one entry of `no_proxy` means the server of `url`."""
    if entry == "*":
        return True
    with_port = _ENTRY_WITH_PORT.fullmatch(entry)
    if with_port is not None:
        if int(with_port[2]) != url.port:
            return False
        entry = with_port[1]
    address = _address(url.host)
    if address is not None:
        try:
            return address in ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            return False  # a name, or no entry at all
    name = entry.removeprefix("*").strip(".")
    return bool(name) and f".{url.host.removesuffix('.')}".endswith(f".{name}")


# ---------------------------------------------------------------- what it is asked for


def proxy_target(proxy: Proxy, url: URL, addresses: list[str]) -> str:
    """The host to ask a proxy for: one of the server's addresses if they have been looked up,
    which they must have been for a proxy that takes no names; otherwise what the URL says.

    Raises:
        ProxyError: the proxy's protocol has no form for any of them.
    """
    candidates = addresses or [url.host]
    if proxy.scheme.startswith("socks4"):
        candidates = [host for host in candidates if ":" not in host]
        if not candidates:
            text = f"{proxy} cannot reach {url.host_header}: SOCKS4 knows no IPv6; use socks5"
            raise ProxyError(text, retryable=False)
    return candidates[0]


def socks_failure(proxy: Proxy, text: str, code: int | None) -> ProxyError:
    """The error for a SOCKS proxy that refused; `code` is its reply."""
    return ProxyError(f"{proxy}: {text[:1].lower()}{text[1:]}", retryable=code in _SOCKS_PASSES)
