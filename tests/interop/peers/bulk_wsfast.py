"""The server's end of the bulk transfer, by our own server: arguments certificates, scheme.

See interop_bulk.py.
"""

import json
import sys
import threading

from interop_bulk import PAUSES, TO_CLIENT, TO_SERVER, Check, Messages, Sender
from interop_common import Message, contexts, say

from wsfast.protocol.errors import ConnectionClosed, SendTimeout
from wsfast.server import Connection, serve

SERVER_TLS, _ = contexts()
SCHEME = sys.argv[3]

resume = threading.Event()
senders: list[Sender] = []
over = threading.Event()


def handler(connection: Connection) -> None:
    def send(message: Message) -> bool:
        try:
            connection.send(message)
        except SendTimeout:
            return False
        return True

    check = Check(Messages(TO_SERVER))
    senders.append(Sender(Messages(TO_CLIENT), send))
    try:
        while True:
            if check.count in PAUSES:
                resume.clear()
                say(paused=True)
                resume.wait()
            check.got(connection.receive())
    except ConnectionClosed as exc:
        say(done=check.result(), close=[exc.code, exc.reason])
    over.set()


def listen() -> None:
    for line in sys.stdin:
        if "resume" in json.loads(line):
            resume.set()
        else:
            say(blocked=senders[0].wait_blocked())


def main() -> None:
    tls = SERVER_TLS if SCHEME == "wss" else None
    options = {
        "write_timeout": "100ms",
        "send_queue_bytes": 4 << 20,
        "receive_queue_bytes": 1 << 20,
    }
    with serve(handler, "localhost", ssl_context=tls, **options) as server:
        say(port=server.port)
        threading.Thread(target=listen, daemon=True).start()
        over.wait()


main()
