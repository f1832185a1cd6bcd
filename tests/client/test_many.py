"""Many clients in one select, many threads and tasks on one client."""

import asyncio
import queue
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channel_waiting import WAIT, count, until_waiting

from wsfast.channel import Channel, aselect, select
from wsfast.client import Client, Message, connect
from wsfast.server import Connection

CLIENTS = 100
EACH = 50


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def many(start_server: Any) -> Iterator[tuple[list[Client], list[Connection]]]:
    """Clients and the server's ends of their connections, in the same order."""
    arrived: queue.Queue[Connection] = queue.Queue()

    def handler(connection: Connection) -> None:
        arrived.put(connection)
        connection.run(None)

    url = start_server(handler).url
    clients, servers = [], []
    for _ in range(CLIENTS):
        clients.append(connect(url, ping_interval=None))
        servers.append(arrived.get(timeout=WAIT))
    yield clients, servers
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(Client.close, clients))


Many = tuple[list[Client], list[Connection]]


def test_a_select_gets_every_message_of_many_clients(many: Many, pool: ThreadPoolExecutor) -> None:
    """From several threads and a task at once; each once, and those of a client in order."""
    clients, servers = many
    channels = [client.channel() for client in clients]
    cases = [channel.case_receive() for channel in channels]
    done: Channel[None] = Channel()
    cases.append(done.case_receive())

    def by_thread() -> list[tuple[Any, str]]:
        came = []
        while (chosen := select(cases, timeout="20s")).channel is not done:
            came.append((chosen.channel, chosen.value.data))
            tell()
        return came

    async def by_task() -> list[tuple[Any, str]]:
        came = []
        while (chosen := await aselect(cases, timeout="20s")).channel is not done:
            came.append((chosen.channel, chosen.value.data))
            tell()
        return came

    lock, all_came = threading.Lock(), threading.Event()
    left = CLIENTS * EACH

    def tell() -> None:
        nonlocal left
        with lock:
            left -= 1
            if not left:
                all_came.set()

    running = [pool.submit(by_thread) for _ in range(3)]
    running.append(pool.submit(lambda: asyncio.run(by_task())))
    for number in range(EACH):
        for server in servers:
            server.send(str(number))
    assert all_came.wait(60)
    done.close()
    results = [each.result(WAIT) for each in running]
    for result in results:
        latest = dict.fromkeys(channels, -1)
        for channel, text in result:
            assert int(text) > latest[channel]
            latest[channel] = int(text)
    seen = Counter(entry for result in results for entry in result)
    assert len(seen) == CLIENTS * EACH
    assert set(seen.values()) == {1}
    assert [count(channel) for channel in channels] == [(0, 0)] * CLIENTS


def test_closing_one_of_many_ends_a_select(many: Many, pool: ThreadPoolExecutor) -> None:
    clients, servers = many
    open_ones = dict(enumerate(clients))
    order = [*open_ones]
    random.shuffle(order)
    for place, number in enumerate(order):
        cases = [client.channel().case_receive() for client in open_ones.values()]
        waiting = pool.submit(select, cases)
        if place % 2:
            until_waiting(open_ones[number].channel(), receivers=1)
        client = open_ones.pop(number)
        if place % 3:
            client.close()
        else:
            servers[number].close(4000)
        chosen = waiting.result(WAIT)
        assert (chosen.channel, chosen.value, chosen.ok) == (client.channel(), None, False)
        assert client.close_code == (1000 if place % 3 else 4000)


def test_a_select_over_many_times_out_and_loses_nothing(many: Many) -> None:
    clients, servers = many
    cases = [client.channel().case_receive() for client in clients]
    with pytest.raises(TimeoutError):
        select(cases, timeout=1)
    came = []
    deadline = time.monotonic() + WAIT
    for number, server in enumerate(servers):
        server.send(str(number))
        while len(came) <= number - 3:  # some are always on their way
            assert time.monotonic() < deadline
            try:
                chosen = select(cases, timeout=0.05)
            except TimeoutError:
                continue
            came.append((chosen.channel, chosen.value.data))
    while len(came) < CLIENTS:
        chosen = select(cases, timeout="20s")
        came.append((chosen.channel, chosen.value.data))
    expected = {client.channel(): str(number) for number, client in enumerate(clients)}
    assert dict(came) == expected
    assert select(cases, default=True).default


# ------------------------------------------------------------------ one client

COUNT = 20_000


@pytest.fixture
def flooded(start_server: Any) -> Callable[..., Client]:
    """A client that gets so many numbered messages, and then a close.

    `flooded(count, trickle=False, **options)`; if they trickle, those who receive have to wait.
    """

    def flood(count: int = COUNT, *, trickle: bool = False, **options: Any) -> Client:
        never = threading.Event()

        def handler(connection: Connection) -> None:
            for number in range(count):
                connection.send(str(number))
                if trickle and random.random() < 0.5:
                    never.wait(random.random() * 0.001)
            connection.close(4000)

        return connect(start_server(handler).url, **options)

    return flood


def take_plain(channel: Any) -> list[int]:
    came = []
    while (received := channel.receive("20s"))[1]:
        came.append(int(received[0].data))
    return came


def take_impatiently(channel: Any) -> list[int]:
    came = []
    while True:
        try:
            message, ok = channel.receive(0.01)
        except TimeoutError:
            continue
        if not ok:
            return came
        came.append(int(message.data))


def take_by_select(channel: Any) -> list[int]:
    came = []
    cases = [channel.case_receive(), Channel[int]().case_receive()]
    while (chosen := select(cases, timeout="20s")).ok:
        came.append(int(chosen.value.data))
    return came


