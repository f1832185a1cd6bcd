"""The C tests of csrc/tests, with every C compiler that is here."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
from csrc_make import CSRC, all_passed, compilers, run_make, skip_without_sanitizer

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the C tests need make and mmap"),
    pytest.mark.timeout(600),  # tens of millions of checks
]

gcov = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc") or not shutil.which("gcov"),
    reason="the lines are counted by gcc and its gcov",
)


def test_there_is_a_compiler():
    assert compilers(), "no C compiler in PATH: the C code is untested"


@pytest.mark.parametrize("compiler", compilers())
@pytest.mark.parametrize("variant", ["plain", "sanitized"])
def test_everything_passes(compiler, variant, tmp_path):
    done = run_make(tmp_path / "build", f"CC={compiler}", variant)
    if "WITHOUT ASAN" in done.stdout:
        pytest.skip(f"{compiler} has no working sanitizers:\n{done.stdout}")
    assert all_passed(done, variant)
    for source in [*CSRC.glob("tests/test_*.c"), *CSRC.glob("fuzz/fuzz_*.c")]:
        assert f"{variant}: {source.stem}\n" in done.stdout


@pytest.mark.parametrize("compiler", compilers())
def test_threads_share_nothing_that_races(compiler, tmp_path):
    skip_without_sanitizer(compiler, "thread", tmp_path)
    done = run_make(tmp_path / "build", f"CC={compiler}", "tsan")
    assert all_passed(done, "tsan")


@pytest.mark.skipif(shutil.which("clang") is None, reason="only clang has MemorySanitizer")
def test_no_byte_is_used_before_it_is_written(tmp_path):
    skip_without_sanitizer("clang", "memory", tmp_path)
    done = run_make(tmp_path / "build", "msan")
    assert all_passed(done, "msan")
    assert "msan: fuzz_parser\n" in done.stdout


@gcov
def test_the_tests_reach_the_lines(tmp_path):
    """As many as the Makefile asks for; the sources of other processors have none here."""
    done = run_make(tmp_path / "build", "CC=gcc", "coverage")
    assert all_passed(done, "coverage")
    for name in ("frame.c", "mask.c", "parser.c", "utf8.c", "all"):
        line = rf"^{re.escape(name)} +[0-9]+ lines +[0-9.]+ %$"
        assert re.search(line, done.stdout, re.MULTILINE)


@gcov
def test_too_few_lines_reached_is_an_error(tmp_path):
    done = run_make(tmp_path / "build", "CC=gcc", "PROGRAMS_coverage=test_frame", "coverage")
    assert done.returncode
    assert re.search(r"^frame\.c +[0-9]+ lines +100\.00 %$", done.stdout, re.MULTILINE)
    assert "error: less than 98 %" in done.stdout


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
