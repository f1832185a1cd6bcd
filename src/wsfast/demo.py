"""`wsfast demo`: echo over ws:// and wss://, every byte compared, and how fast it was.

The server is a process of its own, so that it does not share an interpreter lock with the client
whose speed is shown.
"""

import multiprocessing
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from queue import Empty, SimpleQueue
from typing import Any

import wsfast
from wsfast.certificates import LOCAL_NAMES, MissingExtra, ThrowAway, trusting
from wsfast.server import Connection, serve

__all__ = ["DemoFailed", "Figures", "exchange", "main", "measure"]

SIZES = (0, 1, 125, 126, 4096, 65_535, 65_536, 1_048_576)
"""Bytes: where the frame header changes its form, and what lies between."""

ROUND_TRIP_SIZES = (32, 16_384)
ROUND_TRIP_SECONDS = 1.0
WARM_UP = 50
"""Round trips that are not counted."""

BURST = 50_000
"""Messages, of 32 bytes each."""

TIMEOUT = 20.0
"""Seconds to wait for anything before the demo fails."""


class DemoFailed(Exception):
    """What came back differs from what was sent, or nothing came back."""


@dataclass(frozen=True)
class Figures:
    """What was measured over one scheme."""

    round_trips: dict[int, list[float]]
    """Seconds each, ascending, by message size in bytes."""
    burst_rate: float
    """Messages per second: sent without waiting for answers, and echoed."""


def main() -> int:
    """Runs the demo and returns the exit status: 1 if anything came back wrong."""
    began = time.perf_counter()
    print(f"wsfast {wsfast.__version__}: an echo server in a process of its own, a client here")
    figures: dict[str, Figures] = {}
    left_out = ""
    for tls in (False, True):
        try:
            with _server(tls=tls) as (url, options):
                print(f"\n{url}{'  (its throw-away certificate is verified)' if tls else ''}")
                exchange(url, **options)
                print("  measuring round trips and a burst ...", flush=True)
                figures["wss" if tls else "ws"] = measure(url, **options)
        except MissingExtra as exc:
            left_out = f"\nwss:// was left out: {exc}"
        except DemoFailed as exc:
            print(f"\nFAILED: {exc}", flush=True)
            return 1
    print("\n" + "\n".join(_table(figures)) + left_out)
    print(f"\nEvery echo was right. The demo took {time.perf_counter() - began:.1f} s.")
    return 0


# -------------------------------------------------------------- the server


