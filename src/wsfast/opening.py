"""Opening a connection from the command line: the options for it, and what to say if it fails."""

import argparse
import ssl

from wsfast.protocol.durations import seconds
from wsfast.protocol.errors import (
    CertificateError,
    ConnectError,
    ConnectTimeout,
    InvalidOption,
    InvalidURL,
    ProxyError,
    StatusError,
    TLSError,
)
from wsfast.protocol.options import ClientOptions, client_options
from wsfast.protocol.url import URL, parse_url
from wsfast.threads.client import connect
from wsfast.threads.connection import Connection

__all__ = [
    "FAILED",
    "WRONG_USAGE",
    "Opening",
    "Problem",
    "add_arguments",
    "duration",
]

FAILED, WRONG_USAGE = 1, 2

NOT_VERIFIED = "Warning: the certificate is not verified, anybody may be listening"


class Problem(Exception):
    """What the user is told in one line: what is wrong and what to do about it."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the URL, and all options that have to do with reaching it."""
    command.add_argument("url", metavar="URL", help="such as ws://localhost:8765/")
    command.add_argument(
        "--header", metavar="'NAME: VALUE'", type=_header, action="append", default=[],
        help="a header of the opening request; may be given several times",
    )  # fmt: skip
    command.add_argument(
        "--protocol", metavar="NAME", action="append", default=[],
        help="a subprotocol to offer, the preferred one first; may be given several times",
    )  # fmt: skip
    trust = command.add_mutually_exclusive_group()
    trust.add_argument(
        "--cafile", metavar="PATH", type=_trusting,
        help="trust the certificate authorities in this PEM file, and no others",
    )  # fmt: skip
    trust.add_argument(
        "--insecure", action="store_true", help="do not verify the certificate (for tests only)"
    )
    command.add_argument(
        "--timeout", metavar="DURATION", type=duration, default="10s",
        help="for the whole opening: DNS, TCP, TLS, upgrade (default: %(default)s)",
    )  # fmt: skip


def duration(text: str) -> float:
    """Seconds; always above zero."""
    try:
        return seconds(text, "it") or 0.0
    except InvalidOption as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("it: ")) from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} has no colon; write 'Name: value'")
    return name.strip(), value.strip()


def _trusting(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise argparse.ArgumentTypeError(f"{path} holds no certificate in PEM form") from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None


class Opening:
    """Where to, and how."""

    url: URL
    options: ClientOptions
    warning: str
    """What is to be said before a connection is opened; may be empty."""

    def __init__(self, args: argparse.Namespace, **more: object) -> None:
        """`args` as `add_arguments` has them parsed; `more` are further options of a client.

        Raises `Problem`.
        """
        command = f"wsfast {args.command}"
        try:
            self.url = parse_url(args.url)
            self.options = client_options(
                headers=args.header,
                protocols=args.protocol,
                dial_timeout=args.timeout * 1000,
                verify=not args.insecure,
                ssl_context=args.cafile,
                **more,  # type: ignore[arg-type]  # checked there
            )
        except InvalidURL as error:
            example = f"{command} ws://localhost:8765/"
            raise Problem(f"{error}. Try: {example}", WRONG_USAGE) from None
        except InvalidOption as error:
            raise Problem(f"{error}. See: {command} --help", WRONG_USAGE) from None
        self.warning = NOT_VERIFIED if args.insecure and self.url.secure else ""

    def connect(self) -> Connection:
        """An open connection. Raises `Problem`."""
        try:
            return connect(self.url, self.options)
        except (ConnectError, InvalidURL) as error:
            raise Problem(f"{error}. {_advice(error)}") from None


def _advice(error: ConnectError | InvalidURL) -> str:
    if isinstance(error, ProxyError | InvalidURL):
        return "The environment names that proxy; no_proxy='*' in it goes without"
    if isinstance(error, ConnectTimeout):
        return "Check the address, or give it longer: --timeout 30s"
    if isinstance(error, CertificateError):
        return "Name who issued it by --cafile PATH; --insecure skips the check, for tests"
    if isinstance(error, TLSError):
        return "If the server speaks no TLS, use ws://"
    if isinstance(error, StatusError):
        if error.status in (401, 403):
            return "Some servers want a token: --header 'Authorization: Bearer ...'"
        return "Check the path of the URL"
    if "connection refused" in str(error):
        return "Is the server running? To start one here: wsfast echo"
    return "Check host and port, and that a WebSocket server is there"
