"""The processes under test, each doing what it is told over pipes, and watched from outside."""

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import trustme
from soak_figures import Samples, figures

PATIENCE = 60.0
"""Seconds that an answer may take, if nothing else is said. Only a hang takes that long."""

SAMPLE = 0.1
"""Seconds between two samples of a process that works."""


@dataclass(frozen=True)
class Certificates:
    """A certificate authority made for this run, and what it issued for localhost."""

    authority: Path
    certificate: Path
    """Key and chain."""
    client: ssl.SSLContext
    server: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        authority, certificate = folder / "authority.pem", folder / "certificate.pem"
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        leaf = issuer.issue_cert("localhost", "127.0.0.1", "::1")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificate)
        client = ssl.create_default_context(cafile=str(authority))
        return cls(authority, certificate, client, server)


ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Where glibc starts from, held there. Otherwise it moves them with use, up to 64 MiB that each of
its arenas keeps when they are free, and memory in RAM says little about memory in use."""


class Hang(Exception):
    """A process did not answer in time. Its threads' stacks are on standard error."""


class Process:
    """Runs `soak_worker.py`. `ask("what", **how)` calls its command and returns the answer."""

    def __init__(self, name: str, allowed_growth: int) -> None:
        self.name = name
        self.samples = Samples(name, allowed_growth)
        self.watched = [self]
        """Those to take samples of while this one works."""
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("soak_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ALLOCATOR,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout.fileno()

    def stop(self, *, gently: bool) -> None:
        self._in.close()
        try:
            self._process.wait(PATIENCE if gently else 1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def tell(self, command: str, **how: Any) -> None:
        """Has it begin; `answer` says when it is done."""
        self._in.write(json.dumps({"command": command} | how).encode() + b"\n")
        self._in.flush()

    def answer(self, patience: float = PATIENCE) -> Any:
        deadline = time.monotonic() + patience
        while b"\n" not in self._buffer:
            if select.select([self._out], [], [], SAMPLE)[0]:
                data = os.read(self._out, 65536)
                if not data:
                    raise EOFError(f"the {self.name} ended with {self._process.wait()}")
                self._buffer += data
            else:
                for process in self.watched:
                    process.look()
                if time.monotonic() > deadline:
                    self._process.send_signal(signal.SIGUSR1)
                    raise Hang(f"the {self.name} did not answer within {patience} s")
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer = json.loads(line)
        if "failed" in answer:
            raise AssertionError(f"in the {self.name}:\n{answer['failed']}")
        return answer["result"]

    def ask(self, command: str, *, patience: float = PATIENCE, **how: Any) -> Any:
        self.tell(command, **how)
        return self.answer(patience)

    def look(self) -> None:
        """Takes a sample while it works."""
        self.samples.working(figures(self._process.pid))

    def rest(self) -> None:
        """Waits until no connection is left, and takes the sample that must stay the same."""
        self.ask("rest")
        now = figures(self._process.pid)
        deadline = time.monotonic() + PATIENCE
        while self.samples.resting and now.threads > self.samples.resting[0].threads:
            # A thread that Python has joined may still be leaving the system.
            if time.monotonic() > deadline:
                break
            os.sched_yield()
            now = figures(self._process.pid)
        self.samples.rest(now)


class Pair:
    """The client and the server under test."""

    def __init__(self, certificates: Certificates, allowed_growth: int) -> None:
        """`allowed_growth`: bytes by which the memory of each may seem to grow."""
        self.certificates = certificates
        self.client = Process("client", allowed_growth)
        self.server = Process("server", allowed_growth)
        self.both = [self.client, self.server]
        for process in self.both:
            process.watched = self.both

    def __enter__(self) -> Self:
        for process in self.both:
            process.ask(
                "trust",
                authority=str(self.certificates.authority),
                certificate=str(self.certificates.certificate),
            )
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self.both:
            process.stop(gently=exc[0] is None)

    def rest(self) -> None:
        for process in self.both:
            process.rest()
