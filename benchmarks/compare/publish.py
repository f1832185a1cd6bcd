"""Puts a run's figures into the documentation: python benchmarks/compare/publish.py RUN.json

The pictures and the figures go to docs/performance/, the tables to docs/performance.md, between the
lines that say so.
"""

import json
import sys
from pathlib import Path

import plots
import report
import scenarios
import server_scenarios
import targets

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "performance.md"
FOLDER = DOCS / "performance"
PLACES = {
    "clients": ("figures", "run.json", scenarios.SCENARIOS),
    "servers": ("figures of servers", "servers.json", server_scenarios.SCENARIOS),
}
"""Of a run's suite: what its place on the page is called, and the file of its figures."""


def _table(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _conditions(run: dict) -> str:
    about = run["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
    return (
        f"Measured on {about['date']}: {about['processor']}, {about['cores']} cores, "
        f"{about['system']}, {about['python']}, {about['openssl']}, {about['compiler']}. "
        f"The {run['statistic']} of {run['repeat']}.\n\n{versions}.\n\n    {run['command']}\n"
    )


def section(run: dict, pictures: list[Path]) -> str:
    """The generated part of the page."""
    parts = [_conditions(run)]
    if reached := targets.rows(run):
        parts += ["### Targets\n", _table(reached)]
    parts += [f"![{path.stem}]({path.parent.name}/{path.name})\n" for path in pictures]
    for scenario in PLACES[run["suite"]][2]:
        results = run["scenarios"].get(scenario.name, {}).get("summary")
        if results:
            parts += [f"### {scenario.name}\n", _table(report.rows(scenario, results))]
    return "\n".join(parts)


def publish(run: dict) -> None:
    place, file, _ = PLACES[run["suite"]]
    opening, closing = f"<!-- {place}: begin -->\n", f"<!-- {place}: end -->\n"
    pictures = plots.draw(run, FOLDER)
    for scenario in run["scenarios"].values():
        del scenario["samples"]
    (FOLDER / file).write_text(json.dumps(run, indent=1) + "\n")
    before, begin, rest = PAGE.read_text().partition(opening)
    _, end, after = rest.partition(closing)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no place for figures")
    PAGE.write_text(f"{before}{begin}\n{section(run, pictures)}\n{end}{after}")


if __name__ == "__main__":
    publish(json.loads(Path(sys.argv[1]).read_text()))
