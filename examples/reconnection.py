"""Reconnection with exponential backoff: whatever ends the connection, open it again."""

import threading

from _server import run

import wsfast

# A hundredth of what you would use, so that you need not wait.
POLICY = wsfast.Reconnect(initial="50ms", maximum="600ms", attempts=6)


def main(url: str) -> bool:
    messages = []
    closed = threading.Event()

    def on_open():
        print("Connected")
        wsfast.send(wsfast.current(), "Are you there?")

    def on_message(data):
        print("Message:", data)
        messages.append(data)
        wsfast.close(wsfast.current())  # only this ends it, or a reason not to try again

    def on_reconnect(attempt, delay, code, reason):
        print(f"Lost: {code} {reason}")
        print(f"Attempt {attempt} in {delay:.3f} s")

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        print("Closed:", code, reason)
        closed.set()

    if not wsfast.connect(
        url,
        on_open=on_open,
        on_message=on_message,
        on_reconnect=on_reconnect,
        on_error=on_error,
        on_close=on_close,
        reconnect=POLICY,
    ):
        return False  # a bad URL gets no better by trying again
    return closed.wait(30) and messages == ["Are you there?"]


if __name__ == "__main__":
    run(main, "unstable")
