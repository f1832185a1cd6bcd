"""Client programs side by side, in one run on one machine. See ../README.md.

python benchmarks/compare/run.py --scenario flood-received-32B --libraries wsfast,picows,c
"""

import argparse
import sys

import comparison
from measure import Bench, has_tls
from programs import PROGRAMS
from rich.console import Console
from scenarios import SCENARIOS, Scenario


def arguments() -> argparse.Namespace:
    parser = comparison.parser(__doc__)
    parser.add_argument(
        "--count", type=int, default=0, help="messages, instead of as many as fill the time"
    )
    return parser.parse_args()


def open_bench(args: argparse.Namespace, cores: tuple[int, int] | None) -> Bench:
    return Bench(args.seconds, cores, args.real_time, args.count)


def possible(wanted: list[Scenario], console: Console) -> list[Scenario]:
    if has_tls():
        return wanted
    console.print("[red]left out: TLS. Install OpenSSL's headers (Debian: libssl-dev)[/red]")
    return [scenario for scenario in wanted if not scenario.tls]


if __name__ == "__main__":
    clients = comparison.Suite("clients", SCENARIOS, PROGRAMS, open_bench, possible)
    sys.exit(comparison.main(clients, arguments()))
