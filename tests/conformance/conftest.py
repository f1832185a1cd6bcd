"""The suite, where it can be had; elsewhere, and loudly, the news that nothing was tested."""

import os

import pytest
from conformance_commands import Unavailable
from conformance_install import Suite, install

NOT_TESTED = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config) -> Suite:
    try:
        return install()
    except Unavailable as exc:
        reason = f"NOT TESTED against Autobahn|Testsuite: {exc}"
        if exc.possible and os.environ.get("CI"):
            pytest.fail(reason)
        pytestconfig.stash[NOT_TESTED] = reason
        pytest.skip(reason)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Among hundreds of dots the reason of a skip is easily overlooked."""
    if reason := config.stash.get(NOT_TESTED, None):
        terminalreporter.section("CONFORMANCE NOT TESTED", yellow=True, bold=True)
        terminalreporter.line(reason)
        terminalreporter.line("docs/conformance.md says how to run the suite in a container.")
