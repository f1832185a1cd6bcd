"""A small HTTP proxy for the example that needs one: it opens tunnels, and says to where."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from socket import create_connection, socket

from _server import say


class Tunnel(socketserver.StreamRequestHandler):
    """Answers one CONNECT request, and passes bytes on until one end closes."""

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass  # the rest of the head
        say(f"Proxy: {method} {target}")
        host, _, port = target.rpartition(":")
        try:
            server = create_connection((host.strip("[]"), int(port)), timeout=10)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            self.wfile.write(f"HTTP/1.1 502 {reason}\r\n\r\n".encode())
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with server, suppress(ConnectionError):
            relay(self.request, server)


def relay(client: socket, server: socket) -> None:
    other = {client: server, server: client}
    while True:
        for end in select(list(other), [], [])[0]:
            data = end.recv(65536)
            if not data:
                return
            other[end].sendall(data)


@contextmanager
def running() -> Iterator[str]:
    """Runs the proxy; gives its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
