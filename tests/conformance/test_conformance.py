"""Autobahn|Testsuite, as far as it fits every run; `make conformance` runs the whole of it."""

import json
import sys
from pathlib import Path

import pytest
from conformance_install import Suite
from conformance_suite import (
    AGENT,
    ROLES,
    Result,
    Selection,
    SuiteFailed,
    differences,
    expected,
    run,
    select,
    table,
)

GOOD = Result("OK", "OK")
AS_GOOD_AS_IT_GETS = Result("INFORMATIONAL", "INFORMATIONAL")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", ROLES)
def test_every_case_is_as_expected(role: str, suite: Suite, tmp_path: Path) -> None:
    selection = select("quick")
    folder = tmp_path / role
    results = run(role, suite, selection, folder, lambda case: None)
    assert differences(selection, results, folder) == [], table({role: results})


def test_nothing_less_than_ok_is_expected() -> None:
    others = {case: result for case, result in expected().items() if result != GOOD}
    assert others == dict.fromkeys(["7.1.6", "7.13.1", "7.13.2"], AS_GOOD_AS_IT_GETS)


@pytest.mark.parametrize(
    ("name", "count"), [("quick", 301), ("most", 421), ("all", 517), ("6.4.*,7.1.6", 5)]
)
def test_selections(name: str, count: int) -> None:
    assert len(select(name).cases) == count


def test_a_selection_of_nothing() -> None:
    with pytest.raises(ValueError, match="no case matches '14.*'"):
        select("14.*")


# ---------------------------------------------------------------- whether it would notice


def few(*cases: str) -> Selection:
    return Selection(cases, 60)


def fake_suite(tmp_path: Path, program: str) -> Suite:
    """A program in Python in the suite's place: it sees `mode` and `spec`."""
    launcher = tmp_path / "launcher"
    prologue = "import json, os, sys\n*_, mode, spec = sys.argv\nspec = json.load(open(spec))\n"
    (tmp_path / "fake.py").write_text(prologue + program, encoding="utf-8")
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/fake.py" "$@"\n')
    launcher.chmod(0o755)
    return Suite(launcher, tmp_path, {"FAKE": "yes"})


needs_sh = pytest.mark.skipif(sys.platform == "win32", reason="the launcher is a shell script")


@needs_sh
@pytest.mark.parametrize("role", ROLES)
def test_a_suite_that_fails_at_once(role: str, tmp_path: Path) -> None:
    broken = fake_suite(tmp_path, "raise SystemExit('out of order')")
    with pytest.raises(SuiteFailed, match="wstest (does not listen|ended with status 1)") as caught:
        run(role, broken, few("1.1.1"), tmp_path / "reports", lambda case: None)
    assert "out of order" in str(caught.value)


@needs_sh
def test_a_suite_that_ends_early(tmp_path: Path) -> None:
    """As the real one does, which ends with status 0 whatever happened."""
    early = fake_suite(
        tmp_path,
        "print('Running test case ID 1.1.1 for agent')\n"
        f"results = {{{AGENT!r}: {{'1.1.1': dict(behavior='OK', behaviorClose='OK')}}}}\n"
        "json.dump(results, open(spec['outdir'] + '/index.json', 'w'))\n",
    )
    begun: list[str] = []
    selection = few("1.1.1", "1.1.2")
    results = run("server", early, selection, tmp_path / "reports", begun.append)
    assert begun == ["1.1.1"]
    assert differences(selection, results, tmp_path / "reports") == ["1.1.2: no result"]


# All cases but the first come to what the list in `bad` says of this run: one that fails, and how
# it ended as the suite's log has it. What each run was asked for is added to `log`.
IMPATIENT = """
from pathlib import Path
folder = Path(spec["outdir"])
here = Path(__file__).parent
bad = json.loads((here / "bad").read_text())
(here / "bad").write_text(json.dumps(bad[1:]))
(here / "log").write_text((here / "log").read_text() + " ".join(spec["cases"]) + ";")
results = {}
for case in spec["cases"]:
    fails = bool(bad) and case != "1.1.1"
    results[case] = dict(behavior="FAILED" if fails else "OK", behaviorClose="OK")
    report = dict(result="", resultClose="", wirelog=[["KL", 0.5], *([bad[:1]] if fails else [])])
    (folder / f"wsfast_case_{case.replace('.', '_')}.json").write_text(json.dumps(report))
(folder / "index.json").write_text(json.dumps({"wsfast": results}))
"""


