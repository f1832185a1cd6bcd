"""What it is measured on: cores to pin to, and what a reader must know of hardware and software."""

import contextlib
import os
import platform
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

CAN_PIN = hasattr(os, "sched_setaffinity")


def cores() -> tuple[int, int] | None:
    """One for the client and one for the load program, not two threads of one core; None where
    there are no two, or processes cannot be pinned."""
    if not CAN_PIN:
        return None
    free = sorted(os.sched_getaffinity(0))
    first = free[0]
    others = [cpu for cpu in free[1:] if cpu not in _siblings(first)]
    return (first, others[0]) if others else None


def _siblings(cpu: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        parts = path.read_text().strip().split(",")
    except OSError:
        return set()
    siblings: set[int] = set()
    for part in parts:
        low, _, high = part.partition("-")
        siblings.update(range(int(low), int(high or low) + 1))
    return siblings


@contextlib.contextmanager
def pinned(cpu: int | None) -> Iterator[None]:
    """What is started within runs on that core only."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _compiler() -> str:
    version = [os.environ.get("CC", "cc"), "--version"]
    return subprocess.run(version, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def describe() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "openssl": ssl.OPENSSL_VERSION,
        "compiler": _compiler(),
    }
