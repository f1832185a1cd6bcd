"""SOCKS4, 4a and 5, by python-socks: our socket, our deadline, its protocol."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from wsfast.protocol.errors import ProxyError
from wsfast.protocol.proxy import Proxy, socks_failure

__all__ = ["check_socks", "socks_client", "socks_failures"]


def check_socks(proxy: Proxy) -> None:
    """Raises `ProxyError` if python-socks is not installed."""
    try:
        importlib.import_module("python_socks")
    except ImportError as exc:
        text = f"{proxy} needs python-socks: pip install wsfast[proxy]"
        raise ProxyError(text, retryable=False) from exc


def socks_client(flavour: str, proxy: Proxy, forward: object) -> Any:
    """A `Proxy` of `python_socks.<flavour>`: its `connect(host, port)` asks the proxy at the other
    end of what `forward.connect()` gives. Raises `ProxyError` if python-socks is not installed."""
    check_socks(proxy)
    python_socks = importlib.import_module("python_socks")
    kinds = python_socks.ProxyType
    user, password = proxy.credentials or (None, None)
    return importlib.import_module(f"python_socks.{flavour}").Proxy(
        kinds.SOCKS4 if proxy.scheme.startswith("socks4") else kinds.SOCKS5,
        proxy.host,
        proxy.port,
        user,
        password,
        rdns=True,  # a name that is to be looked up on this side has been
        forward=forward,
    )


@contextlib.contextmanager
def socks_failures(proxy: Proxy) -> Iterator[None]:
    """Around its `connect`: raises `ProxyError`, and `TimeoutError` as it came."""
    python_socks = importlib.import_module("python_socks")
    try:
        yield
    except python_socks.ProxyTimeoutError as exc:
        raise exc.__cause__ or exc from None
    except python_socks.ProxyError as exc:
        if type(exc.__cause__).__name__ == "IncompleteReadError":
            raise ProxyError(f"{proxy} closed the connection before it answered") from exc
        raise socks_failure(proxy, str(exc), exc.error_code) from exc
    except ValueError as exc:  # it decodes all of a reply before it looks at it
        raise socks_failure(proxy, "malformed reply", None) from exc