@needs_sh
@pytest.mark.parametrize(
    ("bad", "runs", "grade"),
    [
        (["KLE"], "1.1.1 1.1.2;1.1.2;", "OK"),
        (["KLE", "KLE", "KLE"], "1.1.1 1.1.2;1.1.2;1.1.2;", "FAILED"),
        (["CTE"], "1.1.1 1.1.2;", "FAILED"),
        (["KLE", "CTE"], "1.1.1 1.1.2;1.1.2;", "FAILED"),
    ],
    ids=["late once", "late always", "not late", "late, then wrong"],
)
def test_a_case_that_was_given_too_little_time(
    bad: list[str], runs: str, grade: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_text(json.dumps(bad))
    (tmp_path / "log").write_text("")
    suite = fake_suite(tmp_path, IMPATIENT)
    results = run("server", suite, few("1.1.1", "1.1.2"), tmp_path / "reports", print)
    assert results == {"1.1.1": GOOD, "1.1.2": Result(grade, "OK")}
    assert (tmp_path / "log").read_text() == runs


@needs_sh
def test_a_suite_that_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SuiteFailed, match="no results"):
        run("server", fake_suite(tmp_path, ""), few("1.1.1"), tmp_path / "reports", print)


@needs_sh
def test_the_environment_of_the_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is meant for this Python must not reach another."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LD_PRELOAD", "")
    nosy = fake_suite(
        tmp_path, "sys.exit(str(sorted({'FAKE', 'PYTHONPATH', 'LD_PRELOAD'} & {*os.environ})))"
    )
    with pytest.raises(SuiteFailed, match=r"\['FAKE'\]"):
        run("server", nosy, few("1.1.1"), tmp_path / "reports", print)


@needs_sh
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_suite_that_hangs(role: str, tmp_path: Path) -> None:
    hanging = fake_suite(tmp_path, "sys.stdin.read()")
    with pytest.raises(SuiteFailed, match="does not listen|has not ended in time"):
        run(role, hanging, Selection(["1.1.1"], 2.0), tmp_path / "reports", print)


def test_a_case_that_is_not_as_expected(tmp_path: Path) -> None:
    report = tmp_path / f"{AGENT}_case_6_4_1.json"
    report.write_text(json.dumps({"result": "too late", "resultClose": "closed"}))
    results = {"1.1.1": GOOD, "6.4.1": Result("NON-STRICT", "OK"), "9.9.9": GOOD}
    assert differences(few("1.1.1", "6.4.1"), results, tmp_path) == [
        f"6.4.1: NON-STRICT / OK instead of OK / OK\n    too late\n    closed\n    {report}",
        "9.9.9: was not asked for",
    ]


def test_a_better_close_than_expected_is_a_difference_too(tmp_path: Path) -> None:
    assert differences(few("7.1.6"), {"7.1.6": GOOD}, tmp_path) == [
        "7.1.6: OK / OK instead of INFORMATIONAL / INFORMATIONAL"
    ]


def test_the_table_leaves_no_grade_out() -> None:
    results = {"1": GOOD, "2": Result("OK", "WRONG CODE"), "3": Result("FAILED", "UNCLEAN")}
    rows = table({"server": results}).splitlines()
    assert [cell.strip() for cell in rows[0].split("|")[1:-1]] == [
        *("role", "judged", "cases", "OK", "INFORMATIONAL"),
        *("NON-STRICT", "UNIMPLEMENTED", "FAILED", "UNCLEAN", "WRONG CODE"),
    ]
    assert [row.split()[1::2] for row in rows[2:]] == [
        ["server", "behavior", "3", "2", "0", "0", "0", "1", "0", "0"],
        ["server", "behaviorClose", "3", "1", "0", "0", "0", "0", "1", "1"],
    ]
