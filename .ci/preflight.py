"""Say what this machine lacks to build wsfast, and how to get it. Exit status 1 if anything does.

Written for any Python 3, so that one which is too old can still read this and say so.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from importlib.util import find_spec


def missing():
    """Yield one line of advice for each thing that is not there."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < (3, 11):
        yield (
            f"Python >= 3.11 is needed, {sys.executable} is {version}. Install a newer one and"
            " name it: make PYTHON=python3.13"
        )
        return
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        yield f"The venv module is missing. Debian, Ubuntu: apt-get install python{version}-venv"
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        yield (
            f"Python.h is missing. Debian, Ubuntu: apt-get install python{version}-dev;"
            " Fedora: dnf install python3-devel"
        )
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        yield (
            f"No C compiler: {compiler} is not in PATH. Debian, Ubuntu: apt-get install gcc"
            " libc6-dev; Fedora: dnf install gcc; macOS: xcode-select --install."
            " If there is another, name it: make CC=clang"
        )


if __name__ == "__main__":
    advice = list(missing())
    for line in advice:
        print("error: " + line, file=sys.stderr)
    sys.exit(1 if advice else 0)
