"""What it is measured on: cores to pin to, and what a reader must know of hardware and software."""

import contextlib
import fcntl
import os
import platform
import resource
import ssl
import subprocess
import sys
import tempfile
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


REAL_TIME_PRIORITY = 10


@contextlib.contextmanager
def scheduled(cpu: int | None, *, real_time: bool) -> Iterator[None]:
    """What is started within runs on that core only; with `real_time`, before everything else.

    Raises `PermissionError` where that is not allowed.
    """
    before = os.sched_getaffinity(0) if CAN_PIN else set()
    if real_time:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REAL_TIME_PRIORITY))
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        if cpu is not None:
            os.sched_setaffinity(0, before)
        if real_time:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def allow_descriptors(count: int) -> None:
    """Lets this process, and those that it starts, have so many files and sockets open.

    Raises `ValueError`, and says what to do, where that is not allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    try:
        resource.setrlimit(
            resource.RLIMIT_NOFILE,
            (count, hard if hard == resource.RLIM_INFINITY else max(count, hard)),
        )
    except (OSError, ValueError) as exc:
        raise ValueError(
            f"{count} open files are needed and {hard} allowed: raise `ulimit -Hn`, or choose "
            "scenarios with fewer connections"
        ) from exc


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits for its turn among all comparisons on this machine."""
    with (Path(tempfile.gettempdir()) / "wsfast-benchmarks.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
