"""Server programs side by side, in one run on one machine. See ../README.md.

python benchmarks/compare/servers.py --scenario 'server-echo-64B-*' --libraries wsfast,picows,c
"""

import argparse
import contextlib
import sys

import comparison
import machine
from rich.console import Console
from server_bench import ServerBench
from server_programs import PROGRAMS
from server_scenarios import SCENARIOS, ServerScenario

BESIDES = 500
"""Descriptors that a program has open besides its connections, at most."""


def open_bench(
    args: argparse.Namespace, cores: tuple[int, int] | None
) -> contextlib.AbstractContextManager[ServerBench]:
    return contextlib.nullcontext(ServerBench(args.seconds, cores, args.real_time))


def possible(wanted: list[ServerScenario], console: Console) -> list[ServerScenario]:
    machine.allow_descriptors(max(each.connections for each in wanted) + BESIDES)
    return wanted


if __name__ == "__main__":
    servers = comparison.Suite("servers", SCENARIOS, PROGRAMS, open_bench, possible)
    sys.exit(comparison.main(servers, comparison.parser(__doc__).parse_args()))
