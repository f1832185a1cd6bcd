"""Timing: what is secret is compared in a time that does not tell where it differs."""

import ast
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_peers import RawServer, RawServerPeer, accept_value

import wsfast
from wsfast.protocol import handshake


def test_the_answer_to_the_key(
    raw_server: Callable[..., RawServer], recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(handshake, "hmac", type("Hmac", (), {"compare_digest": compare}))

    def serve(peer: RawServerPeer) -> bytes:
        head = peer.upgrade()
        peer.send(b"\x88\x02\x03\xe8")
        return head

    server = raw_server(serve)
    wsfast.connect(server.url, **recorder.callbacks)
    recorder.wait_closed()
    head = server.result()
    key = next(line for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
    expected = accept_value(key.removeprefix(b"Sec-WebSocket-Key: "))
    assert compared == [(expected, expected)]


SECRETS = {"accept", "password", "credentials", "token", "secret", "key", "authorization"}


def test_nothing_that_sounds_secret_is_compared_otherwise() -> None:
    """By name: what holds a secret is called so, and only the presence of one is asked for."""
    package = Path(wsfast.__file__).parent
    found = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare):
                continue
            if not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                continue
            for side in (node.left, *node.comparators):
                name = getattr(side, "id", getattr(side, "attr", "")).strip("_")
                if name in SECRETS:
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
