"""The chat with rooms: two workers over Redis, under a real uvicorn; and in a browser."""

import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interop_browser import Browser, Page, Program, installed
from process_helpers import until
from redis_helpers import RedisProcess, running_redis

from wsfast.client import Client, connect

CHAT = Path(__file__).parents[2] / "examples" / "rooms" / "chat.py"

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")),
    reason="needs FastAPI",
)

Start = Callable[..., int]


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisProcess]:
    yield from running_redis()


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts the chat, with further arguments; its port."""
    programs: list[Program] = []

    def run(*arguments: str) -> int:
        environment = {key: value for key, value in os.environ.items() if key != "CHAT_REDIS"}
        command = [sys.executable, str(CHAT), "--port", "0", *arguments]
        programs.append(Program(command, r"running on http://127\.0\.0\.1:(\d+)", env=environment))
        port = int(programs[-1].ready[1])
        until(lambda: listens(port))  # the workers do, once they have started
        return port

    yield run
    for program in programs:
        program.stop()


@pytest.fixture(scope="module")
def two_workers(start: Start, redis_process: RedisProcess) -> int:
    return start("--workers", "2", "--redis", redis_process.url)


@pytest.fixture(scope="module")
def one_worker(start: Start) -> int:
    return start()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Those that the test has opened."""
    found: list[Client] = []
    yield found
    for client in found:
        client.close()


def heard(client: Client, kind: str, nick: str) -> dict[str, Any]:
    """The next event of that kind and person."""
    while True:
        message, ok = client.channel().receive("60s")
        assert ok
        assert message is not None
        event: dict[str, Any] = json.loads(message.data)
        if (event["kind"], event["nick"]) == (kind, nick):
            return event


def enter(clients: list[Client], port: int, nick: str, room: str = "lobby") -> dict[str, Any]:
    """What a new client is told of its own coming."""
    client = connect(f"ws://127.0.0.1:{port}/rooms/{room}?nick={nick}", dial_timeout="60s")
    clients.append(client)
    return heard(client, "joined", nick)


def enter_both_workers(clients: list[Client], port: int) -> tuple[Client, Client]:
    """Two clients who are served by two workers; nobody chooses, so there may be some more."""
    workers: dict[str, Client] = {}

    def another() -> bool:
        joined = enter(clients, port, f"n{len(clients)}")
        workers.setdefault(joined["worker"], clients[-1])
        return len(workers) == 2

    until(another)
    one, other = workers.values()
    return one, other


def test_one_worker(one_worker: int, clients: list[Client]) -> None:
    port = one_worker
    assert enter(clients, port, "Ada")["here"] == ["Ada"]
    assert enter(clients, port, "Ben")["here"] == ["Ada", "Ben"]
    assert enter(clients, port, "Cay", "elsewhere")["here"] == ["Cay"]
    ada, ben, cay = clients
    assert heard(ada, "joined", "Ben")["here"] == ["Ada", "Ben"]
    ada.send("Hello")
    for client in (ada, ben):
        assert heard(client, "said", "Ada")["text"] == "Hello"
    ben.close()
    assert heard(ada, "left", "Ben")["here"] == ["Ada"]
    cay.send("alone")
    assert heard(cay, "said", "Cay")["here"] == ["Cay"]


# ------------------------------------------------------------------ in a browser

ENTER = """(nick) => {
  document.getElementById("nick").value = nick;
  document.getElementById("enter").requestSubmit();
}"""
SAY = """(text) => {
  document.getElementById("text").value = text;
  document.getElementById("say").requestSubmit();
}"""
SEEN = """() => ["log", "members", "state"].map((id) => document.getElementById(id).innerText)"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = installed()
    if program is None:
        pytest.skip("NOT TESTED with a browser: there is no Chromium here")
    browser = Browser(program, tmp_path)
    yield browser
    browser.stop()


def test_two_pages(two_workers: int, browser: Browser) -> None:
    ada, ben = Page(browser), Page(browser)

    def sees(page: Page, *texts: str) -> None:
        until(lambda: all(text in "\n".join(page.call(SEEN)) for text in texts))

    try:
        for page, nick in ((ada, "Ada"), (ben, "Ben")):
            page.go(f"http://127.0.0.1:{two_workers}/")
            page.call(ENTER, nick)
            sees(page, f"{nick}, in lobby", f"{nick} has come in")
        sees(ada, "Ben has come in", "Ada\nBen")
        ada.call(SAY, "Hello <b>Ben</b>")
        for page in (ada, ben):
            sees(page, "Ada: Hello <b>Ben</b>")
        if folder := os.environ.get("SCREENSHOTS"):
            for page, nick in ((ada, "ada"), (ben, "ben")):
                Path(folder, f"{nick}.png").write_bytes(page.screenshot())
    finally:
        ben.close()
        sees(ada, "Ben has left")
        ada.close()


# ------------------------------------------------------------------ without Redis for a while


def test_two_workers_and_redis_killed(
    two_workers: int, clients: list[Client], redis_process: RedisProcess
) -> None:
    port = two_workers
    one, other = enter_both_workers(clients, port)
    nick, other_nick = (f"n{clients.index(client)}" for client in (one, other))
    for number in range(100):
        one.send(str(number))
    for client in (one, other):
        assert [heard(client, "said", nick)["text"] for _ in range(100)] == [
            str(number) for number in range(100)
        ]
    redis_process.kill()
    redis_process.start()

    def say(client: Client) -> None:
        client.send("again")

    # What was on its way is lost; the sockets are not, and the room goes on.
    for client, name in ((one, nick), (other, other_nick)):
        until_heard(client, name, (one, other), say)
    last = enter(clients, port, "last")
    assert {nick, other_nick, "last"} <= {*last["here"]}
    assert all(client.close_code is None for client in clients)


def until_heard(
    client: Client, nick: str, all_of: tuple[Client, ...], say: Callable[[Client], None]
) -> None:
    """Says something until each of them has heard it."""
    for listener in all_of:

        def has_heard(listener: Client = listener) -> bool:
            say(client)
            try:
                message, ok = listener.channel().receive("200ms")
            except TimeoutError:
                return False
            assert ok
            assert message is not None
            event = json.loads(message.data)
            return (event["kind"], event["nick"]) == ("said", nick)

        until(has_heard)
