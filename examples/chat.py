"""A chat: two users join, each says a line, both see both lines."""

import json
import threading

from _server import run, say

import wsfast


class User:
    def __init__(self, url: str, username: str) -> None:
        self.username = username
        self.joined = threading.Event()
        self.heard_all = threading.Event()
        self.left = threading.Event()
        self.heard = set()
        self._ws = wsfast.connect(
            url,
            on_open=self._on_open,
            on_message=self._on_message,
            on_close=self._on_close,
            on_error=self._on_error,
        )

    def say(self, text: str) -> bool:
        return wsfast.send(self._ws, json.dumps({"type": "message", "text": text}))

    def leave(self) -> None:
        wsfast.close(self._ws)

    def _on_open(self):
        # connect() may not have returned yet, so self._ws may not be there.
        join = {"type": "join", "username": self.username}
        wsfast.send(wsfast.current(), json.dumps(join))

    def _on_message(self, data):
        message = json.loads(data)
        if message["type"] == "message":
            say(f"{self.username} hears  {message['username']}: {message['text']}")
            self.heard.add(message["username"])
            if self.heard == {"Ada", "Ben"}:
                self.heard_all.set()
        elif message["type"] == "system":
            say(f"{self.username} hears  [SYSTEM] {message['text']}")
            if message["text"] == f"{self.username} has joined":
                self.joined.set()

    def _on_close(self, code, reason):
        say(f"{self.username} has disconnected: {code} {reason}")
        for event in (self.joined, self.heard_all, self.left):
            event.set()  # nobody waits for what cannot come any more

    def _on_error(self, text):
        say(f"{self.username}'s connection failed: {text}")


def main(url: str) -> bool:
    users = [User(url, "Ada"), User(url, "Ben")]
    for user in users:
        user.joined.wait(10)
    for user in users:
        user.say(f"Hello, I am {user.username}")
    for user in users:
        user.heard_all.wait(10)
    for user in users:
        user.leave()
    return all(user.left.wait(10) and user.heard == {"Ada", "Ben"} for user in users)


if __name__ == "__main__":
    run(main, "chat")
