"""Runs the suite against one of our roles, and holds its results against the expected ones."""

import fnmatch
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from conformance_commands import environment
from conformance_install import Suite

HERE = Path(__file__).parent
AGENT = "wsfast"

LARGEST = ["1[23].*.9", "1[23].*.10", "1[23].*.1[3-8]"]
"""Patterns of the cases that compress the largest messages."""

CLIENTS = {
    "client": "threads",
    "callbacks": "callbacks",
    "aio-client": "aio",
    "aio-callbacks": "aio-callbacks",
}
"""For each role that is a client, what `echo_client.py` calls it."""

SERVERS = {"server": "threads", "aio-server": "aio", "uvicorn": "uvicorn"}
"""For each that is a server, what `echo_server.py` calls it."""

ROLES = ("client", "callbacks", "server", "aio-client", "aio-callbacks", "aio-server", "uvicorn")
"""The client of `wsfast.threads`, that of the ID API, the server; on asyncio the client by
iteration and by `on_message`, and the server; and under uvicorn an ASGI application."""

ATTEMPTS = 3
"""For cases that the suite ends itself after half a second or so, where the machine was too busy
for either of the two to do its part in that time. What is wrong stays wrong."""

GRADES = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED")
"""The suite has more, all of which are failures."""


class Result(NamedTuple):
    """What the suite says about a case."""

    behavior: str
    behavior_close: str


Results = Mapping[str, Result]


class SuiteFailed(Exception):
    """It did not come to an end as it should, or left no results."""


@dataclass(frozen=True)
class Selection:
    """Cases to run, and how many seconds they may take on a slow machine."""

    cases: Sequence[str]
    limit: float


def expected() -> dict[str, Result]:
    """What each case is to come to, in the suite's own order."""
    cases = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    return {case: Result(*result) for case, result in cases.items()}


def select(name: str) -> Selection:
    """By `quick`, `most` or `all`, or by patterns as in "6.4.*,7.1.6".

    Raises `ValueError` if that is no case.
    """
    cases = list(expected())
    if name == "all":
        return Selection(cases, 3600)
    if name == "most":
        return Selection([case for case in cases if not _matches(case, LARGEST)], 1800)
    if name == "quick":
        return Selection([case for case in cases if not _matches(case, ["1[23].*"])], 600)
    chosen = [case for case in cases if _matches(case, name.split(","))]
    if not chosen:
        raise ValueError(f"no case matches {name!r}")
    return Selection(chosen, 3600)


