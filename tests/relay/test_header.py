"""The value of the header field, and the options: what is refused, and where."""

import json
from datetime import timedelta
from typing import Any

import pytest

from wsfast import relay
from wsfast.process import PID
from wsfast.relay.invitation import Invitation

PID_1 = PID("node", "host", 1)


def test_the_whole_of_it() -> None:
    value = relay.header(
        PID_1, message_topic="chat", heartbeat_interval="30s", metadata={"name": "Zoë", "n": [1]}
    )
    assert value.isascii()
    assert json.loads(value) == {
        "target_pid": "{node@host|1}",
        "message_topic": "chat",
        "heartbeat_interval": "30s",
        "metadata": {"name": "Zoë", "n": [1]},
    }
    found = Invitation.parse([value.encode()])
    assert found == Invitation(PID_1, "chat", 30.0, {"name": "Zoë", "n": [1]})


@pytest.mark.parametrize("target", ["room", PID_1, str(PID_1)])
def test_the_least_of_it(target: Any) -> None:
    value = relay.header(target)
    assert json.loads(value) == {"target_pid": str(target), "message_topic": "ws.message"}
    named = "room" if target == "room" else PID_1
    assert Invitation.parse([value.encode()]) == Invitation(named)
    assert Invitation.parse([json.dumps({"target_pid": str(target)}).encode()]) == Invitation(named)


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (None, None),
        (0, None),
        ("0s", None),
        ("0", None),
        (timedelta(0), None),
        (1500, 1.5),
        (0.5, 0.0005),
        ("1m30s", 90.0),
        (timedelta(seconds=2), 2.0),
    ],
)
def test_heartbeats(interval: Any, seconds: float | None) -> None:
    value = relay.header("x", heartbeat_interval=interval)
    assert Invitation.parse([value.encode()]).heartbeat == seconds


@pytest.mark.parametrize(
    ("target", "fields", "error"),
    [
        (7, {}, TypeError),
        ("", {}, ValueError),
        ("{x", {}, ValueError),
        ("x" * 256, {}, ValueError),
        ("x", {"message_topic": ""}, ValueError),
        ("x", {"message_topic": b"x"}, TypeError),
        ("x", {"heartbeat_interval": "often"}, ValueError),
        ("x", {"heartbeat_interval": -1}, ValueError),
        ("x", {"heartbeat_interval": True}, TypeError),
        ("x", {"metadata": [1]}, TypeError),
        ("x", {"metadata": {"a": object()}}, TypeError),
        ("x", {"metadata": {"a": float("nan")}}, ValueError),
        ("x", {"metadata": {"a": "x" * 70_000}}, ValueError),
    ],
)
def test_what_is_refused(target: Any, fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        relay.header(target, **fields)


@pytest.mark.parametrize("value", [b"\xff", b'{"target_pid": "\xff"}'])
def test_what_is_no_utf8(value: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        Invitation.parse([value])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"orgins": []}, TypeError, "no option 'orgins'"),
        ({"allowed_origins": ["https://x/path"]}, ValueError, "not a pattern"),
        ({"allowed_origins": 7}, TypeError, "origins must be"),
        ({"prefix": "ws"}, ValueError, "prefix must begin"),
        ({"prefix": 7}, TypeError, "prefix must be"),
        ({"overflow": "drop"}, ValueError, "overflow must be one of"),
        ({"max_connections": 0}, ValueError, "max_connections"),
        ({"read_limit": "1"}, TypeError, "read_limit"),
        ({"write_timeout": None}, ValueError, "write_timeout"),
        ({"handler_timeout": 0}, ValueError, "handler_timeout"),
    ],
)
def test_options_that_are_wrong(
    options: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        relay.WebSocketRelay(None, **options)  # type: ignore[arg-type]
