"""Compressed messages between two ends of ours; what they look like is the protocol's to test."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WAIT = 10.0

SCRIPT = """
import sys, zlib
from wsfast.protocol import deflate
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import serve
from wsfast.threads.client import connect

assert deflate.zlib is zlib

def handler(connection):
    for message in connection:
        connection.send(message)

with serve(handler, "127.0.0.1", compression="context_takeover") as server:
    options = client_options(compression="context_takeover")
    connection = connect(parse_url(f"ws://127.0.0.1:{server.port}/"), options)
    assert connection.compressed
    for message in "text " * 1000, bytes(100_000):
        connection.send(message)
        assert connection.receive(10) == message
    connection.finish()
"""


@pytest.mark.parametrize("server", ["context_takeover", "disabled"])
def test_it_takes_two(open_pair: Any, scheme: str, server: str) -> None:
    one, other = open_pair(scheme, server={"compression": server}, compression="no_context")
    assert one.compressed == other.compressed == (server != "disabled")
    for message in ("text " * 1000, bytes(100_000), "", b"x"):
        for source, sink in ((one, other), (other, one)):
            source.send(message)
            assert sink.receive(WAIT) == message


def test_without_the_extra_it_is_the_standard_zlib(tmp_path: Path) -> None:
    (tmp_path / "zlib_ng.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert (result.returncode, result.stderr) == (0, "")
