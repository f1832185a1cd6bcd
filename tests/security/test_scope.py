"""Which policies count: of the context, of the process, of the caller of the ID API."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import wsfast
from wsfast import security
from wsfast.errors import NoContext, PermissionDenied
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.security import URL, Action, Policy, allow, deny
from wsfast.server import Connection
from wsfast.threads.client import Dial

CONNECT, CONNECT_URL = "websocket.connect", "websocket.connect.url"
ANY = Policy([allow(CONNECT), allow(CONNECT_URL, "*")], allow_private=True)
NOTHING = Policy()
WAIT = 10.0
SOON = {"initial": "1ms", "maximum": "1ms", "attempts": 3}

Dialer = Callable[..., Connection]


@pytest.fixture
def url(start_server: Any) -> str:
    return str(start_server(lambda connection: connection.receive()).url)


@pytest.fixture
def refused(dial: Dialer, url: str) -> Callable[[], bool]:
    def refused() -> bool:
        try:
            dial(url)
        except PermissionDenied:
            return True
        return False

    return refused


# ---------------------------------------------------------------- context and process


def test_without_a_policy_everything_is_allowed(refused: Callable[[], bool]) -> None:
    assert not refused()


def test_a_block(refused: Callable[[], bool]) -> None:
    with security.use(NOTHING):
        assert refused()
    assert not refused()
    with pytest.raises(KeyError), security.use(NOTHING):
        raise KeyError
    assert not refused()


def test_a_block_inside_takes_away_and_never_gives(refused: Callable[[], bool]) -> None:
    with security.use(ANY):
        assert not refused()
        with security.use(NOTHING):
            assert refused()
            with security.use(ANY):
                assert refused()
        assert not refused()


def test_the_process(refused: Callable[[], bool]) -> None:
    assert security.get_global() is None
    security.set_global(NOTHING)
    assert security.get_global() is NOTHING
    assert refused()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(refused).result(WAIT)
    security.set_global(None)
    assert not refused()


@pytest.mark.parametrize(
    ("local", "everywhere"), [(ANY, ANY), (ANY, NOTHING), (NOTHING, ANY), (NOTHING, NOTHING)]
)
def test_both_must_allow(local: Policy, everywhere: Policy, refused: Callable[[], bool]) -> None:
    security.set_global(everywhere)
    with security.use(local):
        assert refused() is (NOTHING in (local, everywhere))


def test_a_copy_of_the_context_in_another_thread(refused: Callable[[], bool]) -> None:
    with security.use(NOTHING):
        context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.run, refused).result(WAIT)
        assert not pool.submit(refused).result(WAIT)


def test_asyncio_tasks(refused: Callable[[], bool]) -> None:
    async def main() -> list[bool]:
        with security.use(NOTHING):
            inside = asyncio.create_task(asyncio.to_thread(refused))
        outside = asyncio.create_task(asyncio.to_thread(refused))
        return [await inside, await outside]

    assert asyncio.run(main()) == [True, False]


def test_wrong_types() -> None:
    for wrong in None, {}, Policy:
        with pytest.raises(TypeError, match="must be a Policy"), security.use(wrong):  # type: ignore[arg-type]
            pass
    for wrong in {}, Policy, True:
        with pytest.raises(TypeError, match="must be a Policy or None"):
            security.set_global(wrong)  # type: ignore[arg-type]
    for wrong in None, 1, NOTHING:
        with pytest.raises(TypeError, match="must be a bool"):
            security.require_policy(wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- a policy is required


def test_a_policy_may_be_required(dial: Dialer, url: str, recorder: Any) -> None:
    security.require_policy()
    with pytest.raises(NoContext, match="no security policy") as caught:
        dial(url)
    assert wsfast.connect(url, **recorder.callbacks) == 0
    assert recorder.log == [("error", str(caught.value))]
    with security.use(ANY):
        dial(url)
    security.set_global(ANY)
    dial(url)
    security.set_global(None)
    security.require_policy(False)
    dial(url)


def test_required_from_now_on(refused_port: int, recorder: Any) -> None:
    """Openings that come after it fail, also those of ids that exist."""

    def require(*_: object) -> None:
        security.require_policy()

    recorder.on_reconnect = require
    url = f"ws://127.0.0.1:{refused_port}/"
    number = wsfast.connect(url, **recorder.callbacks, reconnect=SOON)
    assert recorder.wait_closed()[0] == 1006
    assert ["no security policy" in text for text in recorder.errors] == [False, True]
    assert wsfast.get_state(number) == "error"


# ---------------------------------------------------------------- the ID API


def test_the_policy_of_the_caller_counts_for_every_attempt(
    refused_port: int, recorder: Any
) -> None:
    asked = []

    def check(action: Action, url: URL | None) -> bool:
        asked.append((action, threading.current_thread().name))
        return len(asked) <= 5

    with security.use(Policy(check=check, allow_private=True)):
        url = f"ws://127.0.0.1:{refused_port}/"
        number = wsfast.connect(url, **recorder.callbacks, reconnect=SOON)
    assert recorder.wait_closed()[0] == 1006
    assert len(recorder.of("reconnect")) == 2
    assert recorder.errors[-1].startswith("denied by a security policy: websocket.connect.url ")
    here, there = threading.current_thread().name, f"wsfast-{number}"
    assert asked == [
        (CONNECT, here),
        (CONNECT_URL, here),
        (CONNECT, there),
        (CONNECT_URL, there),
        (CONNECT, there),
        (CONNECT_URL, there),
    ]


def test_the_process_s_own_counts_as_it_is_then(refused_port: int, recorder: Any) -> None:
    def restrict(attempt: int, *_: object) -> None:
        if attempt == 2:
            security.set_global(NOTHING)

    recorder.on_reconnect = restrict
    url = f"ws://127.0.0.1:{refused_port}/"
    wsfast.connect(url, **recorder.callbacks, reconnect=SOON)
    recorder.wait_closed()
    assert [text.split(" by ")[0] for text in recorder.errors] == [
        "connection refused",
        "connection refused",
        "not allowed",
    ]


def test_callbacks_are_in_the_scope_of_who_called(
    url: str, recorder: Any, make_recorder: Any
) -> None:
    other = make_recorder()
    numbers = []

    def on_open() -> None:
        numbers.append(wsfast.connect(url.replace("localhost", "127.0.0.1"), **other.callbacks))
        numbers.append(wsfast.connect(url))
        recorder.opened.set()

    recorder.on_open = on_open
    rules = [*ANY.rules, deny(CONNECT_URL, "127.0.0.1:*")]
    with security.use(Policy(rules, allow_private=True)):
        wsfast.connect(url, **recorder.callbacks)
    assert recorder.opened.wait(WAIT)
    assert numbers[0] == 0
    assert numbers[1] > 0
    assert other.errors


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, ValueError])
def test_whatever_a_check_raises_on_the_thread_of_an_id_it_is_told(
    error: type[BaseException], refused_port: int, recorder: Any
) -> None:
    main = threading.current_thread()

    def check(action: Action, url: URL | None) -> bool:
        if threading.current_thread() is not main:
            raise error
        return True

    with security.use(Policy(check=check, allow_private=True)):
        url = f"ws://127.0.0.1:{refused_port}/"
        number = wsfast.connect(url, **recorder.callbacks, reconnect=SOON)
    assert recorder.wait_closed()[0] == 1006
    assert len(recorder.of("reconnect")) == 1
    assert wsfast.get_state(number) == "error"


def test_a_dial_takes_the_scope_of_who_made_it(url: str) -> None:
    with security.use(NOTHING):
        dial = Dial(parse_url(url), client_options())
    with pytest.raises(PermissionDenied):
        dial.open()
    assert isinstance(dial.connection.error, PermissionDenied)
