"""The server under test: prints "PORT <number>" and echoes until its standard input ends."""

import sys

from conformance_peers import OPTIONS, echo

from wsfast.server import serve


def main() -> None:
    with serve(echo, "127.0.0.1", **OPTIONS) as server:
        print("PORT", server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
