"""What one sends and receives through a Client: text, JSON, bytes, pings, and the end."""

import json

from _server import run

from wsfast.client import BINARY, CLOSE_CODES, TYPE_TEXT, connect
from wsfast.errors import ConnectError


def main(url: str) -> bool:
    try:
        client = connect(url)
    except ConnectError as error:
        print("Error:", error)
        return False
    channel = client.channel()

    client.send("Hello, Server!")
    message, ok = channel.receive("10s")
    if not ok:  # the connection has been closed, and everything that came before was received
        return False
    print("Type:", message.type)
    print("Data:", message.data)

    client.send(json.dumps({"type": "subscribe", "channel": "orders"}))
    client.send(bytes([1, 2, 3]))
    client.send("sent as bytes", BINARY)
    client.ping()  # returns once it was answered, and raises if it was not
    print(f"Round trip: {client.latency * 1000:.2f} ms")

    client.close(CLOSE_CODES.NORMAL, "Session ended")
    received = []
    for message in client:  # what arrived before the close; then it ends
        if message.type == TYPE_TEXT:
            print("Text:", json.loads(message.data))
        else:
            print("Bytes:", message.data)
        received.append(message.type)
    print("Closed:", client.close_code)
    return received == ["text", "binary", "binary"]


if __name__ == "__main__":
    run(main, "echo")
