"""Our servers against a browser."""

import functools
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interop_browser import Browser, Page, installed
from interop_common import payload, pieces
from interop_link import Linker
from interop_process import PATIENCE

from wsfast.protocol.errors import ConnectionClosed

TALK = (Path(__file__).parent / "peers" / "browser.js").read_text(encoding="utf-8")

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
MESSAGES = [payload(kind, size) for kind in ("text", "binary") for size in SIZES]

CLOSES = [(1000, "done"), (1001, ""), (1011, "é€😀"), (3000, ""), (4999, "r" * 123)]

Start = Callable[..., str]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = installed()
    if program is None:
        pytest.skip("NOT TESTED with a browser: there is no Chromium here")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = Page(browser)
    yield page
    page.close()


@pytest.fixture
def start(page: Page, start: Start) -> Start:
    """For the page: by themselves servers refuse those of other servers."""
    return functools.partial(start, origins=[page.origin])


def job(url: str, **details: Any) -> dict[str, Any]:
    """For the page."""
    usual = {"protocols": [], "binary": "arraybuffer", "messages": 0, "close": None}
    return {"url": url} | usual | details


class Talk:
    """A handler that sends messages and gets all of them back, whole and in fragments, and closes;
    `endings` has what came of it."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        self._close = code, reason
        self.endings: queue.Queue[Any] = queue.Queue()

    def __call__(self, connection: Any) -> None:
        try:
            self._talk(connection)
            self.endings.put(connection)
        except BaseException as exc:
            self.endings.put(exc)
            raise

    def _talk(self, connection: Any) -> None:
        for message in MESSAGES:  # all at once
            connection.send(message)
        self._expect(connection)
        for message in MESSAGES:
            connection.send_fragments(pieces(message))
        assert connection.wait_pong(connection.ping(b"ping"), PATIENCE)
        self._expect(connection)
        connection.close(*self._close)
        assert connection.wait_ended(PATIENCE)

    def _expect(self, connection: Any) -> None:
        for number, message in enumerate(MESSAGES):
            assert connection.receive(PATIENCE) == message, f"message {number}"

    def ended(self) -> Any:
        """The connection, after the end."""
        ending = self.endings.get(timeout=PATIENCE)
        if isinstance(ending, BaseException):
            raise ending
        assert ending.error is None
        return ending


@pytest.mark.parametrize(("binary", "kind"), [("arraybuffer", "ArrayBuffer"), ("blob", "Blob")])
def test_every_kind_and_size(page: Page, start: Start, scheme: str, binary: str, kind: str) -> None:
    talk = Talk(4999, "é€😀")
    url = start(talk, scheme, protocols=["chat.v1"])
    seen = page.call(TALK, job(url, binary=binary, protocols=["chat.v2", "chat.v1"]))
    assert talk.ended().close_code == 4999
    assert seen == {
        "extensions": "",
        "protocol": "chat.v1",
        "kinds": (["string"] * len(SIZES) + [kind] * len(SIZES)) * 2,
        "errors": 0,
        "close": [4999, "é€😀", True],
    }


@pytest.mark.parametrize(
    ("options", "extensions"),
    [
        ({"compression": "CONTEXT_TAKEOVER"}, "permessage-deflate"),
        (
            {"compression": "NO_CONTEXT", "compression_window_bits": 10},
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=10; client_max_window_bits=10",
        ),
    ],
)
def test_compressed(
    page: Page, start: Start, linker: Linker, options: dict[str, Any], extensions: str
) -> None:
    talk = Talk()
    window = {"compression_window_bits": 15}
    url = linker.tap.through(start(talk, compression_threshold=1, **(window | options)))
    seen = page.call(TALK, job(url))
    assert talk.ended().compressed
    assert {*seen["extensions"].split("; ")} == {*extensions.split("; ")}
    assert seen["close"] == [1000, "", True]
    assert len(seen["kinds"]) == 2 * len(MESSAGES)
    linker.tap.wait()
    for side in ("server", "client"):
        assert any(frame.rsv1 for frame in linker.tap.frames_from(side))
        assert linker.tap.bytes_from(side) < sum(map(len, MESSAGES)) / 2


def test_close_by_the_server(page: Page, start: Start, scheme: str) -> None:
    codes: queue.Queue[tuple[int, str]] = queue.Queue()
    endings: queue.Queue[Any] = queue.Queue()

    def handler(connection: Any) -> None:
        connection.close(*codes.get(timeout=PATIENCE))
        connection.wait_ended(PATIENCE)
        endings.put((connection.close_code, connection.error))

    url = start(handler, scheme)
    for code, reason in CLOSES:
        codes.put((code, reason))
        assert page.call(TALK, job(url))["close"] == [code, reason, True]
        assert endings.get(timeout=PATIENCE) == (code, None)


def test_close_by_the_browser(page: Page, start: Start, scheme: str) -> None:
    endings: queue.Queue[Any] = queue.Queue()

    def handler(connection: Any) -> None:
        connection.send("close now")
        assert connection.receive(PATIENCE) == "close now"
        with pytest.raises(ConnectionClosed) as closed:
            connection.receive(PATIENCE)
        endings.put((closed.value.code, closed.value.reason))

    url = start(handler, scheme)
    for close in ([1000, "done"], [3000, "é€😀"], [4999, "r" * 123], [1000], []):
        code, reason = (*close, *(1005, "")[len(close) :])
        seen = page.call(TALK, job(url, messages=1, close=close))
        assert seen["close"] == [code, "", True]  # our answer has the code only
        assert endings.get(timeout=PATIENCE) == (code, reason)


def test_a_page_that_is_closed(browser: Browser, start: Start) -> None:
    opened: queue.Queue[Any] = queue.Queue()
    endings: queue.Queue[int] = queue.Queue()

    def handler(connection: Any) -> None:
        opened.put(connection)
        with pytest.raises(ConnectionClosed) as closed:
            connection.receive(PATIENCE)
        endings.put(closed.value.code)

    page = Page(browser)
    page.begin(TALK, job(start(handler)))
    opened.get(timeout=PATIENCE)
    page.close()
    assert endings.get(timeout=PATIENCE) == 1001


def test_origins(browser: Browser, page: Page, start: Start) -> None:
    def handler(connection: Any) -> None:
        connection.close(1000, connection.request.headers["Origin"])

    url = start(handler)
    seen = page.call(TALK, job(url))
    assert seen["close"] == [1000, page.origin, True]
    elsewhere = Page(browser, "localhost")
    seen = elsewhere.call(TALK, job(url))
    elsewhere.close()
    assert seen["close"] == [1006, "", False]
    assert seen["errors"] == 1
    assert seen["protocol"] is None
