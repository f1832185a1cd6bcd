"""Running the commands that get the suite, and saying why it cannot be had."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 300.0
"""Seconds for a command; a download from a slow mirror may take some."""


class Unavailable(Exception):
    """The suite cannot be had here. `possible`: it should have been."""

    def __init__(self, reason: str, *, possible: bool = False) -> None:
        super().__init__(reason)
        self.possible = possible


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """For another Python than this one, which may have been told how to find its own modules, and
    to run with sanitizers."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in ("LD_PRELOAD", "PIP_ONLY_BINARY")
    }
    return {**kept, "LC_ALL": "C.UTF-8", **(more or {})}


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Its output. Raises `Unavailable` with what it said last if it fails, or takes too long."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name} took more than {PATIENCE:g} s", possible=True) from None
    except OSError as exc:
        raise Unavailable(f"{name}: {exc}") from exc
    if done.returncode:
        said = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        errors = [line for line in said if "error" in line.lower() or line.startswith("E:")]
        last = (errors or said or ["nothing"])[-1].strip()
        raise Unavailable(f"{name} ended with {done.returncode}, saying: {last}", possible=True)
    return done.stdout
