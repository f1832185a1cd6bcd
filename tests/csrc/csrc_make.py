"""Runs make in csrc, with every C compiler that is here."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"


def compilers():
    """The commands of the compilers in PATH, each program once."""
    found = {}
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(command)
        program = shutil.which(words[0]) if words else None
        if program:
            found.setdefault((Path(program).resolve(), *words[1:]), command)
    return list(found.values())


def run_make(build, *arguments, folder=CSRC):
    """Runs make in csrc, whatever make this process itself may have been started by."""
    clean = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", folder, f"BUILD={build}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=clean,
        check=False,
    )


def all_passed(done, variant):
    """Whether all programs of a variant have passed. If make failed, so does the test."""
    if done.returncode:
        pytest.fail(f"{shlex.join(map(str, done.args))}:\n{done.stdout}", pytrace=False)
    return f"{variant}, " in done.stdout and ": all passed" in done.stdout


def skip_without_sanitizer(compiler, name, folder):
    """Skips the test if a program that does nothing cannot be linked with a sanitizer, or run."""
    source, program = folder / "probe.c", folder / "probe"
    source.write_text("int main(void) { return 0; }\n")
    command = [*shlex.split(compiler), f"-fsanitize={name}", source, "-o", program]
    for step in (command, [program]):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{compiler} has no working -fsanitize={name}:\n{done.stderr}")
