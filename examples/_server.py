"""What the examples talk to when they are given no address: a server with the behaviour they need.

python examples/_server.py [PORT]     serves all of it until Ctrl-C, for examples run elsewhere
"""

import itertools
import json
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import wsfast
from wsfast.server import Connection, serve


def run(main: Callable[[str], bool], path: str) -> None:
    """Runs an example against the address on the command line, or against a server of its own.

    Ends the program: with status 0 if `main(url)` is true, otherwise with 1.
    """
    if len(sys.argv) > 1:
        sys.exit(not main(sys.argv[1]))
    with serve(by_path, "localhost", 0, **OPTIONS) as server:
        succeeded = main(f"ws://localhost:{server.port}/{path}")
    sys.exit(not succeeded)


_printing = threading.Lock()


def say(text: str) -> None:
    """Prints a line. Callbacks of several connections run at the same time, and `print` alone
    would mix their lines."""
    with _printing:
        print(text)


def echo(connection: Connection) -> None:
    """Sends back what comes."""
    for message in connection:
        connection.send(message)


class Group:
    """Those who are connected at the moment, to send something to all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        with self._lock:
            self._members.add(connection)

    def remove(self, connection: Connection) -> None:
        with self._lock:
            self._members.discard(connection)

    def send(self, **message: object) -> None:
        text = json.dumps(message)
        with self._lock:
            for member in self._members:
                with suppress(wsfast.WebSocketError):  # one that is leaving just now
                    member.send(text)


room = Group()


def chat(connection: Connection) -> None:
    """Passes on what members say, and tells who comes and goes."""
    username = ""
    try:
        for text in connection:
            message = json.loads(text)
            if message["type"] == "join":
                username = message["username"]
                room.add(connection)
                room.send(type="system", text=f"{username} has joined")
            elif message["type"] == "message" and username:
                room.send(type="message", username=username, text=message["text"])
    finally:
        room.remove(connection)
        room.send(type="system", text=f"{username} has left")


players = Group()
player_numbers = itertools.count(1)
positions: dict[str, dict[str, float]] = {}


def game(connection: Connection) -> None:
    """Tells every player where all of them are, each time that one of them moves."""
    name = f"player{next(player_numbers)}"
    players.add(connection)
    connection.send(json.dumps({"type": "welcome", "name": name}))
    try:
        for text in connection:
            position = json.loads(text)
            positions[name] = {"x": position["x"], "y": position["y"]}
            players.send(type="state", players=positions.copy())
    finally:
        players.remove(connection)
        positions.pop(name, None)


visits = itertools.count()


def unstable(connection: Connection) -> None:
    """Closes three of four connections instead of answering; echoes on the fourth."""
    if next(visits) % 4 < 3:
        connection.close(1012, "restarting")
    echo(connection)


def heartbeat(connection: Connection) -> None:
    """Answers {"type": "ping"} with {"type": "pong"}."""
    for text in connection:
        if json.loads(text)["type"] == "ping":
            connection.send(json.dumps({"type": "pong"}))


def headers(connection: Connection) -> None:
    """Lets in who knows the token, and says which headers arrived."""
    sent = connection.request.headers
    if sent.get("Authorization") != "Bearer token123":
        connection.close(1008, "wrong token")
        return
    connection.send(json.dumps({"Authorization": "accepted", "X-Custom": sent.get("X-Custom")}))
    echo(connection)


def pinging(connection: Connection) -> None:
    """Echoes, and sends a ping before each answer."""
    for message in connection:
        connection.ping()
        connection.send(message)


class Room(Group):
    """Members who see each other by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []


rooms: defaultdict[str, Room] = defaultdict(Room)


def chat_rooms(connection: Connection) -> None:
    """As the chat, in as many rooms as there are names for."""
    name, room = "", Room()
    try:
        for text in connection:
            message = json.loads(text)
            if message["type"] == "join":
                name, room = message["name"], rooms[message["room"]]
                room.add(connection)
                room.names.append(name)
                room.send(type="joined", name=name, members=room.names)
            elif message["type"] == "say":
                room.send(type="said", name=name, text=message["text"])
    finally:
        room.remove(connection)
        if name in room.names:
            room.names.remove(name)


STARTS = {"BTC-USD": 50_000.0, "ETH-USD": 3_000.0}


def prices(connection: Connection) -> None:
    """Sends three prices for each symbol that is asked for, with a pause before the last, and
    closes: its market has short hours."""
    symbols = json.loads(connection.receive())["symbols"]
    for step in range(3):
        if step == 2:
            with suppress(TimeoutError):
                connection.receive(0.3)  # so that pings are answered meanwhile
        for symbol in symbols:
            connection.send(json.dumps({"symbol": symbol, "value": STARTS[symbol] + step}))
    connection.close(1000, "the market has closed")
    connection.run(None)


OPTIONS: dict[str, Any] = {"protocols": ["graphql-ws"], "compression": "context_takeover"}
"""What clients may ask for."""

HANDLERS = {
    "chat": chat,
    "game": game,
    "unstable": unstable,
    "heartbeat": heartbeat,
    "headers": headers,
    "pinging": pinging,
    "prices": prices,
    "rooms": chat_rooms,
}


def by_path(connection: Connection) -> None:
    """/chat is the chat, and so on; everything else echoes."""
    HANDLERS.get(connection.request.path.strip("/"), echo)(connection)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with serve(by_path, "localhost", port, **OPTIONS) as server:
        for path in ["echo", *HANDLERS]:
            print(f"ws://localhost:{server.port}/{path}")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
