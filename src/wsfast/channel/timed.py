"""`after`: a channel that yields once, later."""

import time

from wsfast.channel.cases import Taken
from wsfast.channel.channels import Channel
from wsfast.protocol.durations import Duration, seconds

__all__ = ["after"]


def after(duration: Duration) -> Channel[float]:
    """A channel that yields once after `duration`, and then is closed (`time.after` of seed 001).

    The value is the time that it was due at, by `time.monotonic()`. One of those who receive gets
    it; all others find the channel closed. Closing it before lets it end without a value. Sending
    raises `TypeError`.

    No thread and no timer is behind it: whoever waits for it, in `select` too, sleeps only until
    then. So it costs nothing while nobody waits, and is gone as soon as nobody has it. May be
    called from any thread.

    Args:
        duration: milliseconds, a Go duration string or a timedelta; above zero.

    Raises:
        TypeError: no duration; None is none here.
        ValueError: no valid duration, not above zero, or longer than 24 days.
    """
    delay = seconds(duration, "duration")
    if delay is None:
        raise TypeError("duration must not be None")
    return _After(time.monotonic() + delay)


class _After(Channel[float]):
    """Its value comes from the clock, which wakes nobody: see `Channel._due`.

    Everybody takes it for themselves. So there is nothing that `_give_back` would get.
    """

    _sendable = False

    def __init__(self, due: float) -> None:
        super().__init__()
        self._due: float = due

    def __len__(self) -> int:
        return int(not self._closed and time.monotonic() >= self._due)

    def _take(self) -> Taken | None:
        if self._closed:
            return None, False
        if time.monotonic() < self._due:
            return None
        self._closed = True
        return self._due, True
