"""Asking an HTTP proxy for a tunnel (RFC 9110, section 9.3.6; RFC 6455, section 4.1)."""

import base64

import h11

from wsfast.protocol.errors import ProxyError
from wsfast.protocol.http1 import MAX_HEAD_BYTES, HTTPReader, Pairs, brief, encode
from wsfast.protocol.proxy import Proxy

__all__ = ["ProxyConnect"]


class ProxyConnect(HTTPReader):
    """One CONNECT request and its answer; what comes after that is the tunnel's, in `leftover`.

    Only here do the proxy's credentials leave; the server never sees this request.
    """

    def __init__(self, proxy: Proxy, host: str, port: int, user_agent: str | None) -> None:
        """`host` as `URL.host`; it is what the proxy connects to."""
        super().__init__(h11.CLIENT)
        self._proxy = proxy
        self._target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        pairs: Pairs = [("Host", self._target)]
        if user_agent is not None:
            pairs.append(("User-Agent", user_agent))
        if proxy.credentials is not None:
            joined = ":".join(proxy.credentials).encode()
            value = "Basic " + base64.b64encode(joined).decode()
            pairs.append(("Proxy-Authorization", value))
        request = h11.Request(method="CONNECT", target=self._target, headers=encode(pairs))
        self.request_bytes = self._http.send(request) or b""
        self._http.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> bool:
        """Takes what the proxy sent; True once the tunnel is there.

        Raises `ProxyError` if it never will be.
        """
        self._take(data)
        other = self._other_protocol(data)
        if other is not None:
            what = "TLS; use https://" if other.startswith("TLS") else other
            raise self._failure(f"its answer is not valid HTTP: it speaks {what}")
        try:
            event = self._http.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._http.next_event()
        except h11.RemoteProtocolError as exc:
            raise self._failure(f"its answer is not valid HTTP: {brief(exc)}") from exc
        if event is h11.NEED_DATA:
            if self._over_limit():
                raise self._failure(f"its answer is over {MAX_HEAD_BYTES} bytes")
            return False
        assert isinstance(event, h11.Response)  # nothing else can come first
        if not 200 <= event.status_code < 300:
            raise self._refusal(event.status_code, event.reason.decode("latin-1"))
        self.leftover = self._http.trailing_data[0]
        return True

    def eof(self) -> ProxyError:
        """The error for a proxy that closed the connection before its answer was whole."""
        return ProxyError(f"{self._proxy} closed the connection before it answered")

    def _failure(self, text: str) -> ProxyError:
        return ProxyError(f"{self._proxy}: {text}", retryable=False)

    def _refusal(self, status: int, reason: str) -> ProxyError:
        answer = f"{status} {reason}".rstrip()
        if status != 407:
            text = f"{self._proxy} answered HTTP {answer} when asked for {self._target}"
        elif self._proxy.credentials is None:
            text = f"{self._proxy} asks for a user and password (HTTP {answer})"
        else:
            text = f"{self._proxy} did not accept the user and password (HTTP {answer})"
        return ProxyError(text, status=status, retryable=status >= 500)
