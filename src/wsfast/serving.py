"""`wsfast serve`: an ASGI application under uvicorn, with our protocol and with limits."""

import argparse
import re
import signal
from typing import NoReturn

from wsfast.certificates import MissingExtra
from wsfast.opening import FAILED

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "main"]

HELP = "run an ASGI application (extra: uvicorn)"
DESCRIPTION = (
    "Run an ASGI application until Ctrl-C: uvicorn, with our protocol for its WebSockets, pings"
    " every 20 s, and limits to what clients can take up. What this leaves out, `uvicorn --ws"
    " wsfast.uvicorn:WebSocketProtocol` has."
)

_PROTOCOL = "wsfast.uvicorn:WebSocketProtocol"
_PATIENCE = 10
"""Seconds in which connections can end when the server does."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds all arguments but host and port."""
    command.add_argument(
        "app", metavar="MODULE:APP", type=_application,
        help="where the application is, such as chat:app; looked for in this folder, too",
    )  # fmt: skip
    command.add_argument(
        "--workers", metavar="N", type=_count, default=1,
        help="how many processes serve; what one knows the others do not (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--max-connections", metavar="N", type=_count, default=10_000,
        help="at once, in each worker; what is more gets 503 (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--max-size", metavar="BYTES", type=_count, default=1024 * 1024,
        help="of a message that is received (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--compression", action="store_true", help="compress messages where clients agree to it"
    )
    command.add_argument("--certfile", metavar="FILE", help="a certificate in PEM form, for TLS")
    command.add_argument("--keyfile", metavar="FILE", help="its key, if that is in another file")


def main(args: argparse.Namespace) -> int:
    """Serves until a signal comes."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("this needs uvicorn: pip install 'wsfast[uvicorn]'") from None
    signal.signal(signal.SIGTERM, _end)
    try:
        uvicorn.run(
            args.app,
            host=args.host,
            port=args.port,
            ws=_PROTOCOL,
            workers=args.workers,
            app_dir=".",
            limit_concurrency=args.max_connections,
            ws_max_size=args.max_size,
            ws_per_message_deflate=args.compression,
            timeout_graceful_shutdown=_PATIENCE,
            server_header=False,
            ssl_certfile=args.certfile,
            ssl_keyfile=args.keyfile,
        )
    except SystemExit as exit_:
        return FAILED if exit_.code else 0
    return 0


def _end(number: int, frame: object) -> NoReturn:
    # uvicorn sends a signal that has ended it once more, to who was there before.
    raise SystemExit(0)


def _application(text: str) -> str:
    if not re.fullmatch(r"[\w.]+:[\w.]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form MODULE:APP")
    return text


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 999999999")
    return int(text)
