"""The server programs of benchmarks/compare work, for a moment. How fast they are is not asked
here."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import benchmark_modules
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "compare"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the load program needs epoll"),
    pytest.mark.skipif(not shutil.which("make"), reason="needs make"),
    pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="needs rich"),
    pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="needs uvloop"),
]


def servers(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "servers.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


def measure(path: Path, scenarios: str, libraries: str) -> dict:
    done = servers(
        "--scenario", scenarios, "--libraries", libraries, "--repeat", "1", "--seconds", "0.02",
        "--json", str(path / "run.json"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if f"left out: {libraries}" in done.stdout:
        pytest.skip(done.stdout.splitlines()[0])
    return json.loads((path / "run.json").read_text())


def test_our_programs(tmp_path: Path) -> None:
    ours = "wsfast-aio,wsfast-aio-iterated,wsfast-threads"
    run = measure(tmp_path, "server-echo-16KiB-50x16", f"c,{ours}")
    [result] = run["scenarios"].values()
    assert set(result["summary"]) == {"c", *ours.split(",")}
    for figures in result["summary"].values():
        assert figures["rate"] > 0
        assert figures["cpu"] > 0
        assert 0 < figures["busy"] < 50
    assert run["suite"] == "servers"


def test_a_broadcast(tmp_path: Path) -> None:
    results = measure(tmp_path, "server-broadcast-1000", "c,wsfast-aio-iterated")["scenarios"]
    assert set(results["server-broadcast-1000"]["summary"]) == {"c", "wsfast-aio-iterated"}


def test_many_connections(tmp_path: Path) -> None:
    run = measure(tmp_path, "server-accepts,server-idle", "wsfast-aio-iterated")
    accepts, idle = (
        run["scenarios"][name]["summary"]["wsfast-aio-iterated"]
        for name in ("server-accepts", "server-idle")
    )
    assert accepts["rate"] > 0
    assert 1000 < idle["memory"] < 100_000


@pytest.mark.parametrize(
    "library",
    [
        "picows", "picows-websockets", "aiohttp", "websockets", "wsfast-uvicorn",
        "uvicorn-websockets", "uvicorn-wsproto",
    ],
)  # fmt: skip
def test_a_peers_program(tmp_path: Path, library: str) -> None:
    results = measure(tmp_path, "server-echo-64B-1x1", library)["scenarios"]
    assert results["server-echo-64B-1x1"]["summary"][library]["rate"] > 0


def test_what_does_not_exist_is_refused() -> None:
    done = servers("--scenario", "server-ehco-*")
    assert done.returncode == 2
    assert "'server-ehco-*'; see --list" in done.stderr


def test_the_list() -> None:
    lines = servers("--list").stdout.splitlines()
    assert "server-echo-64B-500x16  (short set)" in lines
    assert any(line.startswith("picows: core API") for line in lines)


def test_too_few_open_files_are_said_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = benchmark_modules.load("compare/machine.py")

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(machine.resource, "setrlimit", refuse)
    machine.allow_descriptors(1024)
    with pytest.raises(ValueError, match="5500 open files are needed and 4096 allowed: raise"):
        machine.allow_descriptors(5500)
