"""All of it in one: a thread receives messages of every type while another sends, then closes."""

import threading

from _server import run, say

from wsfast.client import CLOSE_CODES, TYPE_CLOSE, TYPE_PING, TYPE_TEXT, Client, connect
from wsfast.errors import WebSocketError


def receive(client: Client, types: list[str], heard: threading.Event) -> None:
    channel = client.receive()
    while True:
        message, ok = channel.receive()
        if not ok:
            say("Connection closed")
            break
        types.append(message.type)
        if message.type == TYPE_TEXT:
            say(f"Received: {message.data}")
            heard.set()
        elif message.type == TYPE_PING:
            say("Received ping")  # it is answered automatically, but can be observed
        elif message.type == TYPE_CLOSE:
            say(f"Server closed connection: {message.code} {message.reason}")
    heard.set()  # nobody waits for what cannot come any more


def main(url: str) -> bool:
    try:
        client = connect(
            url,
            headers={"User-Agent": "wsfast example"},
            dial_timeout="5s",
            read_timeout="30s",
            write_timeout="10s",
            ping_interval="15s",
            pong_timeout="20s",
            control_messages=True,  # otherwise only text and binary messages are delivered
        )
    except WebSocketError as error:
        print("Connection failed:", error)
        return False

    types: list[str] = []
    heard = threading.Event()
    receiving = threading.Thread(target=receive, args=(client, types, heard))
    receiving.start()

    try:
        client.send("Hello")
    except WebSocketError as error:
        print("Send failed:", error)
    heard.wait(10)

    client.close(CLOSE_CODES.NORMAL, "Goodbye")
    receiving.join()
    return types == [TYPE_PING, TYPE_TEXT, TYPE_CLOSE]


if __name__ == "__main__":
    run(main, "pinging")
