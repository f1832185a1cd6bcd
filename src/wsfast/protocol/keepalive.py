"""Our pings, their answers, and what silence means (RFC 6455, sections 5.5.2 and 5.5.3)."""

from typing import NamedTuple

__all__ = ["Keepalive", "later", "reached"]


class _Ping(NamedTuple):
    number: int
    data: bytes
    sent_at: float


class Keepalive:
    """Knows which pings are unanswered, when the next is due and when the peer counts as dead.

    Times are seconds of the caller's clock; `interval` and `timeout` as the options `ping_interval`
    and `pong_timeout`.
    """

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self._interval = interval
        self._timeout = timeout
        self._unanswered: list[_Ping] = []  # seldom more than one; a deque takes 600 bytes
        self._probe: _Ping | None = None  # the unanswered ping by which we judge the peer
        self._due: float | None = None
        self._heard_at = 0.0
        self.sent = 0
        """Pings sent so far; the number of the last one."""
        self.answered = 0
        """The number of the last ping that has been answered, by its own pong or a later one's."""
        self.latency: float | None = None
        """Seconds between the last answered ping and its pong."""

    def start(self, now: float) -> None:
        """The connection is open."""
        self._due = later(now, self._interval)
        self._heard_at = now

    def heard(self, now: float) -> None:
        """Something, whatever it was, came from the peer; or nobody listened until now. What is
        told late, or again, changes nothing."""
        self._heard_at = max(self._heard_at, now)

    def ping_sent(self, data: bytes, now: float) -> int:
        """A ping was queued; returns its number."""
        self.sent += 1
        self._unanswered.append(_Ping(self.sent, data, now))
        return self.sent

    def unique_data(self) -> bytes:
        """Data for the next ping that no other one has."""
        return b"wsfast %d" % self.sent

    def probe_sent(self, number: int) -> None:
        """The ping with this number, the last one, was queued because `probe_due` has come."""
        assert number == self._unanswered[-1].number
        self._probe = self._unanswered[-1]

    def pong_received(self, data: bytes, now: float) -> None:
        """A pong answers its ping and those before it; one that answers none means nothing.

        Of several pings with the same data it is taken for the last one's: a peer need not answer
        the others (RFC 6455, section 5.5.3).
        """
        found = [p for p in self._unanswered if p.data == data]
        if not found:
            return
        answered = found[-1]
        count = self._unanswered.index(answered) + 1
        if self._probe in self._unanswered[:count]:
            self._probe = None
        del self._unanswered[:count]
        self.answered = answered.number
        self.latency = now - answered.sent_at

    @property
    def deadline(self) -> float | None:
        """When something is to be done next."""
        due = [when for when in (self._due, self._dead_at) if when is not None]
        return min(due, default=None)

    @property
    def _dead_at(self) -> float | None:
        """Any byte proves life, so that a pong may queue behind a large message."""
        if self._probe is None:
            return None
        return later(max(self._heard_at, self._probe.sent_at), self._timeout)

    def is_dead(self, now: float) -> bool:
        """Whether the peer has been silent for too long."""
        return reached(self._dead_at, now)

    def probe_due(self, now: float) -> bool:
        """Whether a ping is to be sent; asked once per interval."""
        if not reached(self._due, now):
            return False
        self._due = later(now, self._interval)
        return self._probe is None


def later(now: float, timeout: float | None) -> float | None:
    """The time `timeout` seconds from now; None if there is no timeout."""
    return None if timeout is None else now + timeout


def reached(deadline: float | None, now: float) -> bool:
    """Whether there is a deadline and it has come."""
    return deadline is not None and now >= deadline
