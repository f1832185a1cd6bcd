"""cibuildwheel builds exactly the wheels that the README promises."""

import sys
from itertools import product

import pytest

pytestmark = pytest.mark.packaging

PYTHONS = ["cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"]


@pytest.mark.parametrize(
    ("platform", "archs", "tags"),
    [
        (
            "linux",
            "x86_64,aarch64",
            [
                "manylinux_x86_64",
                "manylinux_aarch64",
                "musllinux_x86_64",
                "musllinux_aarch64",
            ],
        ),
        ("macos", "x86_64,arm64", ["macosx_x86_64", "macosx_arm64"]),
        ("windows", "AMD64,ARM64", ["win_amd64", "win_arm64"]),
    ],
)
def test_identifiers(tree, run, platform, archs, tags):
    listed = run(
        *[sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"],
        *["--platform", platform, "--archs", archs],
        cwd=tree,
    )
    assert sorted(listed.split()) == sorted(f"{p}-{t}" for p, t in product(PYTHONS, tags))
