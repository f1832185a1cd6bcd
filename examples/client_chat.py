"""A chat room: two members in threads of their own; each says a line, both hear both."""

import json
from concurrent.futures import ThreadPoolExecutor

from _server import run, say

from wsfast.client import connect
from wsfast.errors import WebSocketError

TOKEN = "token123"
MEMBERS = {"Ada", "Ben"}


def chat(url: str, room: str, name: str) -> set[str]:
    """Takes part until everybody has said something; returns who has."""
    heard = set()
    with connect(url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        client.send(json.dumps({"type": "join", "room": room, "name": name}))
        for message in client:  # until the connection is closed
            event = json.loads(message.data)
            if event["type"] == "joined":
                say(f"{name} sees   {event['name']} join {room}")
                if len(event["members"]) == len(MEMBERS):
                    client.send(json.dumps({"type": "say", "text": f"Hello, I am {name}"}))
            elif event["type"] == "said":
                say(f"{name} hears  {event['name']}: {event['text']}")
                heard.add(event["name"])
                if heard == MEMBERS:
                    break
    say(f"{name} has left: {client.close_code}")
    return heard


def main(url: str) -> bool:
    with ThreadPoolExecutor() as pool:
        chats = [pool.submit(chat, url, "the lobby", name) for name in sorted(MEMBERS)]
    for each in chats:
        try:
            each.result()
        except WebSocketError as error:
            print("Error:", error)
            return False
    return all(each.result() == MEMBERS for each in chats)


if __name__ == "__main__":
    run(main, "rooms")
