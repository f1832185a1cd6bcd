"""What fuzzing has found or kept, replayed; and anything at all, for a moment."""

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*/*"))
TARGETS = sorted(path.stem for path in HERE.glob("fuzz_*.py"))


def test_every_target_has_a_corpus() -> None:
    assert {f"fuzz_{path.parent.name}" for path in CORPUS} == set(TARGETS)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_corpus(path: Path) -> None:
    importlib.import_module(f"fuzz_{path.parent.name}").one_input(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=600))
def test_anything(target: str, data: bytes) -> None:
    importlib.import_module(target).one_input(data)
