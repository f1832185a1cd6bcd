"""The command line: `python -m wsfast` or `wsfast`.

Exit status: 0 if all ended as it should, 1 if something failed, 2 for a wrong command line, 130 if
Ctrl-C came before there was a connection.
"""

import argparse
import contextlib
import ipaddress
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from queue import Empty, SimpleQueue
from typing import NoReturn, TextIO

from wsfast import bench, demo, serving
from wsfast._version import __version__
from wsfast.certificates import LOCAL_NAMES, MissingExtra, ThrowAway
from wsfast.interactive import POLL, Screen, Session, harmless, silence
from wsfast.opening import FAILED, WRONG_USAGE, Opening, Problem, add_arguments, duration
from wsfast.server import Connection, serve

__all__ = ["main"]

INTERRUPTED = 130

logger = logging.getLogger("wsfast.echo")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; the usage, which can be long, is where the line says."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {harmless(message)}. See: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status. `argv` is what follows the program's name."""
    sys.stdout, sys.stderr = _harmless_stream(sys.stdout), _harmless_stream(sys.stderr)
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return WRONG_USAGE
    try:
        status: int = args.run(args)
    except (Problem, MissingExtra) as problem:
        print(f"wsfast: {harmless(str(problem))}", file=sys.stderr)
        return getattr(problem, "status", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        silence()
        return FAILED
    return status


def _harmless_stream(stream: TextIO | None) -> TextIO:
    """A standard stream that does not end the program."""
    if stream is None:  # the shell has closed it
        return open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # the terminal's encoding may lack something
    return stream


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wsfast", description="Speak WebSocket (RFC 6455).")
    parser.add_argument("--version", action="version", version=f"wsfast {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    command = commands.add_parser(
        "connect",
        help="connect to a server: type a line to send it, see what comes",
        description="Connect to a server. Each line that is typed or piped in is sent as a text"
        " message; /help lists the commands for everything else. What comes is printed, a line"
        " for each message; if the output is no terminal it holds the messages alone, binary ones"
        " as hexadecimal digits.",
    )
    add_arguments(command)
    command.add_argument(
        "--wait", metavar="DURATION", type=duration, default="1s",
        help="how long to listen on when piped input has ended (default: %(default)s)",
    )  # fmt: skip
    command.set_defaults(run=_connect)

    command = commands.add_parser(
        "echo",
        help="run an echo server until Ctrl-C",
        description="Run a server that sends back what it receives, until Ctrl-C.",
    )
    _add_address(command, 8765)
    command.add_argument(
        "--tls", action="store_true", help="wss:// with a throw-away certificate (extra: cli)"
    )
    command.set_defaults(run=_echo)

    command = commands.add_parser("serve", help=serving.HELP, description=serving.DESCRIPTION)
    serving.add_arguments(command)
    _add_address(command, 8000)
    command.set_defaults(run=serving.main)

    command = commands.add_parser("bench", help=bench.HELP, description=bench.DESCRIPTION)
    bench.add_arguments(command)
    command.set_defaults(run=bench.main)

    command = commands.add_parser(
        "demo",
        help="echo over ws:// and wss:// and measure it",
        description="Start an echo server in a process of its own, exchange messages of many sizes"
        " with it over ws:// and wss://, compare every byte, and measure speed. Takes about ten"
        " seconds.",
    )
    command.set_defaults(run=lambda args: demo.main())
    return parser


def _add_address(command: argparse.ArgumentParser, port: int) -> None:
    command.add_argument("--host", default="localhost", help="where to listen (default: localhost)")
    command.add_argument(
        "--port", type=_port, default=port, help="default: %(default)s; 0: any free one"
    )


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 65535")
    return int(text)


# -------------------------------------------------------------- connect


def _connect(args: argparse.Namespace) -> int:
    opening = Opening(args)
    screen = Screen()
    if opening.warning:
        screen.note(opening.warning)
    connection = opening.connect()
    protocol = f", subprotocol {connection.subprotocol}" if connection.subprotocol else ""
    hint = "; /help lists the commands" if screen.prompts else ""
    greeting = f"Connected to {harmless(opening.url.redacted)}{protocol}{hint}"
    return Session(connection, screen, args.wait).run(greeting)


# -------------------------------------------------------------- echo


def _echo(args: argparse.Namespace) -> int:
    _log_to_stderr()
    stop = _stop_signals()
    with contextlib.ExitStack() as stack:
        context, authority = None, None
        if args.tls:
            identity = ThrowAway.issue(*_certificate_names(args.host))
            context = identity.server_context
            authority = stack.enter_context(_temporary_file(identity.authority_pem))
        try:
            # Whoever echoes has nothing to protect: pages from anywhere may connect.
            server = serve(_handle, args.host, args.port, ssl_context=context, origins=["*"])
        except OSError as error:
            raise Problem(
                f"cannot listen on {args.host} port {args.port}: {error.strerror}."
                " Choose another one by --host or --port; --port 0 finds a free one"
            ) from None
        stack.enter_context(server)
        url = _url(args.host, server.port, secure=args.tls)
        print(f"Echo server listening on {url}")
        if authority is not None:
            print(f"Its throw-away certificate is issued by {authority}, for this run only")
        trust = f" --cafile {authority}" if authority is not None else ""
        print(f"To connect: wsfast connect {url}{trust}")
        print("To stop: Ctrl-C", flush=True)
        _wait_for(stop)
        logger.info("stopping: every connection is closed with 1001")
    return 0


class _HarmlessFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        return harmless(super().formatMessage(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_HarmlessFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger("wsfast")
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _stop_signals() -> "SimpleQueue[int]":
    """Where SIGINT (Ctrl-C) and SIGTERM go from now on. A second one ends the program at once."""
    came: SimpleQueue[int] = SimpleQueue()

    def take(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        came.put(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, take)
    return came


def _wait_for(stop: "SimpleQueue[int]") -> None:
    while True:
        try:
            stop.get(timeout=POLL)
        except Empty:
            continue
        return


def _certificate_names(host: str) -> list[str]:
    return list(dict.fromkeys([*LOCAL_NAMES, *([] if _is_wildcard(host) else [host])]))


def _is_wildcard(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _url(host: str, port: int, *, secure: bool) -> str:
    if _is_wildcard(host):
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{shown}:{port}/"


@contextlib.contextmanager
def _temporary_file(data: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="wsfast-") as folder:
        path = os.path.join(folder, "ca.pem")
        with open(path, "wb") as file:
            file.write(data)
        yield path


def _handle(connection: Connection) -> None:
    who = _peer(connection)
    path = connection.request.path if connection.request is not None else "?"
    logger.info("%s connected, path %s", who, path)
    messages = 0
    try:
        for message in connection:
            messages += 1
            connection.send(message)
    finally:
        logger.info("%s closed with %s, messages: %d", who, connection.close_code, messages)


def _peer(connection: Connection) -> str:
    match connection.remote_address:
        case (str() as host, int() as port, *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "somebody"
