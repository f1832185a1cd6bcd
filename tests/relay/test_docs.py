"""The chat of docs/relay.md is what it says it is."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from relay_helpers import Running, asking, connected, refusal

from wsfast import process

TEXT = (Path(__file__).parents[2] / "docs" / "relay.md").read_text(encoding="utf-8")


@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="needs FastAPI")
def test_the_chat(server: Running) -> None:
    found = re.search(r"```python\n(import json.*?)```", TEXT, re.DOTALL)
    assert found is not None
    chat: dict[str, Any] = {}
    exec(compile(found[1], "chat.py", "exec"), chat)
    server.stage.app = chat["app"]
    assert refusal(server.port, path=b"/rooms/lobby")[0] == 422
    assert refusal(server.port, path=b"/nowhere")[0] in (403, 404)
    with connected(server.port, path=b"/rooms/lobby?nick=ann") as ann:
        assert json.loads(ann.hear()) == {"joined": "ann", "here": ["ann"]}
        with connected(server.port, path=b"/rooms/lobby?nick=bob") as bob:
            for client in (ann, bob):
                assert json.loads(client.hear()) == {"joined": "bob", "here": ["ann", "bob"]}
            with connected(server.port, path=b"/rooms/other?nick=eve") as eve:
                assert json.loads(eve.hear())["here"] == ["eve"]
                bob.say("Hello!")
                for client in (ann, bob):
                    assert json.loads(client.hear()) == {"nick": "bob", "text": "Hello!"}
        assert json.loads(ann.hear()) == {"left": "bob", "here": ["ann"]}
    with asking(server.port, b"Origin: http://evil.example", path=b"/rooms/lobby?nick=x") as x:
        assert x.status() == 403
    for name in ("lobby", "other"):
        assert process.cancel(f"room {name}")
