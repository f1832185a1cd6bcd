"""The parts of the soak in which all goes well: connections, and messages, in great numbers."""

from collections.abc import Callable
from typing import Any

from soak_processes import Pair

PATIENCE = 120.0
"""Seconds that a batch may take."""

SAMPLES = 100
"""At rest, over a whole part."""

Progress = Callable[[int], None]


def connects(pair: Pair, total: int, progress: Progress, **options: Any) -> str:
    """Connections that are opened and closed in six ways, one in ten through TLS."""
    urls = pair.server.ask("serve_load", what="greet", options=options)
    pair.rest()
    batch = min(1000, max(20, total // SAMPLES))
    done = 0
    while done < total:
        count = min(batch, total - done)
        done += pair.client.ask(
            "call", patience=PATIENCE, urls=urls, first=done, count=count, options=options
        )
        pair.rest()
        progress(done)
    pair.server.ask("shut_down")
    return f"{done:,} connections opened and closed"


def messages(pair: Pair, total: int, progress: Progress, **options: Any) -> str:
    """Messages in six kinds of streams, one in four through TLS, each checked where it arrives."""
    urls = pair.server.ask("serve_load", what="stream", options=options)
    pair.rest()
    # Two of the kinds count both directions, so six streams carry eight times `count`.
    count = max(50, total // SAMPLES // 8)
    done = first = 0
    while done < total:
        done += pair.client.ask(
            "stream",
            patience=PATIENCE,
            urls=urls,
            first=first,
            streams=6,
            count=count,
            options=options,
        )
        first += 6
        pair.rest()
        progress(done)
    pair.server.ask("shut_down")
    return f"{done:,} messages in {first} streams"
