"""Binary data: send bytes, get them back, compare. `str` travels as text, `bytes` as binary."""

import hashlib
import threading

from _server import run

import wsfast


def main(url: str) -> bool:
    file_data = bytes(range(256)) * 1000  # or Path("image.png").read_bytes()
    received = []
    closed = threading.Event()

    def on_open():
        print(f"Sending {len(file_data)} bytes")
        wsfast.send(wsfast.current(), file_data)

    def on_message(data):
        kind = "bytes" if isinstance(data, bytes) else "characters of text"
        print(f"Received {len(data)} {kind}")
        received.append(data)
        wsfast.close(wsfast.current())

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        closed.set()

    ws = wsfast.connect(
        url, on_open=on_open, on_message=on_message, on_error=on_error, on_close=on_close
    )
    if not (ws and closed.wait(10) and received):
        return False
    print("SHA-256", hashlib.sha256(received[0]).hexdigest())
    return received == [file_data]


if __name__ == "__main__":
    run(main, "echo")