def take_by_polling(channel: Any) -> list[int]:
    came = []
    tick = threading.Event()
    while (chosen := select([channel.case_receive()], default=True)).ok or chosen.default:
        if chosen.ok:
            came.append(int(chosen.value.data))
        else:
            tick.wait(0.0001)
    return came


def take_by_task(channel: Any) -> list[int]:
    async def main() -> list[int]:
        return [int(message.data) async for message in channel]

    return asyncio.run(main())


def take_by_cancelled_tasks(channel: Any) -> list[int]:
    """Each receive is cancelled at some moment, also when it has just been handed a message."""

    async def main() -> list[int]:
        came: list[int] = []
        loop = asyncio.get_running_loop()
        while True:
            task = asyncio.ensure_future(channel.areceive())
            loop.call_later(random.random() * 0.0005, task.cancel)
            try:
                message, ok = await task
            except asyncio.CancelledError:
                continue
            if not ok:
                return came
            came.append(int(message.data))

    return asyncio.run(main())


WAYS = [
    take_plain,
    take_impatiently,
    take_by_select,
    take_by_polling,
    take_by_task,
    take_by_cancelled_tasks,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("capacity", [1, 10_000])
def test_one_way_alone(flooded: Any, way: Any, capacity: int) -> None:
    client = flooded(channel_capacity=capacity)
    assert way(client.channel()) == [*range(COUNT)]
    assert client.close_code == 4000
    assert client.close()


@pytest.mark.parametrize("way", WAYS)
def test_one_way_alone_that_has_to_wait(flooded: Any, way: Any) -> None:
    client = flooded(2000, trickle=True)
    assert way(client.channel()) == [*range(2000)]
    assert client.close()


@pytest.mark.parametrize("capacity", [1, 10_000])
@pytest.mark.parametrize("trickle", [False, True])
def test_all_ways_at_once(
    flooded: Any, pool: ThreadPoolExecutor, capacity: int, trickle: bool
) -> None:
    """Each message comes once. Not always in order: what a cancelled task gives back is late."""
    count = 3000 if trickle else COUNT
    client = flooded(count, trickle=trickle, channel_capacity=capacity)
    running = [pool.submit(way, client.channel()) for way in WAYS * 2]
    came = [each.result(100) for each in running]
    assert sorted(number for each in came for number in each) == [*range(count)]
    assert client.close_code == 4000
    assert client.close()


@pytest.mark.parametrize("way", [take_plain, take_by_select, take_by_task])
def test_several_of_a_kind(flooded: Any, pool: ThreadPoolExecutor, way: Any) -> None:
    client = flooded()
    came = [each.result(100) for each in [pool.submit(way, client.channel()) for _ in range(8)]]
    assert sorted(number for each in came for number in each) == [*range(COUNT)]
    for each in came:
        assert each == sorted(each)
    assert client.close()


def test_a_thread_that_changes_its_way(flooded: Any) -> None:
    client = flooded(channel_capacity=100)
    channel = client.channel()

    async def receive() -> Any:
        return await channel.areceive("20s")

    came = []
    loop = asyncio.new_event_loop()
    while True:
        way = random.randrange(4)
        if way == 0:
            message, ok = channel.receive("20s")
        elif way == 1:
            chosen = select([channel.case_receive()], timeout="20s")
            message, ok = chosen.value, chosen.ok
        elif way == 2:
            chosen = select([channel.case_receive()], default=True)
            if chosen.default:
                continue
            message, ok = chosen.value, chosen.ok
        else:
            message, ok = loop.run_until_complete(receive())
        if not ok:
            break
        came.append(int(message.data))
    loop.close()
    assert came == [*range(COUNT)]
    assert client.close()


# ------------------------------------------------------------------ sending

SENDERS = 50
SENT = 100


def test_messages_of_many_threads_are_whole_and_in_order(
    start_server: Any, pool: ThreadPoolExecutor, scheme: str
) -> None:
    came: queue.Queue[list[Any]] = queue.Queue()
    endpoint = start_server(lambda connection: came.put(list(connection)), scheme)

    def make(sender: int, number: int) -> str | bytes:
        size = 70_000 if number == 50 else number * 37 % 3000
        text = f"{sender} {number} ".ljust(size, "é")
        return text if number % 2 else text.encode()

    start = threading.Barrier(SENDERS)

    def send(sender: int) -> None:
        start.wait(WAIT)
        for number in range(SENT):
            message = make(sender, number)
            if number % 10 == 9 and isinstance(message, str):
                client.send(message[at : at + 1000] for at in range(0, len(message), 1000))
            else:
                client.send(message)
            if number % 33 == 32:
                client.ping()

    with connect(endpoint.url, endpoint.options) as client:
        for each in [pool.submit(send, sender) for sender in range(SENDERS)]:
            each.result(60)
    received = came.get(timeout=WAIT)
    assert len(received) == SENDERS * SENT
    latest = [-1] * SENDERS
    for message in received:
        start_of = message[:20] if isinstance(message, str) else message[:20].decode("u8", "ignore")
        sender, number = map(int, start_of.split()[:2])
        assert message == make(sender, number)
        assert number == latest[sender] + 1
        latest[sender] = number


def test_a_send_that_is_answered_by_the_same_thread(echo_server: Any) -> None:
    """Request and response, in turn by each way to receive."""
    with connect(echo_server.url, echo_server.options) as client:
        channel = client.channel()
        for number in range(1000):
            client.send(str(number))
            if number % 2:
                assert channel.receive("20s") == (Message("text", str(number)), True)
            else:
                chosen = select([channel.case_receive()], timeout="20s")
                assert chosen.value == Message("text", str(number))
