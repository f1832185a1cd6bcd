"""What can go wrong, and how a program tells it apart: refused, too slow, no TLS.

The failing addresses are made here; the one that works is the server's.
"""

import threading

from _failing import no_server, no_tls_server, silent_server
from _server import run

import wsfast

CLOSE_CODES = {
    1000: "Normal closure",
    1001: "Going away",
    1002: "Protocol error",
    1006: "Abnormal closure",
}


def attempt(url: str, **options) -> str:
    """Connects, closes, and says how that went."""
    outcome = "connected"
    closed = threading.Event()

    def on_open():
        wsfast.close(wsfast.current())

    def on_error(text):
        nonlocal outcome
        print("WebSocket error:", text)
        if "connection refused" in text:
            outcome = "server unavailable"
        elif "timeout" in text:
            outcome = "connection timeout"
        elif "TLS" in text:
            outcome = "TLS error"
        else:
            outcome = "another error"

    def on_close(code, reason):
        print("Closed:", CLOSE_CODES.get(code, f"Code {code}"))
        if reason:
            print("Reason:", reason)
        closed.set()

    # 0 means that the URL is wrong; on_error has been called, on_close will not be.
    if wsfast.connect(url, on_open=on_open, on_error=on_error, on_close=on_close, **options):
        closed.wait()
    print("Outcome:", outcome, end="\n\n")
    return outcome


def main(url: str) -> bool:
    outcomes = [attempt(url)]
    with no_server() as address:
        outcomes.append(attempt(address))
    with silent_server() as address:
        outcomes.append(attempt(address, dial_timeout="300ms"))
    with no_tls_server() as address:
        outcomes.append(attempt(address))
    outcomes.append(attempt("http://example.com/"))
    return outcomes == [
        "connected",
        "server unavailable",
        "connection timeout",
        "TLS error",
        "another error",
    ]


if __name__ == "__main__":
    run(main, "echo")
