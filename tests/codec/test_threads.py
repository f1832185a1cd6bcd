"""Different objects in different threads; one object in several only with a lock."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from codec_wire import BINARY, PING, TEXT, cut, frame, parse_frames, receive

from wsfast.codec import Decoder, Outbox, Ping

THREADS = 4


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run_at_once(work: Callable[[int], None]) -> None:
    """Runs work(0), work(1)... each in a thread, and raises what one of them raised."""
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(run, number) for number in range(THREADS)]:
            done.result()


def test_a_decoder_each() -> None:
    def work(number: int) -> None:
        key = b"key%d" % number
        text = f"thread {number} é"
        stream = frame(TEXT, text.encode(), key=key) + frame(PING, b"%d" % number, key=key)
        stream += frame(BINARY, bytes([number]) * 5000, key=key)
        expected = [text, Ping(b"%d" % number), bytes([number]) * 5000]
        decoder = Decoder(server=True, buffer_size=1024)
        for round_ in range(100):
            assert receive(decoder, cut(stream, range(0, len(stream), 100 + round_))) == expected
            assert decoder.feed(stream) == expected

    run_at_once(work)


def test_an_outbox_each() -> None:
    def work(number: int) -> None:
        outbox, decoder = Outbox(), Decoder(server=True)
        for i in range(500):
            outbox.text(f"{number} {i}")
            outbox.binary(bytes([number]) * i)
            assert decoder.feed(outbox.take()) == [f"{number} {i}", bytes([number]) * i]

    run_at_once(work)


def test_keys_of_outboxes_in_threads_differ() -> None:
    keys: list[bytes | None] = []

    def work(number: int) -> None:
        outbox = Outbox()
        for _ in range(50):
            outbox.ping()
        keys.extend(sent.key for sent in parse_frames(outbox.take()))

    run_at_once(work)
    assert len(set(keys)) == len(keys) == 50 * THREADS


def test_one_outbox_with_a_lock() -> None:
    outbox = Outbox()
    lock = threading.Lock()
    taken: list[bytes] = []
    count = 500

    def work(number: int) -> None:
        for i in range(count):
            with lock:
                outbox.text(f"{number} {i}")
                if i % 7 == number:
                    taken.append(outbox.take())

    run_at_once(work)
    taken.append(outbox.take())
    messages = Decoder(server=True).feed(b"".join(taken))
    for number in range(THREADS):
        own = [message for message in messages if message.startswith(f"{number} ")]
        assert own == [f"{number} {i}" for i in range(count)]
    assert len(messages) == THREADS * count


SHARED_WITHOUT_LOCK = """
import sys, threading
from wsfast.codec import Decoder, Outbox

sys.setswitchinterval(1e-6)
decoder, outbox = Decoder(buffer_size=64), Outbox()
message = bytes([0x82, 126]) + (500).to_bytes(2, "big") + bytes(500)

def decode():
    for i in range(2000):
        try:
            if i % 3:
                decoder.feed(message)
            else:
                view = decoder.get_buffer()
                decoder.received(min(len(view), i % 50))
        except ValueError:
            pass

def send():
    for i in range(2000):
        outbox.binary(message)
        if i % 5 == 0:
            outbox.take()

threads = [threading.Thread(target=target) for target in (decode, send) * 3]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("survived")
"""


def test_sharing_without_a_lock_does_not_crash(run_python) -> None:
    assert run_python(SHARED_WITHOUT_LOCK).split() == ["survived"]
