"""The ID API: `reconnect=` and processes: a server that is killed, the exit, fork."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_peers import close_frame

import wsfast

RunScript = Callable[..., str]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


# ---------------------------------------------------------------- a server that is killed

SERVER = """
import sys
from wsfast.server import serve

def handler(connection):
    for message in connection:
        connection.send(f"{message} from {sys.argv[2]}")

with serve(handler, "127.0.0.1", int(sys.argv[1])) as server:
    print(server.port, flush=True)
    server.serve_forever()
"""


@pytest.fixture
def start_process() -> Iterator[Callable[[int, str], "tuple[subprocess.Popen[str], int]"]]:
    """Starts servers in processes of their own: `process, port = start_process(port, name)`."""
    processes: list[subprocess.Popen[str]] = []

    def start(port: int, name: str) -> "tuple[subprocess.Popen[str], int]":
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(port), name], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_server_that_is_killed_and_started_again_is_found_again(
    start_process: Any, recorder: Any
) -> None:
    process, port = start_process(0, "0")
    number = wsfast.connect(
        f"ws://127.0.0.1:{port}/",
        **recorder.callbacks,
        reconnect={"initial": "1ms", "maximum": "20ms"},
    )
    for i in range(3):
        recorder.wait("open", i + 1)
        assert wsfast.send(number, "hello")
        assert recorder.wait_messages(i + 1)[-1] == f"hello from {i}"
        process.kill()
        process.wait()
        process, _ = start_process(port, str(i + 1))
    recorder.wait("open", 4)
    wsfast.close(number)
    assert recorder.wait_closed() == (1000, "")
    assert len(recorder.of("close")) == 1
    assert {code for _, _, code, _ in recorder.of("reconnect")} == {1006}


# ---------------------------------------------------------------- exit


def test_a_wait_does_not_hold_the_exit_up(run_script: RunScript, refused_port: int) -> None:
    out = run_script(
        """
        lost = threading.Event()
        wsfast.connect(
            sys.argv[2],
            on_reconnect=lambda *_: lost.set(),
            on_close=print,
            reconnect={"initial": "10h", "maximum": "10h"},
        )
        assert lost.wait(10)
        """,
        f"ws://127.0.0.1:{refused_port}/",
    )
    assert out == "1006 closed before the connection was open\n"


def test_attempts_without_a_pause_do_not_hold_the_exit_up(
    run_script: RunScript, refused_port: int
) -> None:
    out = run_script(
        """
        tries = threading.Semaphore(0)
        for _ in range(5):
            wsfast.connect(
                sys.argv[2],
                on_reconnect=lambda *_: tries.release(),
                on_close=lambda *_: os.write(1, b"closed "),
                reconnect={"initial": "1us", "maximum": "1ms"},
            )
        for _ in range(100):
            assert tries.acquire(timeout=10)
        """,
        f"ws://127.0.0.1:{refused_port}/",
    )
    assert out == "closed " * 5


def test_on_reconnect_that_never_returns_does_not_hold_the_exit_up(
    run_script: RunScript, refused_port: int
) -> None:
    run_script(
        """
        entered = threading.Event()

        def block(*_):
            entered.set()
            threading.Event().wait()

        wsfast.connect(sys.argv[2], on_reconnect=block, reconnect=True)
        assert entered.wait(10)
        """,
        f"ws://127.0.0.1:{refused_port}/",
    )


# ---------------------------------------------------------------- fork


@needs_fork
def test_after_fork_the_child_does_not_wait_for_the_parents_connection(
    run_script: RunScript, refused_port: int
) -> None:
    out = run_script(
        """
        lost, closed = threading.Event(), threading.Event()
        number = wsfast.connect(
            sys.argv[2],
            on_reconnect=lambda *_: lost.set(),
            on_close=lambda *args: (print(*args), closed.set()),
            reconnect={"initial": "10h", "maximum": "10h"},
        )
        assert lost.wait(10)
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            assert wsfast.get_state(number) == "error"
            assert wsfast.send(number, "x") is False
            assert wsfast.get_messages(number) == []
            assert wsfast.list() == []
            assert wsfast.get_url(number) == sys.argv[2]
            wsfast.disconnect_all()
            assert wsfast.close(number) is True
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert wsfast.get_state(number) == "connecting"
        assert not closed.is_set()
        wsfast.close(number)
        assert closed.wait(10)
        """,
        f"ws://127.0.0.1:{refused_port}/",
    )
    assert out == "1006 closed before the connection was open\n"


@needs_fork
def test_a_fork_in_on_reconnect_leaves_the_next_attempt_to_the_parent(
    run_script: RunScript, raw_listener: Any
) -> None:
    """The child returns from the callback, on what is its only thread."""

    def lose_and_refuse() -> bytes:
        first = raw_listener.accept()
        first.upgrade()
        first.reset()
        second = raw_listener.accept()
        second.upgrade()
        payload: bytes = second.read_frame().payload
        second.send(close_frame(1008))
        second.read_close()
        second.sock.close()
        return payload

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(lose_and_refuse)
        run_script(
            """
            ended = threading.Event()

            def on_reconnect(*_):
                if (pid := os.fork()) == 0:
                    signal.alarm(20)
                    assert wsfast.get_state(wsfast.current()) == "error"
                else:
                    assert os.waitpid(pid, 0)[1] == 0

            def on_close(code, reason):
                if os.getpid() != parent:
                    assert (code, reason) == (1006, "closed before the connection was open")
                    os._exit(0)
                assert code == 1008
                ended.set()

            parent = os.getpid()
            wsfast.connect(
                sys.argv[2],
                on_open=lambda: wsfast.send(wsfast.current(), str(os.getpid() == parent)),
                on_reconnect=on_reconnect,
                on_close=on_close,
                reconnect={"initial": "1ms"},
            )
            assert ended.wait(20)
            """,
            raw_listener.url,
        )
    assert served.result() == b"True"
    raw_listener.expect_nobody()
