"""Threads of our own."""

import logging
import threading
from collections.abc import Callable

__all__ = ["start_thread"]

logger = logging.getLogger("wsfast")


def start_thread(target: Callable[[], None], name: str) -> threading.Thread | None:
    """Starts a daemon thread; None if the system, or a Python that is exiting, has none left."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:
        logger.error("no thread for %s: %s", name, exc)
        return None
    return thread
