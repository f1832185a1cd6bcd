"""What is measured: a program to be run by callgrind, with the library of `marks.c` and the port of
`peer.py` as its arguments.

Each scenario is run with a number of messages and with twice as many. What is constant, such as
opening the connection, is in both, so the difference is that of the messages alone. The names of
the dumps tell which is which; `run.py` does the sum. A flood that is received is run twice,
and the least counts, because the kernel may hand it out in more pieces than it needs.
"""

import ctypes
import gc
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import wsfast
from wsfast.codec import Decoder, Outbox

TIMEOUT = 100.0
CHUNK = 1 << 16
RECEIVED = 2
"""How often a flood is received."""

PLUG = bytes(12 << 20)
"""More than sockets hold, and less than may wait to be sent."""


class Ended(threading.Event):
    """Set when a connection is closed; `number` is its id."""

    def __init__(self, port: int, path: str, **options: Any) -> None:
        super().__init__()
        url = f"ws://127.0.0.1:{port}{path}"
        self.opened = threading.Event()
        self.number = wsfast.connect(
            url, on_open=self.opened.set, on_close=self._close, ping_interval=None, **options
        )
        if not self.opened.wait(TIMEOUT):
            sys.exit(f"no connection to {url}")

    def _close(self, code: int, reason: str) -> None:
        if code != 1000:
            print(f"closed with {code} {reason}", file=sys.stderr)
        self.set()

    def join(self) -> None:
        if not self.wait(TIMEOUT):
            sys.exit("the connection does not end")
        for thread in threading.enumerate():
            if thread.name.startswith("wsfast-") and thread is not threading.current_thread():
                thread.join(TIMEOUT)


# -------------------------------------------------------------- scenarios


def interpreter(count: int) -> None:
    """No code of ours: tells one interpreter from another."""
    kept = {}
    for number in range(count):
        kept[number % 100] = str(number)[-2:] + "!"


def decode(count: int, size: int, text: bool) -> None:
    length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
    frame = bytes([0x81 if text else 0x82]) + length + b"." * size
    chunk = frame * (CHUNK // len(frame))
    decoder = Decoder()
    left = count
    while left > 0:
        left -= len(decoder.feed(chunk))


def encode(count: int, size: int, text: bool) -> None:
    message = "." * size if text else bytes(size)
    outbox = Outbox()
    for _ in range(count // 100):
        for _ in range(100):
            outbox.message(message)
        outbox.take()


def received(port: int, count: int, size: int, text: bool) -> None:
    """A flood, through a callback that costs as little as any can."""
    kind = "text" if text else "binary"
    last: deque[str | bytes] = deque(maxlen=1)
    path = f"/flood?kind={kind}&size={size}&count={count}"
    Ended(port, path, on_message=last.append).join()


def polled(port: int, count: int, size: int) -> None:
    """A flood that waits until it is taken all at once."""
    ended = Ended(port, f"/flood?kind=binary&size={size}&count={count}")
    ended.join()
    assert len(wsfast.get_messages(ended.number)) == count


def sent(port: int, count: int, size: int) -> None:
    """A burst: while a large message is stuck in the sockets, the others gather."""
    ended = Ended(port, f"/sink?count={count + 1}")
    message, number = bytes(size), ended.number
    assert wsfast.send(number, PLUG)
    for _ in range(count):
        wsfast.send(number, message)
    with socket.create_connection(("127.0.0.1", port)) as control:
        control.sendall(b"READ")
    ended.join()


def echoed(port: int, count: int, size: int) -> None:
    """Round trips: each callback sends the next message."""
    message = bytes(size)

    def on_message(echo: str | bytes) -> None:
        wsfast.send(wsfast.current(), message)

    ended = Ended(port, f"/echo?count={count}", on_message=on_message)
    wsfast.send(ended.number, message)
    ended.join()


def scenarios(port: int) -> dict[str, tuple[int, Callable[[int], None]]]:
    """By name: how many messages, and what handles so many."""
    return {
        "interpreter": (5_000, interpreter),
        "decode 32 B binary": (20_000, lambda count: decode(count, 32, False)),
        "decode 32 B text": (20_000, lambda count: decode(count, 32, True)),
        "decode 4 KiB text": (1_500, lambda count: decode(count, 4096, True)),
        "encode 32 B binary": (20_000, lambda count: encode(count, 32, False)),
        "encode 32 B text": (20_000, lambda count: encode(count, 32, True)),
        "encode 4 KiB binary": (5_000, lambda count: encode(count, 4096, False)),
        "received 32 B binary, callbacks": (20_000, lambda n: received(port, n, 32, False)),
        "received 32 B text, callbacks": (20_000, lambda n: received(port, n, 32, True)),
        "received 32 B binary, polled": (20_000, lambda n: polled(port, n, 32)),
        "sent 32 B, in a burst": (4_000, lambda n: sent(port, n, 32)),
        "echoed 32 B, callbacks": (500, lambda n: echoed(port, n, 32)),
    }


def main() -> None:
    marks = ctypes.CDLL(sys.argv[1])
    if not marks.under_valgrind():
        sys.exit("this program is to be run by callgrind: see run.py")
    for name, (count, run) in scenarios(int(sys.argv[2])).items():
        run(count // 10)  # what is loaded or cached by the first messages
        for times in (1, 2) * (RECEIVED if name.startswith("received") else 1):
            gc.collect()  # it runs now, not whenever there is enough to do
            gc.disable()
            marks.count_anew()
            run(times * count)
            marks.written_down(f"{name} {times * count}".encode())
            gc.enable()
            print(name, times * count, flush=True)


if __name__ == "__main__":
    main()
