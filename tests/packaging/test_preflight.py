"""What `make` says on a machine that lacks something."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows builds without make")

SCRIPT = Path(__file__).parents[2] / ".ci" / "preflight.py"


@pytest.fixture
def missing():
    return runpy.run_path(str(SCRIPT))["missing"]


def test_silent_where_all_is_there():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc -m64")
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No C compiler: /nowhere/cc is not in PATH.")


def test_old_python(monkeypatch, missing):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    (advice,) = missing()
    assert "Python >= 3.11 is needed" in advice
    assert "3.9" in advice


def test_no_headers(monkeypatch, missing, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    (advice,) = missing()
    assert "Python.h is missing" in advice
