"""What the relay costs beside a plain ASGI application under the same server: `run.py --help`."""

import argparse
import contextlib
import math
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROTOCOLS = ["wsfast.uvicorn:WebSocketProtocol", "websockets-sansio", "wsproto"]
FRAME = bytes([0x81, 0x80 | 32]) + bytes(4) + b"x" * 32
ECHO = 2 + 32
BATCH = 50


@contextlib.contextmanager
def server(protocol: str) -> Iterator[tuple[int, int]]:
    """Port and process id."""
    command = [sys.executable, str(Path(__file__).with_name("server.py")), protocol]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline()), child.pid
        finally:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(2)
            child.kill()


def connect(port: int, path: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock


def take(sock: socket.socket, size: int) -> None:
    while size:
        size -= len(sock.recv(size))


def round_trip(sock: socket.socket, count: int) -> float:
    """Seconds for each, one message in flight."""
    started = time.perf_counter()
    for _ in range(count):
        sock.sendall(FRAME)
        take(sock, ECHO)
    return (time.perf_counter() - started) / count


def batch(sock: socket.socket, count: int) -> float:
    """Seconds for each of many that are in flight at once."""
    started = time.perf_counter()
    for _ in range(count // BATCH):
        sock.sendall(FRAME * BATCH)
        take(sock, ECHO * BATCH)
    return (time.perf_counter() - started) / count


def cpu(pid: int) -> float:
    """Seconds that the server has computed for, in its only thread."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return math.nan


def compare(port: int, pid: int, repeat: int) -> None:
    for name, measure in (("round trip", round_trip), ("50 in flight", batch)):
        with connect(port, "/plain") as plain, connect(port, "/echo") as echo:
            times: dict[str, list[float]] = {"plain": [], "relayed": []}
            computed: dict[str, list[float]] = {"plain": [], "relayed": []}
            for sock in (plain, echo):
                measure(sock, 500)
            for _ in range(repeat):
                for kind, sock in (("plain", plain), ("relayed", echo)):
                    before = cpu(pid)
                    times[kind].append(measure(sock, 500))
                    computed[kind].append((cpu(pid) - before) / 500)
        for what, samples in (("time", times), ("CPU of the server", computed)):
            for which, choose in (("median", statistics.median), ("best", min)):
                first, second = (choose(each) * 1e6 for each in samples.values())
                print(
                    f"  {name:13} {what:17} {which:6}  plain {first:6.1f} µs"
                    f"  relayed {second:6.1f} µs  {second - first:+6.1f} µs"
                    f" {(second / first - 1) * 100:+5.0f} %"
                )


def broadcast(port: int, members: int, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(port, "/room")) for _ in range(members)]
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            socks[0].sendall(FRAME)
            for sock in socks:
                take(sock, ECHO)
            seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds)
    print(f"  one to {members:,}: {median * 1e3:.1f} ms ({members / median:,.0f} messages/s)")


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def memory(protocol: str, count: int) -> None:
    for path in ("/plain", "/idle"):
        with server(protocol) as (port, pid), contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connect(port, path))
            before = resident(pid)
            for _ in range(count):
                stack.enter_context(connect(port, path))
            each = (resident(pid) - before) / count
        print(f"  {count:,} idle at {path}: {each / 1024:.1f} KiB each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=9, help="0: do not compare; default: 9")
    parser.add_argument("--members", type=int, default=1000, help="of the room; 0: no broadcast")
    parser.add_argument("--idle", type=int, default=5000, help="sockets; 0: do not measure memory")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20_000, hard), hard))
    for protocol in args.protocols.split(","):
        print(protocol)
        with server(protocol) as (port, pid):
            if args.repeat:
                compare(port, pid, args.repeat)
            if args.members:
                broadcast(port, args.members, 20)
        if args.idle and sys.platform == "linux":
            memory(protocol, args.idle)


if __name__ == "__main__":
    main()
