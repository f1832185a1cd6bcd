"""The C tests of csrc/tests, with every C compiler that is here."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the C tests need make and mmap"),
    pytest.mark.timeout(600),  # tens of millions of checks
]

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


def run_make(build, *arguments):
    """Runs make in csrc, whatever make this process itself may have been started by."""
    clean = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", CSRC, f"BUILD={build}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean,
        check=False,
    )


def test_there_is_a_compiler():
    assert compilers(), "no C compiler in PATH: the C code is untested"


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize("variant", ["plain", "sanitized"])
def test_everything_passes(compiler, variant, tmp_path):
    done = run_make(tmp_path / "build", f"CC={compiler}", variant)
    if done.returncode:
        pytest.fail(f"make {variant} CC={compiler!r}:\n{done.stdout}", pytrace=False)
    if "WITHOUT ASAN" in done.stdout:
        pytest.skip(f"{compiler} has no working sanitizers:\n{done.stdout}")
    for source in CSRC.glob("tests/test_*.c"):
        assert f"{variant}: {source.stem}\n" in done.stdout
    assert f"{variant}, {compiler}: all passed" in done.stdout


@pytest.mark.parametrize("compiler", compilers())
def test_a_check_that_fails_is_reported_and_the_rest_still_runs(compiler, tmp_path):
    """The harness itself: one that cannot fail would prove nothing."""
    source = tmp_path / "test_harness.c"
    source.write_text(
        '#include "check.h"\n'
        "static void bad(void) { CHECK(1 + 1 == 3); CHECK(1); }\n"
        "static void empty(void) { }\n"
        'static void different(void) { CHECK_TEXT("a", "b"); }\n'
        "static void good(void) { CHECK(1); }\n"
        "int main(void)\n"
        "{ TEST(bad); TEST(empty); TEST(different); TEST(good);"
        ' return check_report("harness"); }\n'
    )
    program = tmp_path / "harness"
    tests = CSRC / "tests"
    subprocess.run(
        [*shlex.split(compiler), f"-I{tests}", source, tests / "check.c", "-o", program],
        check=True,
    )
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "test_harness.c:2: failed: 1 + 1 == 3" in done.stdout
    assert "the test made no check" in done.stdout
    assert "good: 1 checks" in done.stdout
    assert "harness: 4 tests, 4 checks, 3 tests failed" in done.stdout
