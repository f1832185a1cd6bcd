"""The ID API and processes: the exit of the interpreter, fork, multiprocessing.

Each test runs a script in an interpreter of its own, against a server in this one.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import raw_peers

RunScript = Callable[..., str]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


# ---------------------------------------------------------------- exit


@pytest.mark.parametrize("callback", ["None", "lambda _: None"])
def test_exit_says_goodbye(
    start_server: Any, run_script: RunScript, collector: Any, scheme: str, callback: str
) -> None:
    endpoint = start_server(collector, scheme)
    run_script(
        f"""
        numbers = [connect(sys.argv[2], on_message={callback}) for _ in range(3)]
        assert all(wsfast.send(number, "last") for number in numbers)
        """,
        endpoint.url,
    )
    assert [collector.ended.get(timeout=10)[0] for _ in range(3)] == [1001] * 3
    assert [collector.messages.get() for _ in range(3)] == ["last"] * 3


@pytest.mark.parametrize("callback", ["on_open", "on_message"])
def test_a_callback_that_never_returns_does_not_hold_the_exit_up(
    start_server: Any, run_script: RunScript, collector: Any, callback: str
) -> None:
    def handler(connection: Any) -> None:
        connection.send("x")
        collector(connection)

    run_script(
        """
        entered = threading.Event()

        def block(*_):
            entered.set()
            threading.Event().wait()

        number = wsfast.connect(sys.argv[2], **{sys.argv[3]: block})
        assert entered.wait(10)
        """,
        start_server(handler).url,
        callback,
    )
    assert collector.ended.get(timeout=10)[0] == 1001


@pytest.mark.parametrize("url", ["stalled_url", "black_hole_url"])
def test_a_dial_that_stalls_does_not_hold_the_exit_up(
    run_script: RunScript, url: str, request: pytest.FixtureRequest
) -> None:
    run_script(
        """
        number = wsfast.connect(sys.argv[2], dial_timeout=None)
        assert wsfast.get_state(number) == "connecting"
        """,
        request.getfixturevalue(url),
    )


def test_a_resolver_that_stalls_does_not_hold_the_exit_up(run_script: RunScript) -> None:
    run_script(
        """
        import socket
        entered = threading.Event()
        getaddrinfo = socket.getaddrinfo

        def stall(*args, flags=0, **kwargs):
            if flags & socket.AI_NUMERICHOST:
                return getaddrinfo(*args, flags=flags, **kwargs)
            entered.set()
            threading.Event().wait()

        socket.getaddrinfo = stall
        wsfast.connect("ws://example.invalid/", dial_timeout=None, proxy=None)
        assert entered.wait(10)
        """
    )


def test_threads_that_use_it_do_not_disturb_the_exit(
    echo_server: Any, run_script: RunScript
) -> None:
    run_script(
        """
        number = connect(sys.argv[2])
        sent = threading.Event()

        def send_and_take():
            while True:
                wsfast.send(number, "x" * 1000)
                wsfast.get_messages(number)
                wsfast.list()
                sent.set()

        for _ in range(3):
            threading.Thread(target=send_and_take, daemon=True).start()
        assert sent.wait(10)
        """,
        echo_server.url,
    )


def test_a_server_and_connections_that_nobody_closed_do_not_hold_the_exit_up(
    run_script: RunScript,
) -> None:
    run_script(
        """
        from wsfast.protocol.options import client_options
        from wsfast.protocol.url import parse_url
        from wsfast.server import serve
        from wsfast.threads.client import connect as dial

        server = serve(lambda connection: connection.receive(), "localhost")
        url = f"ws://localhost:{server.port}/"
        one = dial(parse_url(url), client_options())
        two = connect(url)
        """
    )


# ---------------------------------------------------------------- fork

IN_THE_CHILD = """
    signal.alarm(20)
    numbers = plain, secure
    assert [wsfast.get_state(n) for n in numbers] == ["error"] * 2
    assert [wsfast.is_connected(n) for n in numbers] == [False] * 2
    assert [wsfast.send(n, "from the child") for n in numbers] == [False] * 2
    assert [wsfast.get_messages(n) for n in numbers] == [[], []]
    assert wsfast.list() == []
    assert [wsfast.get_url(n) for n in numbers] == sys.argv[2:4]
    assert [wsfast.close(n) for n in numbers] == [True] * 2
    wsfast.disconnect_all()
"""

FORK = """
def check(number, text):
    check_echo(number, text)

plain, secure = connect(sys.argv[2]), connect(sys.argv[3])
check(plain, "before")
check(secure, "before")
if (pid := os.fork()) == 0:
    {child}
else:
    assert os.waitpid(pid, 0)[1] == 0
    check(plain, "after")
    check(secure, "after")
    for number in plain, secure:
        assert wsfast.get_state(number) == "connected"
        wsfast.close(number)
"""


@pytest.fixture
def both_urls(start_server: Any) -> list[str]:
    """Of an echo server over ws and of one over wss."""

    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    return [start_server(echo, scheme).url for scheme in ("ws", "wss")]


@needs_fork
@pytest.mark.parametrize("exit_by", ["sys.exit(0)", "os._exit(0)"])
def test_after_fork_the_childs_copies_are_dead_and_the_parents_live(
    run_script: RunScript, both_urls: list[str], exit_by: str
) -> None:
    run_script(FORK.format(child=IN_THE_CHILD + f"    {exit_by}"), *both_urls)


@needs_fork
def test_after_fork_the_child_opens_connections_of_its_own(
    run_script: RunScript, both_urls: list[str]
) -> None:
    child = """
    mine = [connect(url) for url in sys.argv[2:4]]
    assert not {plain, secure} & set(mine)
    for number in mine:
        check(number, "of the child")
        wsfast.close(number)
    sys.exit(0)
    """
    run_script(FORK.format(child=IN_THE_CHILD + child), *both_urls)


@needs_fork
def test_after_fork_the_drivers_connections_say_that_they_are_dead(
    run_script: RunScript, both_urls: list[str]
) -> None:
    run_script(
        """
        from wsfast.protocol.errors import ForkedError
        from wsfast.protocol.options import client_options
        from wsfast.protocol.url import parse_url
        from wsfast.threads.client import connect as dial

        connection = dial(parse_url(sys.argv[2]), client_options())

        def dies(function):
            try:
                function()
            except ForkedError as exc:
                assert not exc.clean
            else:
                raise AssertionError(f"{function} works")

        if (pid := os.fork()) == 0:
            signal.alarm(20)
            dies(connection.receive)
            dies(lambda: connection.send("x"))
            dies(connection.ping)
            connection.close()
            connection.finish()
            assert connection.wait_ended(10)
            assert connection.remote_address is None
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        connection.send("still here")
        assert connection.receive(10) == "still here"
        connection.finish()
        """,
        *both_urls,
    )


@needs_fork
def test_after_fork_a_server_is_the_parents_alone(run_script: RunScript) -> None:
    """The child neither wakes it nor keeps its port taken."""
    out = run_script(
        """
        import socket
        from wsfast.server import serve

        def echo(connection):
            for message in connection:
                connection.send(message)

        alive, end = os.pipe()
        closed, say_closed = os.pipe()
        server = serve(echo, "127.0.0.1")
        if (pid := os.fork()) == 0:
            server.serve_forever()
            server.shutdown()
            os.close(end)
            os.write(1, b"the child has shut its copy down\\n")
            os.close(say_closed)
            os.read(alive, 1)  # until the parent has seen that the port is free
            sys.exit(0)
        os.close(alive)
        os.close(say_closed)
        os.read(closed, 1)  # until the child has done so
        number = connect(f"ws://127.0.0.1:{server.port}/")
        check_echo(number, "still here")
        wsfast.close(number)
        server.shutdown()
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        except ConnectionRefusedError:
            print("the port is free")
        os.close(end)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert sorted(out.splitlines()) == ["the child has shut its copy down", "the port is free"]


@needs_fork
def test_fork_at_any_moment_leaves_no_lock_taken(
    run_script: RunScript, both_urls: list[str]
) -> None:
    """Other threads hold whatever locks there are while the process forks again and again."""
    run_script(
        """
        numbers = [connect(sys.argv[2]), connect(sys.argv[3])]
        stop = threading.Event()

        def busy(number):
            while not stop.is_set():
                assert wsfast.send(number, "x" * 100)
                wsfast.get_messages(number)
                wsfast.get_state(number)

        threads = [threading.Thread(target=busy, args=(n,)) for n in numbers]
        for thread in threads:
            thread.start()
        for _ in range(40):
            if (pid := os.fork()) == 0:
                signal.alarm(20)
                for number in numbers:
                    if wsfast.send(number, "x") or wsfast.get_state(number) != "error":
                        os._exit(1)
                    wsfast.get_messages(number)
                    wsfast.close(number)
                wsfast.disconnect_all()
                wsfast.connect(sys.argv[2])
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join(10)
        assert [wsfast.get_state(n) for n in numbers] == ["connected"] * 2
        """,
        *both_urls,
    )


@needs_fork
def test_fork_while_a_dial_is_being_given_up(run_script: RunScript, stalled_url: str) -> None:
    """Its locks are taken then, by a thread that the child does not have."""
    run_script(
        """
        number = wsfast.connect(sys.argv[2], dial_timeout=None)
        dial = wsfast.api._registry.get(number).dial
        with dial._lock, dial._cancel._lock:
            if (pid := os.fork()) == 0:
                signal.alarm(20)
                assert wsfast.close(number)
                assert wsfast.get_state(number) == "error"
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert wsfast.get_state(number) == "connecting"
        """,
        stalled_url,
    )


@needs_fork
def test_fork_leaves_alone_what_has_ended_or_has_not_begun(
    run_script: RunScript, both_urls: list[str]
) -> None:
    run_script(
        """
        from wsfast.protocol.constants import State
        from wsfast.protocol.options import client_options
        from wsfast.protocol.url import parse_url
        from wsfast.threads.client import Dial

        ended, waiting = [Dial(parse_url(sys.argv[2]), client_options()) for _ in range(2)]
        ended.open()
        ended.connection.finish()
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            assert ended.connection.state is State.DISCONNECTED
            assert ended.connection.error is None
            assert waiting.connection.state is State.ERROR
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        waiting.open()
        waiting.connection.finish()
        """,
        *both_urls,
    )


@needs_fork
def test_fork_in_the_last_moment_of_an_id(run_script: RunScript, both_urls: list[str]) -> None:
    """It has let its connection go, and is not counted among the ended yet."""
    run_script(
        """
        from wsfast import api

        inside, release = threading.Event(), threading.Event()
        ended = api._registry.ended

        def wait_and_end(*arguments):
            inside.set()
            assert release.wait(20)
            ended(*arguments)

        api._registry.ended = wait_and_end
        number = connect(sys.argv[2], reconnect=True)
        wsfast.close(number)
        assert inside.wait(10)
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            assert wsfast.get_state(number) == "disconnected"
            assert not wsfast.send(number, "x")
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        release.set()
        """,
        *both_urls,
    )


@needs_fork
def test_fork_while_connecting_leaves_the_opening_to_the_parent(run_script: RunScript) -> None:
    run_script(
        """
        import socket
        sys.path.insert(0, sys.argv[2])
        from raw_peers import RawServerPeer, response

        with socket.create_server(("127.0.0.1", 0)) as listener:
            opened = threading.Event()
            port = listener.getsockname()[1]
            number = wsfast.connect(f"ws://127.0.0.1:{port}/", on_open=opened.set)
            peer = RawServerPeer(listener.accept()[0])
        head = peer.read_head()
        if (pid := os.fork()) == 0:
            signal.alarm(20)
            assert wsfast.get_state(number) == "error"
            assert wsfast.close(number)
            peer.sock.close()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert wsfast.get_state(number) == "connecting"
        peer.send(response(head))
        assert opened.wait(10)
        assert wsfast.send(number, "x")
        assert peer.read_frame().payload == b"x"
        peer.sock.close()
        """,
        str(Path(raw_peers.__file__).parent),
    )


# ---------------------------------------------------------------- multiprocessing


@pytest.mark.parametrize("method", [pytest.param("fork", marks=needs_fork), "spawn"])
def test_multiprocessing_children_connect_for_themselves(
    run_script: RunScript, both_urls: list[str], method: str
) -> None:
    run_script(
        """
        import multiprocessing

        def work(url, inherited):
            if inherited:
                assert wsfast.send(inherited, "x") is False
            number = connect(url)
            check_echo(number, "from a child")
            wsfast.close(number)

        if __name__ == "__main__":
            method = multiprocessing.get_context(sys.argv[4])
            number = connect(sys.argv[2])
            inherited = number if sys.argv[4] == "fork" else 0
            children = [
                method.Process(target=work, args=(url, inherited)) for url in sys.argv[2:4]
            ]
            for child in children:
                child.start()
            for child in children:
                child.join(20)
            assert [child.exitcode for child in children] == [0, 0]
            check_echo(number, "from the parent")
        """,
        *both_urls,
        method,
    )
