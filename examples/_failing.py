"""Addresses at which connecting fails, each in its own way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_server() -> Iterator[str]:
    """Listens, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def no_server() -> Iterator[str]:
    """A port that is taken, so that nobody else can start to listen there."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def no_tls_server() -> Iterator[str]:
    """Answers the TLS handshake with something else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                sock.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"wss://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
