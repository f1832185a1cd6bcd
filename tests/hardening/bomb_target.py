"""A process of its own, so that its memory can be measured: our end of a connection to a bomber.

    bomb_target.py server             prints its ports, and serves
    bomb_target.py client URL         connects

With the small limit first, a few times, as what code and threads need once is not what is measured;
then with the large one. On each connection the first
message is harmless, and its answer tells that memory is measured from now on. After each end this
prints the close code, and by how many bytes the memory in RAM has grown at most.
"""

import contextlib
import gc
import sys
from pathlib import Path

from wsfast.protocol.errors import ProtocolError
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import serve
from wsfast.threads.client import connect
from wsfast.threads.connection import Connection

SMALL, LARGE = 64 << 10, 16 << 20
LIMITS = [SMALL, SMALL, SMALL, LARGE]


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def take(connection: Connection) -> None:
    assert connection.receive() is not None
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    connection.send("ready")
    with contextlib.suppress(ProtocolError):
        sys.exit(f"received {connection.receive()!r}")
    print(connection.close_code, status("VmHWM") - before, flush=True)


def main() -> None:
    options = [{"compression": 1, "read_limit": limit} for limit in LIMITS]
    if sys.argv[1] == "client":
        for each in options:
            take(connect(parse_url(sys.argv[2]), client_options(**each)))
        return
    servers = [serve(take, "127.0.0.1", 0, **each) for each in options]
    print(*(server.port for server in servers), flush=True)
    sys.stdin.read()
    for server in servers:
        server.shutdown()


if __name__ == "__main__":
    main()
