"""Large messages: what is above 1 MiB goes to a file, the rest to the screen."""

import os
import tempfile
import threading
from pathlib import Path

from _server import run

import wsfast

LARGE = 1024 * 1024


def main(url: str) -> bool:
    large = os.urandom(3 * LARGE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large_data.bin")
        closed = threading.Event()

        def on_open():
            wsfast.send(wsfast.current(), "a small one first")
            wsfast.send(wsfast.current(), large)

        def on_message(data):
            if len(data) > LARGE:
                print("Large message received:", len(data), "bytes")
                path.write_bytes(data)
                wsfast.close(wsfast.current())
            else:
                print("Message:", data)

        def on_error(text):
            print("Error:", text)

        def on_close(code, reason):
            closed.set()

        ws = wsfast.connect(
            url,
            on_open=on_open,
            on_message=on_message,
            on_error=on_error,
            on_close=on_close,
            read_limit=8 * LARGE,  # a larger message ends the connection with code 1009
        )
        if not (ws and closed.wait(30) and path.exists()):
            return False
        print("Saved", path.stat().st_size, "bytes")
        return path.read_bytes() == large


if __name__ == "__main__":
    run(main, "echo")
