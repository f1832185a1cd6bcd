"""What messages can be compressed with here."""

import importlib
import importlib.util
from types import ModuleType

BACKENDS: list[ModuleType] = [
    importlib.import_module(name)
    for name in ("zlib", "zlib_ng.zlib_ng")
    if importlib.util.find_spec(name.partition(".")[0]) is not None
]
"""zlib, and zlib-ng where it is installed; `wsfast.protocol.deflate.zlib` is one of them."""

NAMES = [backend.__name__.rpartition(".")[2] for backend in BACKENDS]
"""For the ids of tests."""
