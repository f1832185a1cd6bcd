"""The extension module; everything else about the package stands in pyproject.toml.

For developers, from the environment (gcc and clang only):
WSFAST_WERROR=1                     warnings in csrc/ are errors
WSFAST_SANITIZE=address,undefined   build with these sanitizers
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CSRC = [
    "csrc/frame.c",
    "csrc/mask.c",
    "csrc/mask_neon.c",
    "csrc/mask_x86.c",
    "csrc/parser.c",
    "csrc/utf8.c",
]
HEADERS = ["csrc/mask.h", "csrc/wsf.h"]
CODEC = glob("src/wsfast/codec/*.p[xyd]*")
SYSTEM = [*glob("src/wsfast/system/*.pxd"), "src/wsfast/system/sockets.h"]
DRIVERS = [*glob("src/wsfast/threads/*.pxd"), *glob("src/wsfast/aio/*.px[di]")]

MSVC_FLAGS = ["/O2", "/std:c11"]
UNIX_FLAGS = ["-O3", "-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"]


class BuildExt(build_ext):
    """build_ext with flags for the compiler at hand, which is known only once the build starts."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            self._add_flags(MSVC_FLAGS)
        else:
            self._add_flags(UNIX_FLAGS)
            self._add_developer_flags()
        super().build_extensions()

    def _add_flags(self, compile_flags, link_flags=()):
        for extension in self.extensions:
            extension.extra_compile_args += compile_flags
            extension.extra_link_args += link_flags

    def _add_developer_flags(self):
        if sanitizers := os.environ.get("WSFAST_SANITIZE"):
            sanitize = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
            self._add_flags([*sanitize, "-O1", "-g", "-fno-omit-frame-pointer"], sanitize)
        if os.environ.get("WSFAST_WERROR") == "1":
            self._make_csrc_warnings_errors()

    def _make_csrc_warnings_errors(self):
        # An extension has one list of flags, and what Cython generates is not ours to keep free of
        # warnings, so the flag is added file by file.
        compile_file = self.compiler._compile

        def compile_strictly(obj, src, ext, cc_args, extra_postargs, pp_opts):
            strict = ["-Werror"] if src in CSRC else []
            compile_file(obj, src, ext, cc_args, [*extra_postargs, *strict], pp_opts)

        self.compiler._compile = compile_strictly


def driver(name):
    return Extension(
        f"wsfast.{name}",
        [f"src/wsfast/{name.replace('.', '/')}.pyx"],
        include_dirs=["csrc", "src/wsfast/system"],
        libraries=["ws2_32"] if sys.platform == "win32" else [],
        depends=[*HEADERS, *CODEC, *SYSTEM, *DRIVERS],
    )


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=[
        Extension(
            "wsfast.codec._codec",
            ["src/wsfast/codec/_codec.pyx", *CSRC],
            include_dirs=["csrc"],
            depends=[*HEADERS, *CODEC],
        ),
        driver("aio._endpoint"),
        driver("system._cipher"),
        driver("threads._sender"),
        driver("threads._receiver"),
    ],
)
