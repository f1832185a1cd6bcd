"""Which servers are measured: the programs of servers/, and what each can do."""

import importlib.util
import sys
from dataclasses import dataclass

from programs import BUILD, HERE, LIMIT, Measured
from server_scenarios import ServerScenario

_ALL = ("echo", "broadcast", "accepts", "idle")
FEW = 50
"""Connections that a server with a thread for each is asked to have."""


@dataclass(frozen=True)
class ServerProgram(Measured):
    """A server program, in servers/."""

    tasks: tuple[str, ...] = _ALL
    module: str = ""  # that must be there, too
    most: int = 1_000_000  # connections

    @property
    def missing(self) -> list[str]:
        absent = super().missing
        if self.module and not absent and importlib.util.find_spec(self.module) is None:
            return [self.module]
        return absent

    def takes(self, scenario: ServerScenario) -> bool:
        return scenario.task in self.tasks and scenario.connections <= self.most

    def command(self, scenario: ServerScenario) -> list[str]:
        if not self.file:
            return [str(BUILD / "load")]
        options = ["--broadcast"] if scenario.task == "broadcast" else []
        return [sys.executable, str(HERE / "servers" / self.file), *self.arguments, *options]

    def path(self, scenario: ServerScenario) -> str:
        """Which the program in C needs to know what to do."""
        if self.file:
            return "/"
        return "/broadcast" if scenario.task == "broadcast" else "/echo"


_OURS = {"packages": ("wsfast", "uvloop")}
_PICOWS = {
    "file": "picows_core.py",
    "packages": ("picows", "uvloop", "aiofastnet"),
    "cannot": "checks neither UTF-8 nor the order of fragments",
}


def _uvicorn(
    name: str, about: str, protocol: str, *packages: str, module: str = "", cannot: str = ""
) -> ServerProgram:
    return ServerProgram(
        name, about, "uvicorn_server.py", ("--ws", protocol),
        packages=("uvicorn", "uvloop", "httptools", *packages), module=module, cannot=cannot,
    )  # fmt: skip


PROGRAMS = [
    ServerProgram(LIMIT, "C, the least possible work", tasks=("echo", "broadcast", "accepts"),
                  cannot="checks nothing"),
    ServerProgram("wsfast-aio", "callbacks, uvloop", "wsfast_aio.py", **_OURS),
    ServerProgram("wsfast-aio-iterated", "async for and send, uvloop", "wsfast_aio_iterated.py",
                  **_OURS),
    ServerProgram("wsfast-aio-asyncio", "callbacks, asyncio's own loop", "wsfast_aio.py",
                  ("--transport", "asyncio"), variant=True, **_OURS),
    ServerProgram("wsfast-aio-aiofastnet", "callbacks, uvloop, aiofastnet", "wsfast_aio.py",
                  ("--transport", "aiofastnet"), variant=True, **_OURS),
    ServerProgram("wsfast-threads", "a thread for each connection", "wsfast_threads.py",
                  tasks=("echo",), most=FEW, packages=("wsfast",)),
    ServerProgram("picows", "core API, uvloop, aiofastnet", **_PICOWS),
    ServerProgram("picows-uvloop", "core API, uvloop's own transports",
                  arguments=("--transport", "uvloop"), variant=True, **_PICOWS),
    ServerProgram("picows-websockets", "its websockets API, uvloop, aiofastnet",
                  "picows_websockets.py", packages=_PICOWS["packages"]),
    ServerProgram("aiohttp", "uvloop", "aiohttp_server.py", packages=("aiohttp", "uvloop")),
    ServerProgram("websockets", "asyncio, uvloop", "websockets_asyncio.py",
                  packages=("websockets", "uvloop")),
    _uvicorn("wsfast-uvicorn", "an ASGI application under uvicorn, with wsfast's protocol",
             "wsfast.uvicorn:WebSocketProtocol", "wsfast", module="wsfast.uvicorn"),
    _uvicorn("uvicorn-websockets", "the same with websockets-sansio", "websockets-sansio",
             "websockets"),
    _uvicorn("uvicorn-wsproto", "the same with wsproto", "wsproto", "wsproto"),
]  # fmt: skip
