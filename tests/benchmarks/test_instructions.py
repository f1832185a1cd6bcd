"""Nothing takes more instructions than it did; see benchmarks/instructions/run.py."""

import pytest
from benchmark_modules import load

run = load("instructions/run.py")


@pytest.mark.timeout(400)
def test_nothing_takes_more_than_it_did() -> None:
    if run.here() not in run.read_figures():
        pytest.skip(f"instructions are not counted: there are no figures for {run.here()}")
    try:
        counts = run.measure()
    except run.CannotMeasure as problem:
        pytest.skip(f"instructions are not counted: {problem}")
    lines, worse = run.compare(counts, run.read_figures())
    table = "\n".join(lines)
    assert worse == [], table
    if not lines[0].startswith(" "):
        pytest.skip(f"instructions are counted, but not compared: {table}")


def test_what_is_constant_cancels_out() -> None:
    totals = {("a", 10): 1500, ("a", 20): 2000, ("b", 5): 7}
    assert run.per_message(totals) == {"a": 50.0}


FIGURES = {"interpreter": 1000.0, "decode": 100.0, "encode": 100.0}


@pytest.mark.parametrize(
    ("changed", "worse", "says"),
    [
        ({}, [], ""),
        ({"decode": 104.9, "encode": 95.1}, [], "+4.9%"),
        ({"decode": 105.1}, ["decode"], "MORE THAN ALLOWED"),
        ({"encode": 94.9}, [], "better"),
        ({"new": 1.0}, [], ""),
        ({"interpreter": 1060.0, "decode": 200.0}, [], "ANOTHER BUILD"),
    ],
)
def test_comparing(changed: dict, worse: list[str], says: str) -> None:
    lines, found = run.compare(FIGURES | changed, {run.here(): FIGURES})
    assert found == worse
    assert says in "\n".join(lines)
    assert len(lines) == len(FIGURES | changed) + (says == "ANOTHER BUILD")


def test_another_interpreter() -> None:
    lines, worse = run.compare(FIGURES, {"elsewhere": FIGURES})
    assert lines[0].startswith("NO FIGURES FOR ")
    assert worse == []


def test_updating(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FIGURES", tmp_path / "figures.json")
    assert run.read_figures() == {}
    run.update({"decode": 1.0})
    run.update({"decode": 2.0})
    assert run.read_figures() == {run.here(): {"decode": 2.0}}


@pytest.mark.parametrize("missing", ["valgrind", "compiler"])
def test_what_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(run.sys, "platform", "linux")
    monkeypatch.setattr(run.shutil, "which", lambda name: None if missing == name else name)
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    with pytest.raises(run.CannotMeasure, match=missing):
        run.measure()
