"""Game state: send our position at a steady rate, keep a copy of where everybody is."""

import json
import math
import threading
import time

from _server import run

import wsfast

TICK = 0.05
"""Seconds between two updates: 20 per second."""
STEPS = 10


class Game:
    def __init__(self, url: str) -> None:
        self.ready = threading.Event()
        self.over = threading.Event()
        self.name = ""
        self.players = {}
        self._changed = threading.Condition()
        self._ws = wsfast.connect(
            url, on_message=self._on_message, on_error=self._on_error, on_close=self._on_close
        )

    def send_position(self, x: float, y: float) -> bool:
        position = {"type": "position", "x": x, "y": y, "timestamp": time.time()}
        return wsfast.send(self._ws, json.dumps(position))

    def wait_until_at(self, x: float, y: float) -> bool:
        """Waits until the server says that we are there, or the connection ends."""
        there = {"x": x, "y": y}
        with self._changed:
            self._changed.wait_for(
                lambda: self.players.get(self.name) == there or self.over.is_set(), timeout=10
            )
            return self.players.get(self.name) == there

    def leave(self) -> bool:
        return wsfast.close(self._ws) and self.over.wait(10)

    def _on_message(self, data):
        message = json.loads(data)
        if message["type"] == "welcome":
            self.name = message["name"]
            print("Sync connected as", self.name)
            self.ready.set()
        elif message["type"] == "state":
            with self._changed:
                self.players = message["players"]
                self._changed.notify_all()
            for name, position in message["players"].items():
                print(f"{name} is at {position['x']:+.2f} {position['y']:+.2f}")

    def _on_error(self, text):
        print("Error:", text)

    def _on_close(self, code, reason):
        print("Closed:", code, reason)
        with self._changed:
            self.over.set()
            self._changed.notify_all()
        self.ready.set()  # nobody waits for what cannot come any more


def main(url: str) -> bool:
    game = Game(url)
    game.ready.wait(10)
    x = y = 0.0
    for step in range(1, STEPS + 1):
        x, y = math.cos(step), math.sin(step)
        game.send_position(x, y)
        if game.over.wait(TICK):  # paces the loop, and ends it early if the server goes
            return False
    return game.wait_until_at(x, y) and game.leave()


if __name__ == "__main__":
    run(main, "game")
