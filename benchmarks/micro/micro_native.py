"""Compiles `micro_mask.c` with our masking and what picows ships of its own, for ctypes."""

import ctypes
import importlib.util
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
FLAGS = ["-O3", "-std=gnu11", "-shared", "-fPIC", "-w"]
SLACK = 256  # picows shifts its output to where it is aligned as the input is
HEADER = 14  # of a long message that is masked
READ = 1 << 16  # as in micro_mask.c

WAYS = ["to another place", "behind a header", "in place", "then read"]
"""Where the result goes: to where a line of the cache begins, to where it does not, or nowhere
else; and to where it is read from at once, as what is sent is."""


class MaskLoops:
    """The functions of `micro_mask.c`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.select_best()

    def prepare(self, contender: str, way: str, size: int, count: int) -> Callable[[], object]:
        """What masks `size` bytes `count` times, away from Python, in one of `WAYS`. Skips the test
        if there is no such contender."""
        try:
            loop = getattr(self._library, f"loop_{contender}")
        except AttributeError:
            pytest.skip(f"{contender} is not installed with its C files")
        room = ctypes.create_string_buffer(2 * size + 3 * SLACK)
        sent = ctypes.create_string_buffer(READ) if way == "then read" else None
        start = ctypes.addressof(room)
        start += -start % 64
        to = start if way == "in place" else start + size + SLACK - size % 64
        to += HEADER if way in ("behind a header", "then read") else 0
        arguments = [ctypes.c_void_p(to), ctypes.c_void_p(start)]
        arguments += [ctypes.c_size_t(size), ctypes.c_size_t(count), sent]

        def run(kept: object = room) -> None:
            loop(*arguments)

        return run


def _picows_files() -> list[Path]:
    spec = importlib.util.find_spec("picows")
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.glob("mask_*.c"))


@cache
def mask_loops() -> MaskLoops:
    """Skips the test if there is no C compiler."""
    picows = _picows_files()
    ours = sorted(each for each in CSRC.glob("mask*.c"))
    compiler = shlex.split(os.environ.get("CC", "cc"))
    extra = [f"-I{CSRC}", *(["-DHAVE_PICOWS", f"-I{picows[0].parent}"] if picows else [])]
    with tempfile.TemporaryDirectory() as folder:
        objects = [*_compiled(compiler, picows, folder)] if picows else []
        library = Path(folder, "micro_mask.so")
        command = [*compiler, *FLAGS, *extra, "-o", library, HERE / "micro_mask.c", *ours, *objects]
        try:
            subprocess.run(command, check=True)
        except OSError as error:
            pytest.skip(f"no C compiler: {error}")
        return MaskLoops(ctypes.CDLL(str(library)))


def _compiled(compiler: list[str], files: list[Path], folder: str) -> list[Path]:
    """One file at a time, with the flags that its registers need."""
    made = []
    for file in files:
        registers = {"mask_avx2": ["-mavx2"], "mask_avx512": ["-mavx512f"]}.get(file.stem, [])
        target = Path(folder, file.stem + ".o")
        command = [*compiler, "-O3", "-fPIC", "-w", "-c", *registers, "-o", target, file]
        subprocess.run(command, check=True)
        made.append(target)
    return made
