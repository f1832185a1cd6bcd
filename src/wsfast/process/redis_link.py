"""One connection to Redis or Valkey, by redis-py: commands one way, what is published the other."""

import contextlib
import importlib
import socket
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = ["Command", "RedisLink", "RedisServer"]

Command: TypeAlias = tuple[bytes | str | int, ...]


class RedisServer:
    """Where Redis is. Connects to nothing.

    Args:
        url: what redis-py takes: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user,
            password and options.
        timeout: seconds within which something has to come from there; within half of them an
            answer, so that a Redis that hangs is noticed before the keys of nodes expire there.

    Raises:
        ImportError: redis-py is not installed.
        ValueError: no such URL.
    """

    def __init__(self, url: str, timeout: float) -> None:
        try:
            self._redis: Any = importlib.import_module("redis")
        except ImportError as exc:
            raise ImportError("other nodes need redis-py: pip install wsfast[redis]") from exc
        options = self._redis.connection.parse_url(url)
        self._make = options.pop("connection_class", self._redis.Connection)
        self._options = options | {
            "protocol": 2,
            "decode_responses": False,
            "socket_timeout": timeout / 2,
            "socket_connect_timeout": timeout / 2,
            "health_check_interval": 0,
            # A command that is sent again could send a message twice.
            "retry": None,
            "retry_on_timeout": False,
            "retry_on_error": [],
        }
        self._subscribed = self._options | {"socket_timeout": timeout}
        try:
            self.commands()
        except TypeError as exc:
            raise ValueError("the URL has an option that redis-py does not know") from exc

    def commands(self) -> Any:
        """A connection of redis-py's, to be connected, for commands."""
        return self._make(**self._options)

    def subscription(self) -> Any:
        """The same for what is published."""
        return self._make(**self._subscribed)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Makes all errors inside `ConnectionError`."""
        try:
            yield
        except (self._redis.RedisError, OSError) as exc:
            raise ConnectionError(f"Redis: {exc}" if str(exc) else "Redis has gone") from exc


class RedisLink:
    """Two connections: one for commands, one that is subscribed. All errors are `ConnectionError`.

    `call` is for one thread at a time, `next` for another; only `interrupt` may be called at any
    time. Neither connection is ever made again by itself.
    """

    def __init__(self, server: RedisServer, channels: list[str]) -> None:
        self._server = server
        self._commands = server.commands()
        self._subscription = server.subscription()
        self.since = 0.0
        """When it was complete, as `time.monotonic` has it."""
        try:
            with server.errors():
                self._commands.connect()
                self._subscription.connect()
                self._subscription.send_command("SUBSCRIBE", *channels)
                for _ in channels:
                    self._subscription.read_response()
        except BaseException:
            self.close()
            raise
        self.since = time.monotonic()

    def call(self, commands: list[Command]) -> list[Any]:
        """Sends commands at once, and returns their answers."""
        with self._server.errors():
            self._commands.send_packed_command(self._commands.pack_commands(commands))
            return [self._commands.read_response() for _ in commands]

    def next(self) -> bytes:
        """The next message that is not empty; waits for it."""
        while True:
            with self._server.errors():
                answer = self._subscription.read_response()
            match answer:
                case [b"message", _, bytes(data)] if data:
                    return data

    def interrupt(self) -> None:
        """Ends both, so that whoever waits for them gets an error."""
        for connection in (self._commands, self._subscription):
            # redis-py itself would close the descriptor, which somebody may be about to read from.
            sock = connection._sock
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes both. Nobody may be inside any more."""
        self._commands.disconnect()
        self._subscription.disconnect()
