"""A headless Chromium, which a client of ours tells what to do over its DevTools protocol."""

import base64
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from interop_process import PATIENCE

from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect

NAMES = ["chromium", "chromium-browser", "google-chrome"]

SWITCHES = [
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--ignore-certificate-errors",  # of an authority that only the tests know
    "--remote-debugging-port=0",
]


def installed() -> str | None:
    """The program, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Program:
    """A process, and what it said when it was ready."""

    def __init__(self, command: list[str], ready: str, **how: Any) -> None:
        """`ready` is a pattern to be found in a line of its standard error or output."""
        output: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        text: Any = {"encoding": "utf-8", "errors": "replace"}
        self._process = subprocess.Popen(command, **output, **text, **how)
        assert self._process.stdout is not None
        self._found: queue.Queue[re.Match[str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(self._process.stdout, ready))
        self._thread.start()
        try:
            match = self._found.get(timeout=PATIENCE)
        except queue.Empty:
            match = None
        if match is None:
            self.stop()
            raise AssertionError(f"{command[0]} is not ready, or has ended before it was")
        self.ready = match

    def _read(self, lines: TextIO, ready: str) -> None:
        with lines:
            for line in lines:
                if match := re.search(ready, line):
                    self._found.put(match)
        self._found.put(None)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._thread.join(PATIENCE)


class Browser:
    """The browser, and an HTTP server with one page that does nothing."""

    def __init__(self, program: str, folder: Path) -> None:
        site = folder / "site"
        site.mkdir()
        (site / "index.html").write_text("<!doctype html><title>wsfast</title>")
        # What sanitizers of ours would find in it is not ours.
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        http = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
        self._http = Program([*http, "--directory", str(site)], r"port (\d+)")
        self.port = int(self._http.ready[1])
        try:
            profile = f"--user-data-dir={folder / 'profile'}"
            self._browser = Program(
                [program, *SWITCHES, profile], r"DevTools listening on (ws://\S+)", env=environment
            )
        except BaseException:
            self._http.stop()
            raise
        self.devtools: str = self._browser.ready[1]

    def stop(self) -> None:
        self._browser.stop()
        self._http.stop()


class Page:
    """A page of its own, whose origin is the HTTP server by the name `host`."""

    def __init__(self, browser: Browser, host: str = "127.0.0.1") -> None:
        self.origin = f"http://{host}:{browser.port}"
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._connection = connect(parse_url(browser.devtools), client_options(proxy=None))
        self._target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        self._ask("Page.enable")
        self.go(f"{self.origin}/")

    def go(self, url: str) -> None:
        """Loads another page."""
        self._tell("Page.navigate", url=url)
        # The page before may still be loading.
        self._wait(lambda said: said.get("params", {}).get("frame", {}).get("url") == url)
        self._wait(lambda said: said.get("method") == "Page.loadEventFired")

    def screenshot(self) -> bytes:
        """What it looks like, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot")["data"])

    def call(self, function: str, *args: Any) -> Any:
        """What that function of JavaScript returns, which may be asynchronous."""
        self.begin(function, *args)
        return self.result()

    def begin(self, function: str, *args: Any) -> None:
        """As `call`, but does not wait for the result."""
        arguments = ", ".join(map(json.dumps, args))
        self._tell(
            "Runtime.evaluate",
            expression=f"({function})({arguments})",
            awaitPromise=True,
            returnByValue=True,
        )

    def result(self) -> Any:
        """Waits for what `begin` has begun."""
        outcome = self._answer()
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")

    def close(self) -> None:
        """Closes the page, whatever goes on there."""
        self._session = None
        number = self._tell("Target.closeTarget", targetId=self._target)
        self._wait(lambda said: said.get("id") == number)
        self._connection.close()
        assert self._connection.wait_ended(PATIENCE)

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._tell(method, **params)
        return self._answer()

    def _tell(self, method: str, **params: Any) -> int:
        number = next(self._numbers)
        said: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            said["sessionId"] = self._session
        self._connection.send(json.dumps(said))
        self._last = number
        return number

    def _answer(self) -> dict[str, Any]:
        """To what was told last."""
        answer = self._wait(lambda said: said.get("id") == self._last)
        assert "result" in answer, answer
        return dict(answer["result"])

    def _wait(self, wanted: Any) -> dict[str, Any]:
        while True:
            said: dict[str, Any] = json.loads(self._connection.receive(PATIENCE))
            if wanted(said):
                return said
