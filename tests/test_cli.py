"""The command line as users meet it: in a process of its own, with pipes and with a terminal."""

import contextlib
import importlib
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from raw_peers import close_frame

import wsfast
from wsfast import cli
from wsfast.interactive import harmless
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.threads.client import connect

TIMEOUT = 30.0
WSFAST = [sys.executable, "-m", "wsfast"]
# It does not wait for a pong as long as for a person.
IMPATIENT = [
    sys.executable,
    "-c",
    "import sys; from wsfast import cli, interactive; interactive.PONG_TIMEOUT = 0.05;"
    " sys.exit(cli.main())",
]

shell = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")


def run(*args: str, stdin: str | bytes = "", **env: str) -> "subprocess.CompletedProcess[str]":
    if args[:1] == ("connect",) and "--wait" not in args:
        args = (*args, "--wait", "1ms")  # our servers answer everything before they close
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "wsfast", *args],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=TIMEOUT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | env,
    )
    out, err = (text.decode().replace("\r\n", "\n") for text in (result.stdout, result.stderr))
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(result.args, result.returncode, out, err)


@contextmanager
def started(*args: str, program: Sequence[str] = WSFAST) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*program, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(stream: Any) -> str:
    """A line of output; the timeout of the test is what bounds the wait."""
    text: str = stream.readline()
    return text


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


# -------------------------------------------------------------- the command line itself


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"wsfast {wsfast.__version__}\n"


def test_importing_it_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("wsfast.__main__")
    assert capsys.readouterr() == ("", "")


def test_the_output_may_be_any_stream() -> None:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        cli.main(["--version"])
    assert text.getvalue() == f"wsfast {wsfast.__version__}\n"


def test_without_a_command_it_says_which_there_are() -> None:
    result = run()
    assert result.returncode == 2
    for command in ("connect", "echo", "serve", "bench", "demo"):
        assert f"    {command} " in result.stdout


