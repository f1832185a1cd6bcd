"""One message to many connections."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsfast.aio._endpoint import send_plain
from wsfast.aio.connection import Connection
from wsfast.codec import Outbox
from wsfast.protocol.constants import State
from wsfast.protocol.errors import ConnectionClosed, QueueFull
from wsfast.protocol.sending import Form

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["broadcast"]


def broadcast(connections: Iterable[Connection], message: "str | Buffer") -> list[Connection]:
    """Sends a message to all of them, and waits for nobody.

        for late in broadcast(server.connections, "news"):
            late.close_nowait(1013)

    It is framed once, and compressed once for each set of parameters that connections of a server
    agreed on without context takeover; with context takeover, and for clients, whose frames are
    masked, each has its own.

    A client that does not read does not hold the others up: what its system does not take waits in
    its send queue, and where that has reached `send_queue_bytes` or `send_queue_messages` the
    client is left out. Give servers that broadcast a lower `send_queue_bytes` than the default: so
    much may wait for each slow client.

    Returns those that were left out: their send queue is full, they are in the midst of a message
    that is sent in fragments, or not open. On their loop's thread only. Raises `TypeError` or
    `ValueError` for what cannot be sent; then nothing was.
    """
    plain = Outbox(server=True)
    plain.message(message)  # raises for what cannot be sent to anybody
    frame = plain.take()
    frames: dict[Form, bytes] = {(): frame}
    others = send_plain(connections, frame)
    return [each for each in others if not _send(each, message, frames)]


def _send(connection: Connection, message: "str | Buffer", frames: dict[Form, bytes]) -> bool:
    protocol = connection._protocol
    if protocol.state is not State.CONNECTED or protocol.fragmenting:
        return False
    form = protocol.form
    if form is None:
        try:
            connection.send_nowait(message)
        except (QueueFull, ConnectionClosed):
            return False
        return True
    frame = frames.get(form)
    if frame is None:
        frame = frames[form] = protocol.framed(message)
    return connection._send_framed(frame)
