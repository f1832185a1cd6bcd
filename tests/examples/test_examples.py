"""Every example, as a user runs it: in a process of its own, with and without an address."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# What each prints, and the path of the server it needs.
EXPECTED = {
    "echo": ("echo", "Connected!\nEcho: Hello, Echo!\nClosed: 1000 \n"),
    "chat": (
        "chat",
        "Ada hears  Ben: Hello, I am Ben\n",
        "Ben hears  Ada: Hello, I am Ada\n",
        "Ada hears  [SYSTEM] Ada has joined\n",
        "Ben has disconnected: 1000 \n",
    ),
    "game_state_sync": ("game", "Sync connected as player", " is at -0.84 -0.54\nClosed: 1000 \n"),
    "binary_transfer": ("echo", "Sending 256000 bytes\nReceived 256000 bytes\nSHA-256 "),
    "reconnection": (
        "unstable",
        "Connected\nLost: 1012 restarting\nAttempt 1 in 0.0",
        "Lost: 1012 restarting\nAttempt 3 in 0.",
        " s\nConnected\nMessage: Are you there?\nClosed: 1000 \n",
    ),
    "heartbeat": ("heartbeat", "Heartbeat received\n" * 3 + "Closed: 1000 \n"),
    "multiple_connections": (
        "echo",
        "From first: Hello, everybody\n",
        "From second: Hello, everybody\n",
        "From third: Hello, everybody\n",
        "Closed third: 1000\n",
    ),
    "message_queue": (
        "echo",
        "Connected, sending ",
        "".join(f"Echo: message {number}\n" for number in range(10)),
    ),
    "error_handling": (
        "echo",
        "Outcome: connected\n",
        "connection refused by 127.0.0.1",
        "Outcome: server unavailable\n",
        "Outcome: connection timeout\n",
        "Outcome: TLS error\n",
        "Closed: Normal closure\n",
    ),
    "custom_headers": (
        "headers",
        'The server has seen: {"Authorization": "accepted", "X-Custom": "value"}\n',
    ),
    "large_messages": (
        "echo",
        "Message: a small one first\nLarge message received: 3145728 bytes\nSaved 3145728 bytes\n",
    ),
    "proxy": (
        "echo",
        "Proxy: CONNECT localhost:",
        "Connected through the proxy\nEcho: Hello, Echo!\nClosed: 1000 \n",
    ),
    "security": (
        "echo",
        "Echo: Hello, Echo!\n"
        "wss://example.org/: not allowed by a security policy: websocket.connect.url"
        " wss://example.org\n"
        "wss://internal.example.com/: denied by a security policy: websocket.connect.url"
        " wss://internal.example.com\n",
        "ws://localhost/: refused by a security policy: localhost has no address of the public",
    ),
    "client_messages": (
        "echo",
        "Type: text\nData: Hello, Server!\nRound trip: ",
        "Text: {'type': 'subscribe', 'channel': 'orders'}\nBytes: b'\\x01\\x02\\x03'\n",
        "Bytes: b'sent as bytes'\nClosed: 1000\n",
    ),
    "client_options": (
        "headers",
        "Error: unknown option 'read_limits'; did you mean 'read_limit'?\n",
        "Error: read_timeout: '30' is not a duration",
        "Subprotocol: graphql-ws\nCompressed: True\n",
        'The server has seen: {"Authorization": "accepted", "X-Custom": "value"}\n',
        "Received: 11000 characters\n",
    ),
    "client_chat": (
        "rooms",
        "join the lobby\n",
        "Ada hears  Ben: Hello, I am Ben\n",
        "Ben hears  Ada: Hello, I am Ada\n",
        "Ben has left: 1000\n",
    ),
    "client_prices": (
        "prices",
        "BTC-USD: 50000.00\nETH-USD: 3000.00\n",
        "Quiet, but alive\nBTC-USD: 50002.00\n",
        "ETH-USD: 3002.00\nClosed: 1000 the market has closed\n",
    ),
    "client_errors": (
        "echo",
        "Connected, and closed: 1000\n",
        "Temporary error: connection refused by 127.0.0.1",
        "Temporary error: timeout: ",
        "Temporary error: TLS: ",
        "Error: http:// is not a WebSocket scheme",
        "Access denied: not allowed by a security policy: websocket.connect\n",
        "Access denied: not allowed by a security policy: websocket.connect.url wss://example.com\n",
    ),
    "client_complete": (
        "pinging",
        "Received ping\nReceived: Hello\nServer closed connection: 1000 \nConnection closed\n",
    ),
    "channels": (
        "echo",
        "first echoes one\n",
        "second echoes three\n",
        "Echoed: 22 characters\n",
    ),
    "pool": ("echo", "Max connections reached\n", "Sent to 5 connections\n", ": Hello, pool\n"),
}

# Those that need no server.
WITHOUT_SERVER = {
    "processes": (
        "The square of 2 is 4\nThe worker is down: TypeError: can't multiply sequence by",
        "\nThe square of 3 is 9\nAsked to end: that is all\nThe supervisor has stopped\n",
    ),
}


def run_example(name: str, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *args],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | env,
    )


def check(result: "subprocess.CompletedProcess[str]", *expected: str) -> None:
    assert result.stderr == ""
    for text in expected:
        assert text in result.stdout, result.stdout
    assert result.returncode == 0, result.stdout


@pytest.fixture
def start_examples_server(start_server: Callable[..., Any]) -> Callable[..., str]:
    """Starts the server of the examples, in a state of its own; its URL."""
    spec = importlib.util.spec_from_file_location("examples_server", EXAMPLES / "_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda scheme="ws": str(start_server(module.by_path, scheme, **module.OPTIONS).url)


def test_all_are_tested_and_listed() -> None:
    names = {path.stem for path in EXAMPLES.glob("[!_]*.py")}
    assert names == set(EXPECTED) | set(WITHOUT_SERVER)
    listed = re.findall(
        r"^\| \[(\w+)\.py\]\(\1\.py\) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(names)


@pytest.mark.parametrize("name", EXPECTED)
def test_with_its_own_server(name: str) -> None:
    _, *expected = EXPECTED[name]
    check(run_example(name), *expected)


@pytest.mark.parametrize("name", WITHOUT_SERVER)
def test_without_a_server(name: str) -> None:
    check(run_example(name), *WITHOUT_SERVER[name])


@pytest.mark.parametrize("name", EXPECTED)
def test_against_an_address(name: str, start_examples_server: Callable[..., str]) -> None:
    path, *expected = EXPECTED[name]
    check(run_example(name, start_examples_server() + path), *expected)


def test_over_tls(
    start_examples_server: Callable[..., str], certificates: Any, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(authority)
    url = start_examples_server("wss")
    check(run_example("echo", url, SSL_CERT_FILE=str(authority)), "Echo: Hello, Echo!\n")


@pytest.mark.parametrize("name", EXPECTED)
def test_says_what_failed(name: str, refused_port: int) -> None:
    """Exit status 1, and the reason."""
    result = run_example(name, f"ws://127.0.0.1:{refused_port}/")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    if name != "error_handling":
        assert "connection refused" in result.stdout
