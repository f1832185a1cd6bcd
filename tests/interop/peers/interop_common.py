"""What the peers written in Python share, and what the tests compare their reports with.

A peer is a process that knows one WebSocket library. It serves, and connects as a client when it
is told to. Each line it prints is a JSON object: first where it listens, then a report on every
connection that has ended, under the token that the test gave the connection. Each line it reads is
a job for its client. It ends with its standard input.
"""

import hashlib
import itertools
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from traceback import format_exception
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Message = str | bytes

SUBPROTOCOL = "chat.v2"
"""The only one that the peers' servers choose."""

_TEXT = "aé€😀"  # characters of 1, 2, 3 and 4 bytes
_BINARY = bytes(range(251))  # out of step with every power of two


def payload(kind: str, size: int) -> Message:
    """A message of `size` bytes, as a peer in any language makes it too."""
    if kind == "text":
        unit = len(_TEXT.encode())
        return _TEXT * (size // unit) + "." * (size % unit)
    return (_BINARY * (size // len(_BINARY) + 1))[:size]


def digest(message: Message) -> list[Any]:
    """Kind, bytes and hash of a message."""
    kind, data = ("text", message.encode()) if isinstance(message, str) else ("binary", message)
    return [kind, len(data), hashlib.sha256(data).hexdigest()]


def pieces(message: Message) -> list[Any]:
    """The message cut into four, one of them empty."""
    third = len(message) // 3
    return [message[:third], message[third:third], message[third : 2 * third], message[2 * third :]]


def cut(message: Message) -> list[bytes]:
    """The bytes of the message cut into seven, in the midst of characters; some are empty."""
    data = message.encode() if isinstance(message, str) else message
    size = len(data)
    ends = sorted([min(1, size), size // 5, size // 5, 3 * size // 5, max(0, size - 1), size, size])
    return [data[start:end] for start, end in itertools.pairwise([0, *ends])]


_writing = threading.Lock()


def say(**entry: Any) -> None:
    """Prints one line for the test. Thread-safe."""
    with _writing:
        sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()


@dataclass
class Report:
    """What a peer saw of one connection."""

    token: str
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    extensions: str = ""
    deflate: Mapping[str, Any] | None = None
    """What it believes was agreed on for compression: see `deflate_idea`."""
    received: list[list[Any]] = field(default_factory=list)

    @classmethod
    def of_request(
        cls, target: str, headers: Iterable[tuple[str, str]], subprotocol: str | None
    ) -> "Report":
        """Of a connection to the peer's server; the token stands in the query."""
        url = urlsplit(target)
        lowered = {name.lower(): value for name, value in headers}
        return cls(parse_qs(url.query)["token"][0], url.path, lowered, subprotocol)

    def got(self, message: Message) -> None:
        """Notes a message that has arrived."""
        self.received.append(digest(message))

    def closed(self, code: int | None, reason: str | None) -> None:
        """Tells the test, with the close frame that the peer has received."""
        say(**vars(self), close=[code, reason or ""])


def deflate_idea(sends: tuple[int, bool], reads: tuple[int, bool]) -> dict[str, Any]:
    """For each direction, the binary logarithm of the window, and if it is kept between messages:
    what a peer compresses with, and what it inflates with."""
    return {"sends": sends, "reads": reads}


Compression = dict[str, Any] | bool | None
"""How a peer is to compress: the library's own options by their own names; False for not at all,
None for what is usual here."""


def compression_for(target: str) -> Compression:
    """How the peer's server is to compress; that stands in the query, too."""
    (given,) = parse_qs(urlsplit(target).query).get("compression", ["null"])
    compression: Compression = json.loads(given)
    return compression


@dataclass
class Job:
    """What the peer's client is to do."""

    token: str
    url: str
    way: str
    """"whole", "fragments", or "pings": a ping, and its pong, before each message."""
    messages: list[Message] | None
    """To be sent one by one, each after the answer to the one before. None: the server sends, and
    what it sends is answered as the peer's server would at `way`, until the server closes."""
    close: tuple[int, str] | None
    """How to close at the end; None to wait for the server to do so."""
    subprotocols: list[str] | None
    headers: Mapping[str, str]
    compression: Compression

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: object, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Tells the test about an exception; then the peer goes on with the next job."""
        if not isinstance(exc, Exception):
            return False
        say(token=self.token, error="".join(format_exception(exc)))
        return True


def jobs() -> Iterable[Job]:
    """Those that come on standard input, until its end."""
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        if job["messages"] is not None:
            job["messages"] = [payload(*message) for message in job["messages"]]
        yield Job(**job)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server and for the client, from the files that the command line names."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(sys.argv[1])
    return server, ssl.create_default_context(cafile=sys.argv[2])


class Listener(NamedTuple):
    """Where a server is to serve."""

    scheme: str
    host: str
    port: int
    sock: socket.socket


def listen() -> list[Listener]:
    """Both schemes on both addresses of the loopback; no IPv6 if the system has none."""
    listeners = []
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        for scheme in ("ws", "wss"):
            try:
                sock = _listen(host, family)
            except OSError:
                if family is socket.AF_INET:
                    raise
            else:
                listeners.append(Listener(scheme, host, sock.getsockname()[1], sock))
    return listeners


def _listen(host: str, family: socket.AddressFamily) -> socket.socket:
    # With the protocol named, which create_server does not, or asyncio leaves Nagle's algorithm on.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.bind((host, 0))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def ready(version: str, listeners: list[Listener]) -> None:
    """Tells the test that the server serves, and where."""
    say(version=version, ports={f"{at.scheme} {at.host}": at.port for at in listeners})
