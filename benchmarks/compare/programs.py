"""Who is measured: the client programs of this folder, and what each can do."""

import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scenarios import Scenario

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "benchmarks"
LIMIT = "c"
REFERENCE = "picows"

_ALL = ("echo", "request", "received", "sent", "connects", "idle")
_CALLBACKS = ("echo", "received", "sent", "connects", "idle")


@dataclass(frozen=True)
class Measured:
    """A program: a library, and the way in which it is used."""

    name: str
    about: str
    file: str = ""  # none for the one in C
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # that must be installed
    extras: tuple[str, ...] = ()  # that make it faster where they are installed
    cannot: str = ""  # what it leaves undone that others do
    variant: bool = False  # only where it is asked for by its name

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if not _installed(name)]

    @property
    def versions(self) -> dict[str, str]:
        names = [*self.packages, *(name for name in self.extras if _installed(name))]
        return {name: importlib.metadata.version(name) for name in names}


@dataclass(frozen=True)
class Program(Measured):
    """A client program, in clients/."""

    tasks: tuple[str, ...] = _CALLBACKS
    deflate: bool = False  # can compress
    plain: bool = True  # is measured without compression too
    many: bool = True  # connections at once
    instead: dict[str, str] = field(default_factory=dict)  # of a task that it does not know

    def takes(self, scenario: Scenario) -> bool:
        task = self.instead.get(scenario.task, scenario.task)
        return (
            task in self.tasks
            and (self.deflate if scenario.deflate else self.plain)
            and (self.many or scenario.connections == 1)
        )

    def command(self, scenario: Scenario) -> list[str]:
        task = self.instead.get(scenario.task, scenario.task)
        start = (
            [sys.executable, str(HERE / "clients" / self.file)]
            if self.file
            else [str(BUILD / "limit")]
        )
        return [*start, "--task", task, *self.arguments]


AnyProgram = TypeVar("AnyProgram", bound=Measured)


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


_ON_UVLOOP = ("uvloop", "aiofastnet")

_AIOHTTP = {
    "file": "aiohttp_client.py",
    "packages": ("aiohttp", "zlib-ng", *_ON_UVLOOP),
    "deflate": True,
    "cannot": "masking keys from a Mersenne Twister; compresses at level 1",
}
_WEBSOCKETS = {
    "file": "websockets_asyncio.py",
    "packages": ("websockets", *_ON_UVLOOP),
    "deflate": True,
}
_PICOWS = {
    "file": "picows_core.py",
    "packages": ("picows", *_ON_UVLOOP),
    "cannot": "checks UTF-8 only where text is asked for, and not the order of fragments; "
    "masking keys from libc's rand()",
    "instead": {"request": "echo"},
}

PROGRAMS = [
    Program(LIMIT, "C, the least possible work", tasks=("echo", "request", "received", "sent",
            "connects"), cannot="checks nothing; one masking key"),
    Program("wsfast", "ID API, callbacks", "wsfast_callbacks.py", packages=("wsfast",),
            extras=("zlib-ng",), deflate=True),
    Program("wsfast-level-1", "the same, compressing at level 1", "wsfast_callbacks.py",
            ("--level", "1"), packages=("wsfast",), extras=("zlib-ng",), deflate=True, plain=False),
    Program("wsfast-zlib", "the same without its extra `speed`", "wsfast_zlib.py",
            packages=("wsfast",), deflate=True, plain=False),
    Program("wsfast-polled", "ID API, get_messages each millisecond", "wsfast_polled.py",
            tasks=("received",), packages=("wsfast",), many=False),
    Program("wsfast-receive", "blocking send and receive", "wsfast_receive.py",
            tasks=("request",), packages=("wsfast",), many=False),
    Program("wsfast-client", "the Client: send, and receive from its channel", "wsfast_client.py",
            tasks=("request",), packages=("wsfast",), many=False),
    Program("wsfast-aio", "asyncio, callbacks, uvloop", "wsfast_aio.py",
            packages=("wsfast", "uvloop"), extras=("zlib-ng",), deflate=True),
    Program("wsfast-aio-aiofastnet", "asyncio, callbacks, uvloop, aiofastnet", "wsfast_aio.py",
            ("--transport", "aiofastnet"), packages=("wsfast", *_ON_UVLOOP), extras=("zlib-ng",),
            deflate=True, variant=True),
    Program("wsfast-aio-receive", "asyncio, send and receive, uvloop", "wsfast_aio_receive.py",
            packages=("wsfast", "uvloop"), extras=("zlib-ng",), deflate=True),
    Program("picows", "core API, uvloop, aiofastnet", **_PICOWS),
    Program("picows-uvloop", "core API, uvloop's own transports",
            arguments=("--transport", "uvloop"), variant=True, **_PICOWS),
    Program("picows-websockets", "its websockets API, for what the core API has not: compression",
            "picows_websockets.py", packages=("picows", *_ON_UVLOOP), deflate=True, plain=False),
    Program("aiohttp", "uvloop", **_AIOHTTP),
    Program("aiohttp-aiofastnet", "uvloop, aiofastnet",
            arguments=("--transport", "aiofastnet"), variant=True, **_AIOHTTP),
    Program("websockets-asyncio", "uvloop", **_WEBSOCKETS),
    Program("websockets-asyncio-aiofastnet", "uvloop, aiofastnet",
            arguments=("--transport", "aiofastnet"), variant=True, **_WEBSOCKETS),
    Program("websockets-sync", "threads", "websockets_sync.py", tasks=_ALL,
            packages=("websockets",), deflate=True),
    Program("websocket-client", "WebSocket.recv, wsaccel", "websocket_client.py", tasks=_ALL,
            packages=("websocket-client", "wsaccel"), cannot="has no limit of a message's size"),
]  # fmt: skip


def select(
    wanted: list[str], among: Sequence[AnyProgram], *, variants: bool = False
) -> list[AnyProgram]:
    """Those named, and those whose names go on with a hyphen (`wsfast`: `wsfast-polled` too); all
    if nothing is wanted, with or without the variants. Raises `ValueError` for a name that fits
    none."""
    if not wanted:
        return [program for program in among if variants or not program.variant]
    chosen = set()
    for name in wanted:
        fitting = {
            program.name
            for program in among
            if program.name == name or (program.name.startswith(f"{name}-") and not program.variant)
        }
        if not fitting:
            raise ValueError(f"no library {name!r}; see --list")
        chosen |= fitting
    return [program for program in among if program.name in chosen]
