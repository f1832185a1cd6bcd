"""What is released holds what it should, works without the tree, and no file too many."""

import shutil
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path, PurePosixPath

import pytest

from wsfast._version import __version__

# Building twice in isolated environments takes longer than a test usually may.
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]

PUBLISHED = {".py", ".pyi", ".typed"}


def files_below(folder: Path) -> set[PurePosixPath]:
    return {
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def wheel_files(distributions) -> set[PurePosixPath]:
    with zipfile.ZipFile(distributions.wheel) as archive:
        return {PurePosixPath(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist_files(distributions) -> set[PurePosixPath]:
    with tarfile.open(distributions.sdist) as archive:
        names = [PurePosixPath(member.name) for member in archive if member.isfile()]
    return {PurePosixPath(*name.parts[1:]) for name in names}


def test_wheel_holds_the_package_and_no_sources(tree, wheel_files):
    package = {file for file in wheel_files if file.parts[0] == "wsfast"}
    extensions = {file for file in package if file.suffix in {".so", ".pyd"}}
    published = {file for file in files_below(tree / "src") if file.suffix in PUBLISHED}
    assert len(extensions) == 5
    assert package - extensions == published
    assert not [file for file in wheel_files if file.suffix in {".c", ".h", ".pxd", ".pxi", ".pyx"}]


@pytest.mark.parametrize("name", ["py.typed", "codec/_codec.pyi", "codec/__init__.py"])
def test_wheel_has(wheel_files, name):
    assert PurePosixPath("wsfast", name) in wheel_files


def test_wheel_metadata(distributions):
    with zipfile.ZipFile(distributions.wheel) as archive:
        info = f"wsfast-{__version__}.dist-info"
        metadata = message_from_string(archive.read(f"{info}/METADATA").decode())
        licences = [name for name in archive.namelist() if "LICENSE" in name]
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert licences == [f"{info}/licenses/LICENSE"]
    assert "wsfast = wsfast.cli:main" in entry_points


@pytest.mark.parametrize("folder", ["csrc", "src", "tests", ".ci"])
def test_sdist_has_all_of(tree, sdist_files, folder):
    there = {file.relative_to(folder) for file in sdist_files if file.parts[0] == folder}
    there = {file for file in there if "wsfast.egg-info" not in file.parts}
    assert there == files_below(tree / folder)


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml", "setup.py"]
)
def test_sdist_has(sdist_files, name):
    assert PurePosixPath(name) in sdist_files


def test_wheel_imports_without_the_tree(python_with_wheel, tmp_path, run):
    code = "import wsfast.codec as c; print(c.__file__); print(c.implementation())"
    file, implementation = run(python_with_wheel, "-I", "-c", code, cwd=tmp_path).splitlines()
    assert "site-packages" in file
    assert implementation


def test_codec_tests_pass_on_the_wheel(tree, python_with_wheel, tmp_path, run):
    shutil.copytree(tree / "tests/codec", tmp_path / "tests/codec")
    shutil.copy(tree / "pyproject.toml", tmp_path)
    report = run(python_with_wheel, "-m", "pytest", "tests/codec", cwd=tmp_path)
    assert " passed" in report


@pytest.mark.skipif(sys.platform != "linux", reason="auditwheel repairs wheels for Linux only")
def test_auditwheel_makes_a_manylinux_wheel(distributions, tmp_path, run):
    command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", tmp_path]
    run(*command, distributions.wheel, cwd=tmp_path)
    (repaired,) = tmp_path.glob("*.whl")
    assert "manylinux" in repaired.name
