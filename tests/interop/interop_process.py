"""The processes that the tests run, and the peers among them."""

import itertools
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

PATIENCE = 60.0
"""Seconds for anything that the other end does. Only a failing test waits that long."""


class Process:
    """A program that reads and prints lines of JSON. Thread-safe."""

    def __init__(self, *command: str | Path) -> None:
        self._name = Path(command[1]).name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._telling = threading.Lock()
        self._changed = threading.Condition()
        self._lines: list[dict[str, Any]] = []
        self._over = False
        self._reader = threading.Thread(target=self._read, name=f"interop {self._name}")
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def tell(self, **entry: Any) -> None:
        """Writes a line."""
        assert self._process.stdin is not None
        with self._telling:
            self._process.stdin.write(json.dumps(entry) + "\n")
            self._process.stdin.flush()

    def take(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Waits for the first line that is wanted, and removes it."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self._lines if wanted(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: self._over or found(), PATIENCE)
            line = found()
            if line is None:
                what = "has ended" if self._over else f"said nothing in {PATIENCE} s"
                raise AssertionError(f"{self._name} {what}; unread: {self._lines}")
            self._lines.remove(line)
            return line

    def stop(self) -> None:
        """Ends the program, by the end of its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(PATIENCE)
            self._process.stdout.close()


tokens = map(str, itertools.count(1))
"""Names for connections."""


class Peer(Process):
    """A library that serves and connects; `peers/interop_common.py` says how."""

    def __init__(self, *command: str | Path) -> None:
        super().__init__(*command)
        try:
            ready = self.take(lambda line: "ports" in line)
        except BaseException:
            self.stop()
            raise
        self.version: str = ready["version"]
        self.library = self.version.partition(" ")[0]
        self._ports: dict[str, int] = ready["ports"]

    def url(
        self,
        behaviour: str,
        token: str,
        scheme: str = "ws",
        host: str = "127.0.0.1",
        compression: Any = None,
    ) -> str:
        """Where its server does `behaviour`; the report will bear `token`."""
        address = "127.0.0.1" if host == "localhost" else host
        port = self._ports[f"{scheme} {address}"]
        query = "" if compression is None else f"&compression={quote(json.dumps(compression))}"
        return f"{scheme}://{authority(host)}:{port}/{behaviour}?token={quote(token)}{query}"

    def report(self, token: str) -> dict[str, Any]:
        """Waits for what it has seen of a connection."""
        line = self.take(lambda line: line.get("token") == token)
        if "error" in line:
            raise AssertionError(f"{self.version}: {line['error']}")
        return line

    def run(self, url: str, **job: Any) -> dict[str, Any]:
        """Lets its client connect to `url`; returns the report. See `Job` for what it can do."""
        return self.report(self.begin(url, **job))

    def begin(self, url: str, **job: Any) -> str:
        """As `run`, but does not wait: returns the token of the report."""
        token = next(tokens)
        defaults: dict[str, Any] = {
            "way": "whole",
            "messages": [],
            "close": (1000, ""),
            "subprotocols": None,
            "headers": {},
            "compression": None,
        }
        self.tell(token=token, url=url, **(defaults | job))
        return token


def authority(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