@contextmanager
def _server(*, tls: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs a server: its URL, and the options that a client needs for it. Raises `MissingExtra`."""
    # "spawn" exists everywhere, and copies no thread or lock of ours.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, tls), daemon=True)
    process.start()
    theirs.close()
    try:
        port, authority = _started(ours)
        options: dict[str, Any] = {}
        if tls:
            options["ssl_context"] = trusting(authority)
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/", options
    finally:
        ours.close()
        process.join(TIMEOUT)


def _started(pipe: "Pipe[Any, Any]") -> tuple[int, bytes]:
    """The server's port, and the authority that its clients must trust."""
    if not pipe.poll(TIMEOUT):
        raise DemoFailed(f"the server did not start within {TIMEOUT:g} seconds")
    try:
        answer: tuple[int, bytes] | Exception = pipe.recv()
    except EOFError:
        raise DemoFailed("the server did not start") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _serve(pipe: "Pipe[Any, Any]", tls: bool) -> None:
    """The server's process, which ends when the demo does, however that comes about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo
    try:
        identity = ThrowAway.issue(*LOCAL_NAMES) if tls else None
    except MissingExtra as exc:
        pipe.send(exc)
        return
    context = identity.server_context if identity is not None else None
    with serve(_echo, "localhost", 0, ssl_context=context) as server:
        pipe.send((server.port, identity.authority_pem if identity is not None else b""))
        try:
            pipe.recv()
        except EOFError:
            pass


def _echo(connection: Connection) -> None:
    for message in connection:
        connection.send(message)


# -------------------------------------------------------------- talking to it


def _converse(
    url: str,
    begin: Callable[[int], None],
    on_echo: Callable[[str | bytes], bool],
    options: dict[str, Any],
) -> None:
    """Connects, calls `begin(id)` on this thread, then `on_echo` with what comes until it is True.

    `on_echo` runs as the callback that it is. Raises `DemoFailed`.
    """
    opened, closed = threading.Event(), threading.Event()
    outcome: SimpleQueue[DemoFailed | OSError | None] = SimpleQueue()

    def on_message(echo: str | bytes) -> None:
        try:
            if on_echo(echo):
                outcome.put(None)
        except (DemoFailed, OSError) as exc:  # OSError: nobody reads what we print
            outcome.put(exc)

    def on_close(code: int, reason: str) -> None:
        outcome.put(DemoFailed(f"the connection was closed with {code} {reason}".rstrip()))
        closed.set()
        opened.set()

    ws = wsfast.connect(
        url,
        on_open=opened.set,
        on_message=on_message,
        on_error=lambda text: outcome.put(DemoFailed(text)),
        on_close=on_close,
        **options,
    )
    try:
        if ws and opened.wait(TIMEOUT) and not closed.is_set():
            begin(ws)
        failure = outcome.get(timeout=TIMEOUT)
    except Empty:
        raise DemoFailed(f"no echo within {TIMEOUT:g} seconds") from None
    finally:
        if wsfast.close(ws):
            closed.wait(TIMEOUT)
    if failure is not None:
        raise failure


def _send(ws: int, payload: str | bytes) -> None:
    if not wsfast.send(ws, payload):
        raise DemoFailed(f"{_described(payload)} could not be sent")


def _check(sent: str | bytes, echo: str | bytes) -> None:
    if echo == sent:
        return
    what = f"sent {_described(sent)}, got {_described(echo)}"
    pairs = zip(_bytes(sent), _bytes(echo), strict=False)
    for offset, (one, other) in enumerate(pairs):
        if one != other:
            raise DemoFailed(f"{what}: byte {offset} is {other:#04x} instead of {one:#04x}")
    raise DemoFailed(what)


# -------------------------------------------------------------- every byte


def exchange(url: str, **options: Any) -> None:
    """Sends text and binary of all sizes, one after the other, and compares what comes back.

    `options` are those of `wsfast.connect`. Raises `DemoFailed`.
    """
    payloads = [make(size) for size in SIZES for make in (_text, _binary)]
    progress = _Progress(len(payloads))
    waiting = iter(payloads)
    sent = next(waiting)

    def on_echo(echo: str | bytes) -> bool:
        nonlocal sent
        _check(sent, echo)
        progress.step(_described(sent))
        try:
            sent = next(waiting)
        except StopIteration:
            return True
        _send(wsfast.current(), sent)
        return False

    _converse(url, lambda ws: _send(ws, sent), on_echo, options)
    progress.end(f"{len(payloads)} messages of 0 B to 1 MiB, text and binary: every byte came back")


def _text(size: int) -> str:
    """Text of `size` bytes of UTF-8, with characters of one to four bytes."""
    pattern = "wsfast ~ \u00e9 \u20ac \U0001f40d "
    whole = pattern * (size // len(pattern.encode()))
    return whole + "." * (size - len(whole.encode()))


def _binary(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _described(message: str | bytes) -> str:
    size = len(_bytes(message))
    return f"{_size(size)} {'text' if isinstance(message, str) else 'binary'}"


def _size(size: int) -> str:
    for unit, name in ((1_048_576, "MiB"), (1024, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


class _Progress:
    """A bar on a terminal, a line for each step elsewhere."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._bar = sys.stdout.isatty()

    def step(self, text: str) -> None:
        self._done += 1
        if self._bar:
            bar = ("#" * self._done).ljust(self._steps, ".")
            print(f"\r\x1b[K  [{bar}] {text}", end="", flush=True)
        else:
            print(f"  {self._done}/{self._steps} {text}", flush=True)

    def end(self, text: str) -> None:
        print(("\r\x1b[K  " if self._bar else "  ") + text, flush=True)


# -------------------------------------------------------------- how fast


def measure(url: str, **options: Any) -> Figures:
    """Measures round trips and a burst. `options` as for `exchange`. Raises `DemoFailed`."""
    return Figures(
        {size: _round_trips(url, size, options) for size in ROUND_TRIP_SIZES},
        _burst_rate(url, options),
    )


def _round_trips(url: str, size: int, options: dict[str, Any]) -> list[float]:
    """One message under way at a time, sent by the callback that got the one before."""
    payload = _binary(size)
    times: list[float] = []
    until = sent_at = 0.0

    def begin(ws: int) -> None:
        nonlocal until, sent_at
        sent_at = time.perf_counter()
        until = sent_at + ROUND_TRIP_SECONDS
        _send(ws, payload)

    def on_echo(echo: str | bytes) -> bool:
        nonlocal sent_at
        now = time.perf_counter()
        times.append(now - sent_at)
        _check(payload, echo)
        if now > until and len(times) > WARM_UP:
            return True
        sent_at = time.perf_counter()
        _send(wsfast.current(), payload)
        return False

    _converse(url, begin, on_echo, options)
    return sorted(times[WARM_UP:])


def _burst_rate(url: str, options: dict[str, Any]) -> float:
    """All messages at once; each is another one, so that a loss or a swap would show."""
    payloads = [b"%032d" % number for number in range(BURST)]
    waiting = iter(payloads)
    last = payloads[-1]
    began = ended = 0.0

    def begin(ws: int) -> None:
        nonlocal began
        began = time.perf_counter()
        for payload in payloads:
            _send(ws, payload)

    def on_echo(echo: str | bytes) -> bool:
        nonlocal ended
        _check(next(waiting), echo)
        ended = time.perf_counter()
        return echo == last

    _converse(url, begin, on_echo, options)
    return BURST / (ended - began)


def _table(figures: dict[str, Figures]) -> Iterator[str]:
    heads = [f"round trip {_size(size)}" for size in ROUND_TRIP_SIZES]
    yield "       " + "".join(f"{head:<23}" for head in heads) + "burst of 32 B"
    yield "       " + f"{'p50':>8}  {'p99':>8}     " * len(heads) + "messages/s"
    for scheme, measured in figures.items():
        cells = ""
        for times in measured.round_trips.values():
            p50, p99 = (times[len(times) * percent // 100] for percent in (50, 99))
            cells += f"{p50 * 1e6:5.0f} \u00b5s  {p99 * 1e6:5.0f} \u00b5s     "
        yield f"  {scheme:<5}{cells}{measured.burst_rate:>10,.0f}"
