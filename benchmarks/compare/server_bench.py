"""Runs a server program, loads it with a crowd of clients, and reads what they say."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import machine
from measure import TIMEOUT, Failed, Sample
from programs import BUILD
from server_programs import ServerProgram
from server_scenarios import ServerScenario

WARM_UP = 0.3
"""So much of the time, in addition, passes before the clock starts."""

RESOLUTION = 1e-9
"""Seconds, of the clocks."""

BEFORE_IDLE = 200
"""Connections that are there before those whose memory is measured."""


@dataclass
class _Process:
    popen: "subprocess.Popen[str]"
    errors: IO[str]

    def line(self) -> str:
        """The next one that it prints. Raises `Failed` where there is none."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise Failed("hung, or ended")
        return line

    def last_words(self) -> str:
        self.errors.seek(0)
        return self.errors.read().strip()[-500:]


@dataclass
class ServerBench:
    """Where the programs run, and for how long."""

    seconds: float
    cores: tuple[int, int] | None
    real_time: bool

    def run(self, program: ServerProgram, scenario: ServerScenario, count: int) -> Sample:
        """One measurement; there is no `count` to it, but a time."""
        server_core, load_core = self.cores or (None, None)
        if scenario.same_core:
            load_core = server_core
        with machine.alone(), contextlib.ExitStack() as stack:
            server = stack.enter_context(self._started(program.command(scenario), server_core))
            try:
                url = f"ws://127.0.0.1:{int(server.line())}{program.path(scenario)}"
                pid = server.popen.pid

                def crowd(connections: int, **times: float) -> _Process:
                    command = _crowd(url, pid, scenario, connections, **times)
                    return stack.enter_context(self._started(command, load_core))

                return self._measure(scenario, pid, crowd)
            except Failed as exc:
                raise Failed(f"{program.name} {exc}: {server.last_words()}") from exc

    def _measure(
        self, scenario: ServerScenario, pid: int, crowd: Callable[..., _Process]
    ) -> Sample:
        if scenario.task == "idle":
            return _idle(scenario, pid, crowd)
        if scenario.task == "accepts":
            return json.loads(crowd(scenario.connections, warm=0, seconds=0).line())
        loaded = crowd(scenario.connections, warm=self.seconds * WARM_UP, seconds=self.seconds)
        loaded.line()
        sample = json.loads(loaded.line())
        sample["cpu"] = max(sample["cpu"], RESOLUTION)  # not to divide by nothing
        return sample

    def first_count(self, program: ServerProgram, scenario: ServerScenario) -> int:
        """Warms up files and caches."""
        self.run(program, scenario, 0)
        return 0

    def next_count(self, sample: Sample) -> int:
        return 0

    @contextlib.contextmanager
    def _started(self, command: list[str], core: int | None) -> Iterator[_Process]:
        with tempfile.TemporaryFile("w+") as errors:
            with machine.scheduled(core, real_time=self.real_time):
                popen = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
                )
            hung = threading.Timer(TIMEOUT, popen.kill)
            hung.start()
            with popen:
                try:
                    yield _Process(popen, errors)
                finally:
                    hung.cancel()
                    popen.kill()


def _crowd(
    url: str, pid: int, scenario: ServerScenario, connections: int, *, warm: float, seconds: float
) -> list[str]:
    command = [str(BUILD / "crowd")]
    for name, value in (
        ("url", url),
        ("server", pid),
        ("connections", connections),
        ("flight", scenario.flight),
        ("size", scenario.size),
        ("warm", warm),
        ("seconds", seconds),
    ):
        command += [f"--{name}", str(value)]
    return [*command, "--broadcast"] if scenario.task == "broadcast" else command


def _idle(scenario: ServerScenario, pid: int, crowd: Callable[..., _Process]) -> Sample:
    """Bytes that each further connection takes, once it has been used."""
    resident = []
    for connections in (BEFORE_IDLE, scenario.connections):
        idle = crowd(connections, warm=0.1, seconds=0.1)
        idle.line()
        idle.line()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE"))
    return {"memory": (resident[1] - resident[0]) / scenario.connections}
