"""Reconnection with exponential backoff: whatever ends the connection, open it again."""

import threading

from _server import run

import wsfast


def stay_connected(url, on_message, stop, first_delay=5.0, max_delay=60.0):
    """Keeps a connection open until `stop` is set; the delays are in seconds."""
    delay = first_delay

    def on_open():
        print("Connected")
        wsfast.send(wsfast.current(), "Are you there?")

    def answered(data):
        # Not in on_open: a server that accepts and drops us at once would never be spared.
        nonlocal delay
        delay = first_delay
        on_message(data)

    def on_error(text):
        print("Error:", text)

    while not stop.is_set():
        closed = threading.Event()

        def on_close(code, reason, closed=closed):
            print("Disconnected:", code, reason)
            closed.set()

        if not wsfast.connect(
            url, on_open=on_open, on_message=answered, on_error=on_error, on_close=on_close
        ):
            return  # a bad URL gets no better by trying again
        closed.wait()
        if not stop.is_set():
            print(f"Reconnecting in {delay:g} s")
            stop.wait(delay)
            delay = min(delay * 2, max_delay)


def main(url: str) -> bool:
    messages = []
    stop = threading.Event()

    def on_message(data):
        print("Message:", data)
        messages.append(data)
        stop.set()
        wsfast.close(wsfast.current())

    # A hundredth of the usual delays, so that you need not wait.
    keeper = threading.Thread(
        target=stay_connected, args=(url, on_message, stop, 0.05, 0.6), daemon=True
    )
    keeper.start()
    keeper.join(10)
    return messages == ["Are you there?"]


if __name__ == "__main__":
    run(main, "unstable")
