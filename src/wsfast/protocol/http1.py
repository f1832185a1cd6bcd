"""What all who speak HTTP/1.1 here share: bytes into h11, bounded (RFC 9112)."""

from typing import TypeAlias

import h11

from wsfast.protocol.headers import Headers

__all__ = ["MAX_HEAD_BYTES", "HTTPReader", "Pairs", "brief", "decode", "encode"]

Pairs: TypeAlias = list[tuple[str, str]]

MAX_HEAD_BYTES = 32 * 1024
"""Of one HTTP head, and of all that comes before the upgrade."""

MAX_QUOTED = 200
"""Characters of what is wrong with a peer's HTTP, in errors and in the response that says so."""

_HTTP = b"HTTP/"
_TLS_RECORDS = (b"\x15", b"\x16")  # alert, handshake (RFC 8446, section 5.1)


def decode(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    """The header fields of an event, their names spelt as they came."""
    pairs = event.headers.raw_items()
    return Headers([(name.decode("ascii"), value.decode("latin-1")) for name, value in pairs])


def encode(pairs: Pairs) -> list[tuple[bytes, bytes]]:
    """Header fields in the form that h11 takes."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]


def brief(error: h11.ProtocolError) -> str:
    """What is wrong; h11 quotes whole lines, which are as long as the peer likes."""
    text = str(error)
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "..."


class HTTPReader:
    """Bytes into h11, bounded. What follows the HTTP messages is nobody's business here: it ends
    in `leftover`."""

    def __init__(self, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self._http = h11.Connection(role, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._received = 0
        self._start = b""
        self.leftover = b""

    def release(self) -> None:
        """Lets go of what only reading and answering take: nothing more will be."""
        del self._http

    def _take(self, data: bytes) -> None:
        if data:  # nothing would mean the end to h11
            self._received += len(data)
            self._http.receive_data(data)

    def _over_limit(self) -> bool:
        return self._received > MAX_HEAD_BYTES

    def _other_protocol(self, data: bytes) -> str | None:
        """For clients: what the answer speaks if not HTTP, by its first bytes. h11 waits for the
        end of a head, which servers of other protocols never send."""
        self._start += data[: len(_HTTP) - len(self._start)]
        if _HTTP.startswith(self._start):
            return None
        return "TLS; use wss://" if self._start[:1] in _TLS_RECORDS else "another protocol"