def _matches(case: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


# ---------------------------------------------------------------- running


def run(
    role: str, suite: Suite, selection: Selection, folder: Path, on_case: Callable[[str], object]
) -> Results:
    """Runs the cases against `role`, and leaves reports and logs in `folder`.

    `on_case` is called, on some thread, as each case begins. Raises `SuiteFailed`.
    """
    results = dict(_run_once(role, suite, selection, folder, on_case))
    for attempt in range(2, ATTEMPTS + 1):
        late = _unexpected_for_time(results, folder)
        if not late:
            break
        again = folder / f"attempt-{attempt}"
        results.update(_run_once(role, suite, replace(selection, cases=late), again, on_case))
        for report in again.glob(f"{AGENT}_case_*.json"):
            report.replace(folder / report.name)
    return results


def _unexpected_for_time(results: Results, folder: Path) -> list[str]:
    """The cases that are not as expected and whose report says that the suite's patience ended."""
    wanted = expected()
    return [
        case
        for case, result in results.items()
        if result != wanted.get(case) and ["KLE"] in _report(case, folder).get("wirelog", [])
    ]


def _run_once(
    role: str, suite: Suite, selection: Selection, folder: Path, on_case: Callable[[str], object]
) -> Results:
    folder.mkdir(parents=True)
    deadline = time.monotonic() + selection.limit
    if role in SERVERS:
        _run_server(SERVERS[role], suite, selection, folder, on_case, deadline)
    else:
        _run_client(CLIENTS[role], suite, selection, folder, on_case, deadline)
    index = folder / "index.json"
    if not index.is_file():
        raise SuiteFailed(f"no results; what was printed is in {folder}")
    return {
        case: Result(result["behavior"], result["behaviorClose"])
        for case, result in json.loads(index.read_text(encoding="utf-8")).get(AGENT, {}).items()
    }


def _run_client(
    api: str,
    suite: Suite,
    selection: Selection,
    folder: Path,
    on_case: Callable[[str], object],
    deadline: float,
) -> None:
    # Port 80 is replaced by one that is free.
    spec = _spec(folder, selection, url="ws://127.0.0.1:80")
    with _wstest(suite, "fuzzingserver", spec, folder, on_case) as wstest:
        url = f"ws://127.0.0.1:{wstest.port(deadline)}"
        count = str(len(selection.cases))
        command = [sys.executable, str(HERE / "echo_client.py"), api, url, AGENT, count]
        with _program(command, folder / "client.log") as client:
            client.wait(deadline)


def _run_server(
    api: str,
    suite: Suite,
    selection: Selection,
    folder: Path,
    on_case: Callable[[str], object],
    deadline: float,
) -> None:
    command = [sys.executable, str(HERE / "echo_server.py"), api]
    with _program(command, folder / "server.log") as server:
        url = f"ws://127.0.0.1:{server.port(deadline)}"
        spec = _spec(folder, selection, servers=[{"agent": AGENT, "url": url}])
        with _wstest(suite, "fuzzingclient", spec, folder, on_case) as wstest:
            wstest.wait(deadline)


def _wstest(
    suite: Suite, mode: str, spec: Path, folder: Path, on_case: Callable[[str], object]
) -> "AbstractContextManager[_Program]":
    env = environment(suite.environment)
    return _program(suite.command(mode, spec), folder / "wstest.log", on_case, env)


def _spec(folder: Path, selection: Selection, **more: object) -> Path:
    spec = {"outdir": str(folder), "cases": selection.cases, **more}
    path = folder / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    return path


class _Program:
    """A program whose output is read as it comes, and written into a log."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        on_case: Callable[[str], object],
        env: Mapping[str, str] | None,
    ) -> None:
        self._name = log.stem
        self._log = log
        self._on_case = on_case
        self._port: int | None = None
        self._changed = threading.Condition()
        self._over = False
        self.process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self.reader = threading.Thread(target=self._read, name=f"conformance {self._name}")
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self._log.open("w", encoding="utf-8", buffering=1) as log:
            for line in self.process.stdout:
                log.write(line)
                if found := re.match(r"PORT (\d+)$", line):
                    with self._changed:
                        self._port = int(found[1])
                        self._changed.notify_all()
                elif found := re.match(r"Running test case ID (\S+)", line):
                    self._on_case(found[1])
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def port(self, deadline: float) -> int:
        """Waits until it listens."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._port, deadline - time.monotonic())
            if self._port is None:
                raise SuiteFailed(f"{self._name} does not listen{self._said()}")
            return self._port

    def wait(self, deadline: float) -> None:
        """Waits for its good end."""
        try:
            status = self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise SuiteFailed(f"{self._name} has not ended in time{self._said()}") from None
        if status:
            self.reader.join()  # it may have more to say
            raise SuiteFailed(f"{self._name} ended with status {status}{self._said()}")

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8").splitlines()[-10:]
        return "".join(f"\n  {line}" for line in ["; the last that it said:", *lines])


@contextmanager
def _program(
    command: Sequence[str],
    log: Path,
    on_case: Callable[[str], object] = lambda _case: None,
    env: Mapping[str, str] | None = None,
) -> Iterator[_Program]:
    """Ends with the block."""
    program = _Program(command, log, on_case, env)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.wait()
        program.reader.join()
        for stream in (program.process.stdin, program.process.stdout):
            assert stream is not None
            stream.close()


# ---------------------------------------------------------------- judging


def differences(selection: Selection, results: Results, folder: Path) -> list[str]:
    """A line for each case that is not as expected, or has no result."""
    wanted = expected()
    lines = []
    for case in selection.cases:
        if case not in results:
            lines.append(f"{case}: no result")
        elif results[case] != wanted[case]:
            lines.append(
                f"{case}: {' / '.join(results[case])} instead of {' / '.join(wanted[case])}"
                f"{_explanation(case, folder)}"
            )
    lines += [f"{case}: was not asked for" for case in results if case not in selection.cases]
    return lines


def _explanation(case: str, folder: Path) -> str:
    said = _report(case, folder)
    if not said:
        return ""
    return f"\n    {said['result']}\n    {said['resultClose']}\n    {_report_path(case, folder)}"


def _report_path(case: str, folder: Path) -> Path:
    return folder / f"{AGENT}_case_{case.replace('.', '_')}.json"


def _report(case: str, folder: Path) -> dict[str, Any]:
    """What the suite has written about a case; empty if it has not."""
    try:
        said: dict[str, Any] = json.loads(_report_path(case, folder).read_text(encoding="utf-8"))
    except OSError:
        return {}
    return said


def table(results_by_role: Mapping[str, Results]) -> str:
    """How many cases came to what, in Markdown."""
    counts = {
        (role, field): Counter(getattr(result, field) for result in results.values())
        for role, results in results_by_role.items()
        for field in Result._fields
    }
    grades = [*GRADES, *sorted({grade for c in counts.values() for grade in c} - {*GRADES})]
    rows = [["role", "judged", "cases", *grades]]
    for (role, field), count in counts.items():
        judged = {"behavior": "behavior", "behavior_close": "behaviorClose"}[field]
        rows.append([role, judged, str(count.total()), *(str(count[grade]) for grade in grades)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )
