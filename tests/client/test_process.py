"""Clients and processes: fork, the exit of the interpreter, and what is left of a closed one."""

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from client_waiting import until

from wsfast.channel import after, select
from wsfast.client import Client, connect
from wsfast.server import Connection

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PRELUDE = """
import asyncio
from wsfast.channel import Channel, after, aselect, select
from wsfast.client import connect as open_client
from wsfast.errors import ConnectionClosed, ForkedError

context = ssl.create_default_context(cafile=sys.argv[1])
clients = [open_client(sys.argv[2]), open_client(sys.argv[3], ssl_context=context)]

def check(client, text):
    client.send(text)
    assert client.channel().receive("10s")[0].data == text
    client.send(text)
    assert select([client.channel().case_receive()], timeout="10s").value.data == text

for client in clients:
    check(client, "before")
"""


@pytest.fixture
def run_client(run_script: Any, start_server: Any) -> Callable[..., str]:
    """Runs a script that finds two open `clients` of an echo server, over ws and over wss."""

    def echo(connection: Connection) -> None:
        for message in connection:
            connection.send(message)

    urls = [start_server(echo, scheme).url for scheme in ("ws", "wss")]
    return lambda script: str(run_script(PRELUDE + script, *urls))


DIES = """
def dies(function, *args):
    try:
        function(*args)
    except ForkedError as exc:
        assert not exc.clean
    else:
        raise AssertionError(f"{function} works")

def check_dead(client):
    channel = client.channel()
    dies(channel.receive)
    dies(client.send, "x")
    dies(client.ping)
    dies(list, client)
    assert channel.closed
    assert len(channel) == 0
    assert select([channel.case_receive(), after("10s").case_receive()]).channel is channel
    assert select([channel.case_receive()], default=True).ok is False
    assert asyncio.run(channel.areceive()) == (None, False)
    assert asyncio.run(aselect([channel.case_receive()])).ok is False
    assert client.close() is True
    assert (client.state.label, client.close_code) == ("error", 1006)
"""


@needs_fork
@pytest.mark.parametrize("untaken", [False, True])
def test_in_the_child_of_a_fork_they_are_dead_and_the_parents_live(
    run_client: Any, untaken: bool
) -> None:
    run_client(
        DIES
        + f"""
if {untaken}:
    for client in clients:
        client.send("untaken")
        client.ping()  # so it has arrived
if (pid := os.fork()) == 0:
    signal.alarm(20)
    for client in clients:
        check_dead(client)
    mine = open_client(sys.argv[2])
    check(mine, "the child's own")
    mine.close()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
for client in clients:
    if {untaken}:
        assert client.channel().receive("10s")[0].data == "untaken"
    check(client, "after")
    assert client.close() is True
    assert client.close_code == 1000
"""
    )


@needs_fork
def test_a_fork_while_threads_and_tasks_wait(run_client: Any) -> None:
    """They go on in the parent; in the child nobody is there, and nothing hangs."""
    run_client(
        DIES
        + """
results = Channel(100)
done = Channel()

def take(client, way):
    channel = client.channel()
    if way == "receive":
        received, ok = channel.receive("20s")
    elif way == "select":
        received = select([channel.case_receive(), done.case_receive()], timeout="20s").value
    else:
        received, ok = asyncio.run(channel.areceive("20s"))
    results.send(received.data)

WAYS = "receive", "select", "areceive"
threads = [threading.Thread(target=take, args=(c, way)) for c in clients for way in WAYS]
for thread in threads:
    thread.start()
tick = threading.Event()
while not all(len(client.channel()._receivers) >= 2 for client in clients):
    tick.wait(0.001)
for _ in range(5):
    if (pid := os.fork()) == 0:
        signal.alarm(20)
        for client in clients:
            check_dead(client)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
for client in clients:
    for way in WAYS:
        client.send("after")
assert [results.receive("20s") for _ in threads] == [("after", True)] * 6
for thread in threads:
    thread.join()
for client in clients:
    check(client, "still here")
    client.close()
"""
    )


@pytest.mark.parametrize(
    "busy",
    [
        "",
        "select([client.channel().case_receive() for client in clients], default=True)",
        "start(clients[0].channel().receive)",
        "start(select, [client.channel().case_receive() for client in clients])",
        "start(lambda: asyncio.run(clients[0].channel().areceive()))",
        "start(clients[0].ping)",
    ],
    ids=["nobody", "stand-in", "receive", "select", "areceive", "ping"],
)
def test_the_interpreter_exits_with_open_clients(run_client: Any, busy: str) -> None:
    """Without a word, and without waiting for anybody."""
    out = run_client(
        f"""
started = threading.Event()

def start(function, *args):
    def run():
        started.set()
        function(*args)

    threading.Thread(target=run, daemon=True).start()
    assert started.wait(10)

{busy}
print("bye")
"""
    )
    assert out == "bye\n"


# ------------------------------------------------------------------ what is left


@pytest.fixture
def no_collection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is freed here but what nobody refers to."""
    for name in "STAND_IN", "ANSWER":
        monkeypatch.setattr(f"wsfast.threads.reader.{name}", 0.01)
    gc.disable()
    yield
    gc.enable()


def by_receive(client: Client) -> None:
    assert client.channel().receive("10s")[1]


def by_select(client: Client) -> None:
    cases = [client.channel().case_receive(), after("10s").case_receive()]
    assert select(cases).channel is client.channel()


def by_task(client: Client) -> None:
    import asyncio

    assert asyncio.run(client.channel().areceive("10s"))[1]


def by_nobody(client: Client) -> None:
    pass


@pytest.mark.parametrize("way", [by_receive, by_select, by_task, by_nobody])
@pytest.mark.parametrize("closes", ["we", "they", "neither"])
def test_nothing_is_left_of_a_client_that_has_ended(
    start_server: Any, scheme: str, no_collection: None, way: Any, closes: str
) -> None:
    def handler(connection: Connection) -> None:
        for message in connection:
            connection.send(message)
            if closes == "they":
                connection.close(4000)

    endpoint = start_server(handler, scheme)
    descriptors = count_descriptors()
    client = connect(endpoint.url, endpoint.options)
    left = [weakref.ref(client), weakref.ref(client.channel()), weakref.ref(client._connection)]
    client.send("x")
    way(client)
    if closes == "they":
        assert client._connection.wait_ended(10)
    elif closes == "we":
        client.close()
    else:
        endpoint.server.shutdown(5)
        assert client._connection.wait_ended(10)
    del client
    endpoint.server.shutdown(5)
    until(lambda: not reading_or_writing())
    until(lambda: [each() for each in left] == [None] * 3)  # a thread that ends holds it to the end
    assert count_descriptors() <= descriptors


def reading_or_writing() -> list[threading.Thread]:
    names = "wsfast-stand-in", "wsfast-write"
    return [thread for thread in threading.enumerate() if thread.name in names]


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.parametrize("way", [by_receive, by_select, by_task])
def test_a_channel_outlives_its_client(start_server: Any, way: Any) -> None:
    """Who has the channel can receive all that has arrived."""

    def handler(connection: Connection) -> None:
        for number in range(3):
            connection.send(str(number))
        connection.close(4000)

    client: Client | None = connect(start_server(handler).url)
    assert client is not None
    way(client)
    channel = client.channel()
    client = None
    assert [message.data for message in channel] == ["1", "2"]
    assert channel.closed