@pytest.mark.parametrize("command", ["connect", "echo", "serve", "bench", "demo"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main([command, "--help"])
    assert exit_.value.code == 0
    assert f"usage: wsfast {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says", "advises"),
    [
        (["conect"], "invalid choice: 'conect'", "wsfast --help"),
        (["connect"], "required: URL", "wsfast connect --help"),
        (["connect", "http://localhost/"], "is not a WebSocket scheme", "wsfast connect ws://"),
        (["connect", "ws://"], "URL has no host", "wsfast connect ws://"),
        (["connect", "ws://h/", "--header", "x"], "'x' has no colon", "Name: value"),
        (["connect", "ws://h/", "--header", "a b: c"], "'a b' is not an HTTP token", "--help"),
        (["connect", "ws://h/", "--header", "a: b\r\nc: d"], "header", "--help"),
        (["connect", "ws://h/", "--protocol", "a b"], "protocols", "--help"),
        (["connect", "ws://h/", "--timeout", "5"], "every number needs a unit", "--help"),
        (["connect", "ws://h/", "--wait", "0s"], "--wait: it must be above zero", "--help"),
        (["connect", "ws://h/", "--cafile", "/nowhere"], "No such file", "--help"),
        (["connect", "ws://h/", "--cafile", __file__], "no certificate in PEM form", "--help"),
        (["connect", "ws://h/", "--insecure", "--cafile", __file__], "", "--help"),
        (["echo", "--port", "65536"], "no number from 0 to 65535", "wsfast echo --help"),
        (["serve"], "required: MODULE:APP", "wsfast serve --help"),
        (["serve", "app"], "not of the form MODULE:APP", "wsfast serve --help"),
        (["serve", "a:b", "--workers", "0"], "no number from 1", "wsfast serve --help"),
        (["serve", "a:b", "--max-size", "x"], "no number from 1", "wsfast serve --help"),
        (["echo", "--port", "http"], "no number from 0 to 65535", "wsfast echo --help"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    args: list[str], says: str, advises: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(args)
    except SystemExit as exit_:
        status = exit_.code  # type: ignore[assignment]
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("wsfast")
    assert err.count("\n") == 1
    assert says in err
    assert advises in err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9 \U0001f40d\ttab", "plain \u00e9 \U0001f40d\ttab"),
        ("\x1b[2J\x07\x00", "\\x1b[2J\\x07\\x00"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x7f\x85\x9b", "\\x7f\\x85\\x9b"),
        ("\u2028\u202e\u2066\u200f", "\\u2028\\u202e\\u2066\\u200f"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
    ],
)
def test_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


# -------------------------------------------------------------- connect, with pipes


def test_lines_are_messages_and_messages_are_lines(start_server: Callable[..., Any]) -> None:
    url = start_server(echo).url
    result = run("connect", url, stdin="one\n\u00e9 \U0001f40d\r\n\n//slash\n/binary 00 ff1f\nlast")
    assert result.stdout == "one\n\u00e9 \U0001f40d\n\n/slash\n00ff1f\nlast\n"
    assert result.stderr == f"Connected to {url}\nClosed with 1000 (normal)\n"
    assert result.returncode == 0


def test_many_lines(start_server: Callable[..., Any]) -> None:
    lines = "".join(f"{number}\n" for number in range(5000))
    assert run("connect", start_server(echo).url, stdin=lines).stdout == lines


def test_quit_ends_it_whatever_is_still_to_come(start_server: Callable[..., Any]) -> None:
    result = run("connect", start_server(echo).url, stdin="one\n/quit\n" + "more\n" * 5000)
    assert result.stdout == "one\n"
    assert result.returncode == 0


@shell
@pytest.mark.parametrize(
    ("command", "closed", "out", "err"),
    [
        ("--version", ">&-", "", ""),
        ("--version", "2>&-", f"wsfast {wsfast.__version__}\n", ""),
        ("connect ws://", ">&-", "", "wsfast: URL has no host"),
        ("connect ws://", "2>&-", "", ""),
        ("connect ws://", "<&- >&- 2>&-", "", ""),
        ("connect --wait 1ms {url}", ">&-", "", "Connected to {url}\nClosed with 1000 (normal)\n"),
        ("connect --wait 1ms {url}", "2>&-", "hello\n", ""),
        ("connect --wait 1ms {url}", ">&- 2>&-", "", ""),
    ],
)
def test_standard_streams_that_are_closed(
    command: str, closed: str, out: str, err: str, start_server: Callable[..., Any]
) -> None:
    """What has nowhere to go is left out, and goes nowhere else."""
    url = start_server(echo).url
    result = subprocess.run(
        f"{shlex.join(WSFAST)} {command.format(url=url)} {closed}",
        shell=True,
        input="hello\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == (2 if command == "connect ws://" else 0)
    assert result.stdout == out
    assert result.stderr.startswith(err.format(url=url))
    assert bool(result.stderr) == bool(err)


@shell
@pytest.mark.parametrize(("redirection", "status"), [("<&-", 0), ("0> /dev/null", 1)])
def test_input_that_cannot_be_read(
    redirection: str, status: int, start_server: Callable[..., Any]
) -> None:
    command = shlex.join([*WSFAST, "connect", start_server(echo).url, "--wait", "1ms"])
    result = subprocess.run(
        f"{command} {redirection}", shell=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert "Traceback" not in result.stderr
    assert "Closed with 1000" in result.stderr
    assert result.returncode == status


def test_a_file_is_sent(start_server: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)))
    result = run("connect", start_server(echo).url, stdin=f"/binary @{path}\n")
    assert result.stdout == bytes(range(256)).hex() + "\n"


def test_ping(start_server: Callable[..., Any]) -> None:
    result = run("connect", start_server(echo).url, stdin="/ping\n/ping with text\n")
    assert re.findall(r"^Pong after \d+\.\d\d ms$", result.stderr, re.MULTILINE) != []
    assert result.stderr.count("Pong after") == 2


def test_a_ping_without_an_answer(raw_listener: Any) -> None:
    with started("connect", raw_listener.url, "--wait", "1ms", program=IMPATIENT) as process:
        peer = raw_listener.accept()
        peer.upgrade()
        process.stdin.write("/ping\n")
        process.stdin.close()
        assert line(process.stderr).startswith("Connected to ")
        assert line(process.stderr) == "No pong within 0.05 seconds\n"
        assert peer.read_close().code == 1000
        peer.send(close_frame(1000))
        peer.sock.close()
        assert process.wait(TIMEOUT) == 0


def test_help_lists_the_commands(start_server: Callable[..., Any]) -> None:
    result = run("connect", start_server(echo).url, stdin="/help\n")
    for command in ("/binary", "/ping", "/close", "/quit"):
        assert f"\n  {command}" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("/nope", "there is no command /nope; /help lists them"),
        ("/nope\x1b[2J", "there is no command /nope\\x1b[2J; /help"),
        ("/binary 0", "use hexadecimal digits in pairs"),
        ("/binary @/nowhere", "/nowhere: No such file"),
        ("/ping " + "x" * 126, "125"),
        ("/close bye", "the code must be a number"),
        ("/close 1006", "1006 is reserved"),
        ("/close 1000 " + "x" * 124, "123 is the most"),
        (b"\xff", "not valid UTF-8"),
    ],
)
def test_what_cannot_be_done_is_said(
    typed: str | bytes, says: str, start_server: Callable[..., Any]
) -> None:
    """It goes on all the same, but the exit status tells a script."""
    lines = (typed.encode() if isinstance(typed, str) else typed) + b"\nstill there\n"
    result = run("connect", start_server(echo).url, stdin=lines)
    assert f"Not done: {says}" in result.stderr or says in result.stderr.split("Not done: ")[1]
    assert result.stdout == "still there\n"
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("typed", "code", "reason"),
    [("/close", 1000, ""), ("/close 4000 good bye", 4000, "good bye"), ("/quit", 1000, "")],
)
def test_close(typed: str, code: int, reason: str, start_server: Callable[..., Any]) -> None:
    seen: list[object] = []

    def handler(connection: Any) -> None:
        for _ in connection:
            pass
        seen.append((connection.close_code, connection.close_reason))

    endpoint = start_server(handler)
    result = run("connect", endpoint.url, stdin=typed + "\n")
    endpoint.server.shutdown()
    assert seen == [(code, reason)]
    assert f"Closed with {code}" in result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (1000, 0, "Closed by the server with 1000 (normal): so \\x1b[1m long\n"),
        (1001, 0, "Closed by the server with 1001 (going away)"),
        (1011, 1, "Closed by the server with 1011 (internal error)"),
        (4001, 1, "Closed by the server with 4001 (a code of the application)"),
    ],
)
def test_the_servers_close_ends_it(
    code: int, status: int, says: str, start_server: Callable[..., Any]
) -> None:
    """At once, though input is still open."""

    def handler(connection: Any) -> None:
        connection.send("\x1b[31mred\r\nand blue")
        connection.close(code, "so \x1b[1m long")

    with started("connect", start_server(handler).url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == "\\x1b[31mred\\r\\nand blue\n"
        assert says in process.stderr.read()
        assert process.wait(TIMEOUT) == status


def test_a_lost_connection(start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        connection.abandon(wsfast.WebSocketError("lost on purpose"))

    result = run("connect", start_server(handler).url, "--wait", "20s")
    assert result.stderr.splitlines()[1].startswith("connection lost: 1006")
    assert result.returncode == 1


def test_listens_on_when_input_has_ended(start_server: Callable[..., Any]) -> None:
    """For a server that answers only once it has seen a ping of its own answered, and then goes."""

    def handler(connection: Any) -> None:
        message = connection.receive()
        connection.wait_pong(connection.ping(b"are you there"), TIMEOUT)
        connection.send(f"late answer to {message}")
        connection.close()

    result = run("connect", start_server(handler).url, "--wait", "1m", stdin="question\n")
    assert result.stdout == "late answer to question\n"


def test_headers_and_protocols(start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        headers = connection.request.headers
        connection.send(f"{headers['Authorization']}|{','.join(headers.get_all('X-A'))}")

    result = run(
        "connect",
        start_server(handler, protocols=["chat.v2"]).url,
        *("--header", "Authorization: Bearer abc", "--header", "X-A: 1", "--header", "X-A:2"),
        *("--protocol", "chat.v3", "--protocol", "chat.v2"),
    )
    assert result.stdout == "Bearer abc|1,2\n"
    assert "subprotocol chat.v2" in result.stderr.splitlines()[0]


def test_tls(start_server: Callable[..., Any], certificates: Any, tmp_path: Path) -> None:
    url = start_server(echo, "wss").url
    authority = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(authority)
    assert run("connect", url, "--cafile", str(authority), stdin="safe\n").stdout == "safe\n"

    refused = run("connect", url, stdin="safe\n")
    assert refused.returncode == 1
    assert "TLS: the certificate of localhost" in refused.stderr
    assert "--cafile" in refused.stderr
    assert refused.stderr.count("\n") == 1

    insecure = run("connect", url, "--insecure", stdin="hm\n")
    assert insecure.stdout == "hm\n"
    assert insecure.stderr.startswith("Warning: the certificate is not verified")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{port}", "http://us%0der:secret@proxy"])
def test_a_bad_proxy_in_the_environment(
    proxy: str, refused_port: int, environment: Callable[..., None]
) -> None:
    environment(http_proxy=proxy.replace("{port}", str(refused_port)))
    result = run("connect", "ws://server.test/")
    assert result.returncode == 1
    assert "proxy" in result.stderr
    assert "secret" not in result.stderr
    assert result.stderr.endswith(
        ". The environment names that proxy; no_proxy='*' in it goes without\n"
    )


def test_nobody_listens(refused_port: int) -> None:
    result = run("connect", f"ws://127.0.0.1:{refused_port}/")
    assert result.returncode == 1
    assert result.stderr == (
        f"wsfast: connection refused by 127.0.0.1 port {refused_port}."
        " Is the server running? To start one here: wsfast echo\n"
    )


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run("connect", f"ws://127.0.0.1:{port}/", "--timeout", "100ms")
    assert result.returncode == 1
    assert "timeout" in result.stderr
    assert "--timeout 30s" in result.stderr


def test_tls_to_a_server_that_speaks_none(start_server: Callable[..., Any]) -> None:
    result = run("connect", start_server(echo).url.replace("ws:", "wss:"))
    assert result.returncode == 1
    assert result.stderr.startswith("wsfast: TLS: ")
    assert result.stderr.endswith(". If the server speaks no TLS, use ws://\n")


@pytest.mark.parametrize(
    ("answer", "advises"),
    [
        (b"HTTP/1.1 401 No \x1b[2J\r\nContent-Length: 0\r\n\r\n", "Authorization"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "Check the path"),
        (b"SSH-2.0-OpenSSH\r\n", "Check host and port"),
    ],
)
def test_no_websocket_server(answer: bytes, advises: str) -> None:
    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        result = run("connect", f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(TIMEOUT)
    assert result.returncode == 1
    assert advises in result.stderr
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr


@signals
def test_ctrl_c_closes(start_server: Callable[..., Any]) -> None:
    codes: list[int] = []

    def handler(connection: Any) -> None:
        for _ in connection:
            pass
        codes.append(connection.close_code)

    endpoint = start_server(handler)
    with started("connect", endpoint.url) as process:
        assert line(process.stderr).startswith("Connected to")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0
        assert line(process.stderr) == "Closed with 1000 (normal)\n"
    endpoint.server.shutdown()
    assert codes == [1000]


@signals
def test_ctrl_c_while_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with started("connect", f"ws://127.0.0.1:{port}/", "--timeout", "1m") as process:
            sock, _ = listener.accept()
            assert sock.recv(1) == b"G"  # it waits for the answer to its GET
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
            sock.close()
            assert process.stderr is not None
            assert process.stderr.read() == ""


@signals
def test_whoever_reads_the_output_may_go(start_server: Callable[..., Any]) -> None:
    def handler(connection: Any) -> None:
        def flood() -> None:
            with suppress(wsfast.WebSocketError):
                while True:
                    connection.send("x" * 1000)

        thread = threading.Thread(target=flood)
        thread.start()
        for _ in connection:
            pass
        thread.join()

    with started("connect", start_server(handler).url) as process:
        assert process.stdout is not None
        assert line(process.stdout) == "x" * 1000 + "\n"
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert "Closed with 1000" in process.stderr.read()


# -------------------------------------------------------------- echo


def stop(process: "subprocess.Popen[str]", how: signal.Signals = signal.SIGINT) -> str:
    """Ends the server; returns what it logged."""
    process.send_signal(how)
    _, log = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in log
    assert process.returncode == 0
    return log


def echo_server_url(process: "subprocess.Popen[str]") -> str:
    return line(process.stdout).removeprefix("Echo server listening on ").strip()


@signals
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_the_echo_server(how: str, recorder: Any) -> None:
    with started("echo", "--port", "0") as process:
        url = echo_server_url(process)
        assert re.fullmatch(r"ws://localhost:[0-9]+/", url)
        assert line(process.stdout) == f"To connect: wsfast connect {url}\n"

        ws = wsfast.connect(url + "a%1Bpath", origin="https://elsewhere", **recorder.callbacks)
        assert recorder.opened.wait(TIMEOUT)
        wsfast.send(ws, "text")
        wsfast.send(ws, b"binary")
        assert recorder.wait_messages(2) == ["text", b"binary"]
        log = stop(process, signal.Signals[how])
        assert recorder.wait_closed() == (1001, "")
    assert re.search(r" 127.0.0.1:\d+ connected, path /a%1Bpath\n| \[::1\]:\d+ connected", log)
    assert "closed with 1001, messages: 2\n" in log


@signals
def test_the_echo_server_over_tls() -> None:
    with started("echo", "--port", "0", "--tls", "--host", "127.0.0.1") as process:
        url = echo_server_url(process)
        assert url.startswith("wss://127.0.0.1:")
        authority = line(process.stdout).split(" issued by ")[1].split(",")[0]
        assert line(process.stdout) == f"To connect: wsfast connect {url} --cafile {authority}\n"
        text = Path(authority).read_text()
        assert "BEGIN CERTIFICATE" in text
        assert "PRIVATE KEY" not in text

        for address in (url, url.replace("127.0.0.1", "localhost")):
            result = run("connect", address, "--cafile", authority, stdin="safe\n")
            assert result.stdout == "safe\n", result.stderr
        assert "TLS" in run("connect", url).stderr
        assert "no connection: TLS" in stop(process)
    assert not Path(authority).parent.exists()


def test_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run("echo", "--host", "127.0.0.1", "--port", str(port))
    assert result.returncode == 1
    assert result.stderr.startswith(f"wsfast: cannot listen on 127.0.0.1 port {port}: ")
    assert "--port 0 finds a free one" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wait_for_a_signal_may_be_one_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, where Ctrl-C does not end a wait."""

    class Stop(SimpleQueue[int]):
        waits = 0

        def get(self, block: bool = True, timeout: float | None = None) -> int:
            self.waits += 1
            if self.waits == 3:
                self.put(signal.SIGINT)
            return super().get(block, timeout)

    monkeypatch.setattr(cli, "POLL", 0.001)
    stop = Stop()
    cli._wait_for(stop)
    assert stop.waits == 3
    assert stop.empty()


def test_a_client_that_is_gone_has_no_address(start_server: Callable[..., Any]) -> None:
    connection = connect(parse_url(start_server(echo).url), client_options())
    assert re.fullmatch(r"127\.0\.0\.1:\d+|\[::1\]:\d+", cli._peer(connection))
    connection.finish()
    assert cli._peer(connection) == "somebody"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "ws://localhost:80/"),
        ("::1", "ws://[::1]:80/"),
        ("0.0.0.0", "ws://localhost:80/"),
        ("::", "ws://localhost:80/"),
        ("", "ws://localhost:80/"),
    ],
)
def test_the_url_is_one_that_can_be_connected_to(host: str, url: str) -> None:
    assert cli._url(host, 80, secure=False) == url


# -------------------------------------------------------------- without extras


@pytest.fixture
def without_trustme(tmp_path: Path) -> str:
    """A search path on which the package that the extra brings is broken away."""
    (tmp_path / "trustme.py").write_text("raise ImportError('not installed')\n")
    return os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])


def test_no_certificate_without_the_extra(without_trustme: str) -> None:
    result = run("echo", "--port", "0", "--tls", PYTHONPATH=without_trustme)
    assert result.returncode == 1
    assert "pip install 'wsfast[cli]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_all_else_works_without_the_extra(
    without_trustme: str, start_server: Callable[..., Any]
) -> None:
    url = start_server(echo).url
    assert run("connect", url, stdin="one\n", PYTHONPATH=without_trustme).stdout == "one\n"
