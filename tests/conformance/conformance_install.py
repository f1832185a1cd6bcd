"""Gets Autobahn|Testsuite, which runs on Python 2.7 only, once for each list of requirements.

`python conformance_install.py` says where it is and how it is started. It lies in
build/conformance; nothing is installed outside of it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import conformance_debian as debian
from conformance_commands import Unavailable, environment, run

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "conformance"
REQUIREMENTS = HERE / "wstest_requirements.txt"
PIP = "20.3.4"  # the last for Python 2.7
ACCELERATOR = "wsaccel==0.6.6"  # masking and UTF-8 in C; needs a compiler and Python.h
TOOLS = ("setuptools==44.1.1", "wheel==0.37.1")


@dataclass(frozen=True)
class Suite:
    """The suite, ready to run."""

    python: Path
    site: Path
    environment: dict[str, str]

    def command(self, mode: str, spec: Path) -> list[str]:
        """Starts it; `mode` is "fuzzingserver" or "fuzzingclient"."""
        return [str(self.python), "-u", str(HERE / "wstest.py"), str(self.site), mode, str(spec)]


def install() -> Suite:
    """The suite from the cache, or else downloaded now. Raises `Unavailable`."""
    python = _python27()
    if python is None and (reason := debian.why_not()):
        raise Unavailable(f"there is no python2.7 with ssl and zlib in PATH, and {reason}")
    kept = CACHE / f"suite-{_stamp(python)}"
    if not kept.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        # Renamed when it is complete: whoever finds the folder finds it whole.
        fresh = Path(tempfile.mkdtemp(prefix="incomplete-", dir=CACHE))
        try:
            _fill(fresh, python)
            fresh.rename(kept)
        except OSError:
            if not kept.is_dir():  # unless another run was faster
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return _suite(kept, python)


def _suite(folder: Path, python: Path | None) -> Suite:
    if python is not None:
        return Suite(python, folder / "site", {})
    unpacked = folder / debian.PYTHON
    return Suite(unpacked, folder / "site", debian.environment(unpacked))


def _fill(folder: Path, python: Path | None) -> None:
    if python is None:
        debian.unpack(folder)
    suite = _suite(folder, python)
    options = ("--quiet", "--disable-pip-version-check", "--retries=2")
    downloads = folder / "downloads"
    run(
        *(sys.executable, "-m", "pip", "download", *options, "--no-deps", "--dest", downloads),
        f"pip=={PIP}",
    )
    (wheel,) = downloads.glob("*.whl")
    with zipfile.ZipFile(wheel) as pip:
        pip.extractall(suite.site)
    shutil.rmtree(downloads)
    env = {
        **suite.environment,
        "PYTHONPATH": str(suite.site),
        "PYTHONWARNINGS": "ignore",  # that it is Python 2.7
    }
    install = [str(suite.python), "-m", "pip", "install", *options]
    install += ["--no-deps", "--no-build-isolation", "--target", str(suite.site)]
    run(*install, *TOOLS, env=env)
    # Their C extensions are optional, and of little use.
    run(*install, "--requirement", REQUIREMENTS, env=env | {"CC": "false"})
    try:
        run(*install, ACCELERATOR, env=env)
    except Unavailable as exc:
        print(f"the suite will take longer without {ACCELERATOR}: {exc}", file=sys.stderr)


def _python27() -> Path | None:
    """One that works: a shim of pyenv, say, may be there and not."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    for candidate in (os.environ.get("PYTHON27"), shutil.which("python2.7"), *pyenv):
        if candidate and _works(candidate):
            return Path(candidate)
    return None


def _works(python: str | Path) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import ssl, sys, zlib; sys.exit(sys.version_info[:2] != (2, 7))"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _stamp(python: Path | None) -> str:
    parts = [str(python), PIP, *TOOLS, ACCELERATOR, REQUIREMENTS.read_text(encoding="utf-8")]
    parts += [] if python else [debian.RELEASE, *debian.PACKAGES]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


if __name__ == "__main__":
    try:
        print(*install().command("fuzzingserver|fuzzingclient", Path("SPEC.json")))
    except Unavailable as exc:
        sys.exit(f"error: {exc}")
