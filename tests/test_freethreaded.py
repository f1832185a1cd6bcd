"""A free-threaded Python stays one after wsfast has been imported."""

import os
import subprocess
import sys
import sysconfig

SCRIPT = """
import sys
import wsfast, wsfast.server, wsfast.cli, wsfast.demo, wsfast.interactive
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def test_import_does_not_turn_the_gil_on() -> None:
    # Neither may the environment say that it stays off: Python would obey.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, env=clean, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == str(not sysconfig.get_config_var("Py_GIL_DISABLED"))
