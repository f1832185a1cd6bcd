"""A Redis of the test's own, and programs that join through it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from process_helpers import SECONDS, until

from wsfast.process import PID

WORKER = Path(__file__).with_name("redis_worker.py")


class RedisProcess:
    """A `redis-server` that keeps nothing on disk."""

    def __init__(self, *options: str) -> None:
        self._folder = tempfile.mkdtemp()  # the path of a socket may not be as long as tmp_path is
        self.socket = f"{self._folder}/redis.sock"
        self.url = f"unix://{self.socket}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None
        self._process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", self.socket, "--save", "", *self._options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        until(self._accepts)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self.socket)
            except OSError:
                return False
        return True

    def client(self) -> "redis.Redis":
        return redis.Redis(unix_socket_path=self.socket)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(SECONDS)
        Path(self.socket).unlink(missing_ok=True)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)


class Worker:
    """A program that is a node; calling it evaluates an expression there, see `redis_worker`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self("process.join(url, **options)", url=url, options=options)
        self.pid: PID = self("me")

    def __call__(self, expression: str, **values: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(repr((expression, values)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(self._process.communicate(timeout=SECONDS)[1])
        return eval(answer, {"PID": PID})

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.communicate(timeout=SECONDS)

    def end(self) -> str:
        """Lets it end by itself; what it has logged."""
        if self._process.returncode is not None:
            return ""
        if hasattr(signal, "SIGCONT"):
            self._process.send_signal(signal.SIGCONT)
        return self._process.communicate(timeout=SECONDS)[1]


def running_redis() -> Iterator[RedisProcess]:
    """What a fixture yields that starts one; where there is none to start its tests are skipped."""
    missing = needs_redis()
    if missing:
        pytest.skip(missing)
    server = RedisProcess()
    yield server
    server.stop()


def needs_redis() -> str:
    """Why there can be no tests with Redis; empty if there can."""
    if os.name != "posix":
        return "Redis runs on POSIX only"
    if shutil.which("redis-server") is None:
        return "NOT TESTED: no redis-server (Debian, Ubuntu: apt-get install redis-server)"
    return ""
