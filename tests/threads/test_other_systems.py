"""On a system that has no more than Windows: no fork, no poll, no send that does not wait."""

import subprocess
import sys

SCRIPT = """
import os, select, socket, threading

for module, name in (
    (os, "fork"), (os, "register_at_fork"), (select, "poll"), (select, "epoll"), (select, "kqueue"),
    (socket, "MSG_DONTWAIT"), (socket, "MSG_NOSIGNAL"),
):
    vars(module).pop(name, None)

from wsfast import client as face
from wsfast.channel import Channel, select
from wsfast.certificates import ThrowAway, trusting
from wsfast.protocol.options import client_options
from wsfast.protocol.url import parse_url
from wsfast.server import serve
from wsfast.threads.client import connect

LARGE = bytes(range(256)) * 100_000  # more than the sockets of both ends hold
sent = threading.Event()

def handler(connection):
    connection.send(LARGE)  # it returns once the socket is full
    sent.set()
    for message in connection:
        connection.send(message)

def converse(url, **options):
    sent.clear()
    connection = connect(parse_url(url), client_options(read_limit=len(LARGE), **options))
    assert sent.wait(10)
    assert connection.receive(10) == LARGE
    for message in "text", b"bytes", "x" * 100_000:
        connection.send(message)
        assert connection.receive(10) == message
    try:
        connection.receive(0.01)
    except TimeoutError:
        pass
    else:
        raise AssertionError("a message that nobody has sent")
    connection.finish()
    assert connection.close_code == 1000
    with face.connect(url, read_limit=len(LARGE), **options) as client:
        cases = [client.channel().case_receive(), Channel().case_receive()]
        for message in LARGE, "text":
            assert select(cases, timeout="10s").value.data == message
            client.send("text")
    assert client.close_code == 1000

channel = Channel()
sending = threading.Thread(target=channel.send, args=(1,))
sending.start()
assert select([channel.case_receive()]).value == 1
sending.join()

with serve(handler, "127.0.0.1") as server:
    converse(f"ws://127.0.0.1:{server.port}/")
identity = ThrowAway.issue("127.0.0.1")
with serve(handler, "127.0.0.1", ssl_context=identity.server_context) as server:
    converse(f"wss://127.0.0.1:{server.port}/", ssl_context=trusting(identity.authority_pem))
"""


def test_both_ends_of_a_connection() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
