"""The fuzz targets of csrc/fuzz: that they find what is wrong, and run at all.

That they find nothing in the committed inputs is a part of test_csrc.py.
"""

import shutil
import sys

import pytest
from csrc_make import CSRC, compilers, run_make

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the C tests need make and fork"),
    pytest.mark.timeout(600),
]

TARGETS = sorted(source.stem for source in CSRC.glob("fuzz/fuzz_*.c"))

# Something in the library that is made wrong: the target to find it, the file, what is there, and
# what is put in its place. None breaks memory, so that no sanitizer is needed to see it.
FAULTS = {
    "a bound of UTF-8": ("utf8", "utf8.c", "lead == 0xed ? 0x9f", "lead == 0xed ? 0xbf"),
    "a byte of ASCII not looked at": ("utf8", "utf8.c", "& high_bits", "& (high_bits << 8)"),
    "a key not turned": ("mask", "mask.c", "ROTATE_TO_BYTE(key, size)", "key"),
    "a length not refused": ("header", "frame.c", "? 126u : 65536u", "? 126u : 65535u"),
    "a limit missed by one": (
        "parser",
        "parser.c",
        "> most - header->length",
        ">= most - header->length",
    ),
    "a state that stays": ("parser", "parser.c", "        p->head_size = 0;\n", ""),
    "a text that ends too early": (
        "parser",
        "parser.c",
        "&& p->utf8 != 0",
        "&& p->utf8 > 0xffffff",
    ),
    "a text in pieces that ends too early": ("parser", "parser.c", " || (last && p->utf8)", ""),
    "pieces that are not counted": (
        "parser",
        "parser.c",
        "p->message_size += p->compressed ? 0 : size;",
        "",
    ),
    "a mask that starts anew": (
        "roundtrip",
        "parser.c",
        "p->mask_key = wsf_mask(to, p->at, size, p->mask_key)",
        "wsf_mask(to, p->at, size, p->mask_key)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_committed_inputs_find_a_fault(fault, tmp_path):
    target, name, there, wrong = FAULTS[fault]
    copy = tmp_path / "csrc"
    shutil.copytree(CSRC, copy, ignore=shutil.ignore_patterns("build"))
    source = (copy / name).read_text()
    assert source.count(there) == 1
    (copy / name).write_text(source.replace(there, wrong))
    arguments = (f"PROGRAMS_plain=fuzz_{target}", f"CC={compilers()[0]}", "plain")
    done = run_make(tmp_path / "build", *arguments, folder=copy)
    assert done.returncode
    assert f"/{target}/" in done.stdout.split("FAILED: ")[1], "the input is named"
    assert "does not hold: " in done.stdout


def test_without_inputs_a_target_does_not_pass(tmp_path):
    """Or a lost folder would look like a target that finds nothing."""
    copy = tmp_path / "csrc"
    shutil.copytree(CSRC, copy, ignore=shutil.ignore_patterns("build"))
    for folder in copy.glob("fuzz/*/utf8"):
        shutil.rmtree(folder)
        folder.mkdir()
    arguments = ("PROGRAMS_plain=fuzz_utf8", f"CC={compilers()[0]}", "plain")
    done = run_make(tmp_path / "build", *arguments, folder=copy)
    assert done.returncode
    assert "0 inputs" in done.stdout


def test_the_committed_inputs_are_few_and_small():
    inputs = [path for path in CSRC.glob("fuzz/*/*/*") if path.is_file()]
    assert {f"fuzz_{path.parent.name}" for path in inputs} == set(TARGETS)
    assert len(inputs) < 300
    assert sum(path.stat().st_size for path in inputs) < 300_000


@pytest.mark.skipif(shutil.which("clang") is None, reason="only clang has libFuzzer")
def test_each_target_runs_and_is_counted(tmp_path):
    done = run_make(tmp_path / "build", "FUZZ_TIME=1", "fuzz")
    assert done.returncode == 0, done.stdout
    table = done.stdout.partition("executions")[2]
    counts = {words[0]: int(words[1]) for line in table.splitlines()[1:] if (words := line.split())}
    assert set(counts) >= set(TARGETS)
    assert all(counts.values())


@pytest.mark.skipif(shutil.which("clang") is None, reason="only clang has libFuzzer")
def test_a_finding_is_reported_at_the_end(tmp_path):
    copy = tmp_path / "csrc"
    shutil.copytree(CSRC, copy, ignore=shutil.ignore_patterns("build"))
    target, name, there, wrong = FAULTS["a length not refused"]
    (copy / name).write_text((copy / name).read_text().replace(there, wrong))
    arguments = ("FUZZ_TIME=5", f"FUZZ_TARGETS=fuzz_{target}", "fuzz")
    done = run_make(tmp_path / "build", *arguments, folder=copy)
    assert done.returncode
    assert "FAILED: fuzz_header" in done.stdout
    assert [*(tmp_path / "build").glob("*/libfuzzer/findings/header-crash-*")]


def test_without_clang_make_says_what_to_install(tmp_path):
    for goal in ("fuzz", "msan"):
        done = run_make(tmp_path / "build", "CLANG=no-such-clang", goal)
        assert done.returncode
        assert "needs clang" in done.stdout
        assert "apt-get install" in done.stdout
