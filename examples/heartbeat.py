"""A heartbeat of the application's own, for servers that ask for one.

To notice a dead peer none is needed: wsfast sends WebSocket pings by itself every 20 seconds
(`ping_interval`, `pong_timeout`) and answers those of the server.
"""

import json
import threading

from _server import run

import wsfast

INTERVAL = 0.1
"""Seconds; 30 would be usual."""
BEATS = 3


def main(url: str) -> bool:
    pongs = []
    closed = threading.Event()

    def on_open():
        print("Connected")
        threading.Thread(target=beat, args=(wsfast.current(),), daemon=True).start()

    def beat(ws):
        while wsfast.send(ws, json.dumps({"type": "ping"})):
            if closed.wait(INTERVAL):
                return

    def on_message(data):
        if json.loads(data)["type"] == "pong":
            print("Heartbeat received")
            pongs.append(data)
            if len(pongs) == BEATS:
                wsfast.close(wsfast.current())

    def on_error(text):
        print("Error:", text)

    def on_close(code, reason):
        print("Closed:", code, reason)
        closed.set()

    ws = wsfast.connect(
        url, on_open=on_open, on_message=on_message, on_error=on_error, on_close=on_close
    )
    return ws > 0 and closed.wait(10) and len(pongs) >= BEATS


if __name__ == "__main__":
    run(main, "heartbeat")
