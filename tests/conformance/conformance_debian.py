"""A Python 2.7 for Debian machines: the packages of Debian 11, the last that had one.

They are unpacked into a folder, not installed, and apt's own state is left alone. Needs no root.
"""

import platform
import re
import shutil
from pathlib import Path

from conformance_commands import Unavailable, run

RELEASE = "bullseye"
PACKAGES = (
    "python2.7-minimal",
    "libpython2.7-minimal",
    "libpython2.7-stdlib",
    "libpython2.7-dev",
    "libssl1.1",
    "libffi7",
)
PYTHON = Path("debian/usr/bin/python2.7")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def why_not() -> str | None:
    """Why this machine cannot have it, if it cannot."""
    if _os_release().get("ID") != "debian":
        return "this is no Debian"
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    if not KEYRING.is_file():
        return f"{KEYRING} is missing"
    return None


def unpack(folder: Path) -> None:
    """Puts it into `folder`, as `PYTHON`. Raises `Unavailable`."""
    state = folder / "apt"
    root = folder / "debian"
    for path in (state / "lists/partial", state / "cache/archives/partial", root):
        path.mkdir(parents=True)
    own = [
        "apt-get", "-q",
        "-o", f"Dir::State::lists={state}/lists",
        "-o", f"Dir::Cache={state}/cache",
        "-o", "APT::Sandbox::User=",  # it could not write here
        "-o", "Acquire::Retries=2",
        "-o", "Acquire::http::Timeout=30",
    ]  # fmt: skip
    sources = state / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror(own)} {RELEASE} main\n")
    own += ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"]
    run(*own, "update")
    run(*own, "download", *PACKAGES, cwd=state)
    for package in state.glob("*.deb"):
        run("dpkg-deb", "--extract", package, root)
    shutil.rmtree(state)


def environment(python: Path) -> dict[str, str]:
    """What an interpreter that `unpack` has made needs to find its libraries and headers."""
    (libraries,) = python.parents[1].glob("lib/*-linux-gnu*")
    headers = python.parents[1] / "include"
    return {
        "LD_LIBRARY_PATH": str(libraries),
        "CFLAGS": f"-I{headers}/python2.7 -I{headers}",
    }


def _mirror(apt: list[str]) -> str:
    """Where this machine gets its own Debian from."""
    uris = run(*apt, "--print-uris", "update")
    codename = _os_release()["VERSION_CODENAME"]
    found = re.search(rf"'(\S+)/dists/{codename}/InRelease'", uris)
    if found is None:
        raise Unavailable(f"apt knows no archive of Debian {codename}")
    return found[1]


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
