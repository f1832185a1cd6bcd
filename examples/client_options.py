"""Options of a Client: headers, a subprotocol, timeouts, compression, limits."""

import json

from _server import run

from wsfast.client import COMPRESSION, connect
from wsfast.errors import ConnectError, InvalidOption

TOKEN = "token123"

# A duration is a number of milliseconds, a string such as "1m30s", or a timedelta.
OPTIONS = {
    "headers": {"Authorization": f"Bearer {TOKEN}", "X-Custom": "value"},
    "protocols": ["graphql-ws"],
    "dial_timeout": "10s",
    "read_timeout": "30s",
    "write_timeout": 10_000,
    "compression": COMPRESSION.CONTEXT_TAKEOVER,
    "compression_threshold": 1024,
    "read_limit": 64 * 1024,
    "channel_capacity": 100,
    "ping_interval": "15s",
    "pong_timeout": "20s",
}


def main(url: str) -> bool:
    try:
        connect(url, OPTIONS, read_limits=1)
    except TypeError as error:
        print("Error:", error)  # before anything was sent
    try:
        connect(url, OPTIONS | {"read_timeout": "30"})
    except InvalidOption as error:
        print("Error:", error)

    try:
        client = connect(url, OPTIONS)
    except ConnectError as error:
        print("Error:", error)
        return False
    with client:
        print("Subprotocol:", client.subprotocol)
        print("Compressed:", client.compressed)
        message, ok = client.channel().receive("10s")
        if not ok:
            print("Closed:", client.close_code, client.close_reason)
            return False
        print("The server has seen:", message.data)
        client.send("compressed " * 1000)
        large, ok = client.channel().receive("10s")
        print("Received:", len(large.data), "characters")
    return ok and json.loads(message.data)["X-Custom"] == "value"


if __name__ == "__main__":
    run(main, "headers")
