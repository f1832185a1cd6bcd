"""Runs a client program against the load program, and reads what it says."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import machine
import payloads
from programs import BUILD, HERE, Program
from scenarios import Scenario

TIMEOUT = 60
"""Seconds after which a program counts as hung."""

LONG_ENOUGH = 1 / 14
"""Part of the time from which on a first rate can be trusted."""

WARM_UP = 10
"""One part in so many of the messages is sent before the clock starts."""

Sample = dict[str, float]


class Failed(Exception):
    """A program did not do what it was asked to."""


def build() -> None:
    """Compiles the programs in C."""
    subprocess.run(["make", "--quiet", "-C", str(HERE / "c"), f"BUILD={BUILD}"], check=True)


def has_tls() -> bool:
    """Whether they were built with OpenSSL; they say so themselves if not."""
    return subprocess.run([BUILD / "load", "-t"], check=False).returncode == 0


@dataclass
class Bench:
    """Where the programs run, and for how long."""

    seconds: float
    cores: tuple[int, int] | None
    real_time: bool
    count: int = 0  # of messages, instead of as many as fill the time
    folder: Path = field(init=False)
    _files: contextlib.ExitStack = field(init=False, default_factory=contextlib.ExitStack)

    def __enter__(self) -> "Bench":
        self.folder = Path(self._files.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *exc: object) -> None:
        self._files.close()

    def run(self, program: Program, scenario: Scenario, count: int) -> Sample:
        """One measurement, of about `count` messages on all connections together."""
        each = max(1, count // scenario.connections)
        warm = max(1, each // WARM_UP)
        client_core, load_core = self.cores or (None, None)
        if scenario.same_core:
            load_core = client_core
        with machine.alone(), self._load(scenario, load_core) as port:
            scheme = "wss" if scenario.tls else "ws"
            url = f"{scheme}://127.0.0.1:{port}{scenario.path(warm, each)}"
            command = [*program.command(scenario), "--url", url]
            for name, value in (
                ("warm", warm),
                ("count", each),
                ("size", scenario.size),
                ("kind", scenario.kind),
                ("connections", scenario.connections),
            ):
                command += [f"--{name}", str(value)]
            if scenario.tls:
                command += ["--cafile", str(self._certificate[0])]
            if scenario.deflate:
                command.append("--deflate")
            with machine.scheduled(client_core, real_time=self.real_time):
                client = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            return _result(client, program)

    def first_count(self, program: Program, scenario: Scenario) -> int:
        """How many messages fill the time, by trying with few."""
        if self.count or scenario.fixed_count:
            return self.count or scenario.fixed_count
        count = scenario.probe * scenario.connections
        while True:
            sample = self.run(program, scenario, count)
            if sample["seconds"] >= self.seconds * LONG_ENOUGH:
                return self.next_count(sample)
            count = max(self.next_count(sample) // 8, count * 2)

    def next_count(self, sample: Sample) -> int:
        """How many messages fill the time, at this rate."""
        return self.count or max(1, round(sample["count"] / sample["seconds"] * self.seconds))

    @contextlib.contextmanager
    def _load(self, scenario: Scenario, core: int | None) -> Iterator[int]:
        """The load program, and its port."""
        command = [str(BUILD / "load"), "-p", str(self.folder)]
        if scenario.task == "received":
            self._write_pattern(scenario)
        if scenario.tls:
            certificate, key = self._certificate
            command += ["-c", str(certificate), "-k", str(key)]
        with machine.scheduled(core, real_time=self.real_time):
            load = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert load.stdin is not None
        assert load.stdout is not None
        try:
            port = load.stdout.readline()
            if not port:
                raise Failed("the load program did not start")
            yield int(port)
        finally:
            load.stdin.close()  # which ends it
            try:
                load.wait(5)
            except subprocess.TimeoutExpired:
                load.kill()
                load.wait()
            load.stdout.close()

    def _write_pattern(self, scenario: Scenario) -> None:
        path = self.folder / scenario.pattern
        if not path.exists():
            frames = payloads.frames(scenario.kind, scenario.size, deflate=scenario.deflate)
            path.write_bytes(frames)

    @property
    def _certificate(self) -> tuple[Path, Path]:
        """For 127.0.0.1, its own authority; and its key."""
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        if not key.exists():
            import trustme

            authority = trustme.CA()
            server = authority.issue_cert("127.0.0.1")
            chain = [blob.bytes() for blob in server.cert_chain_pems]
            certificate.write_bytes(b"".join(chain) + authority.cert_pem.bytes())
            key.write_bytes(server.private_key_pem.bytes())
        return certificate, key


def _result(client: subprocess.Popen[str], program: Program) -> Sample:
    try:
        output, errors = client.communicate(timeout=TIMEOUT)
    except BaseException as exc:
        client.kill()
        client.communicate()
        if isinstance(exc, subprocess.TimeoutExpired):
            raise Failed(f"{program.name} hung") from exc
        raise
    if client.returncode:
        raise Failed(f"{program.name} failed: {(errors or output).strip()[-500:]}")
    return json.loads(output.strip().splitlines()[-1])
