"""What a select can do with a channel: receive from it, or send to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from wsfast.channel.waiting import Waiter

if TYPE_CHECKING:
    from wsfast.channel.channels import Channel

__all__ = ["Case", "Cases", "Receive", "Send", "Taken"]

Taken: TypeAlias = tuple[Any, bool]
"""A value, and whether the channel was open."""


class Case:
    """One thing that `select` may do; made by `Channel.case_receive` and `Channel.case_send`.

    Immutable: it may be used again, by several threads at once too.
    """

    __slots__ = ("channel",)

    def __init__(self, channel: "Channel[Any]") -> None:
        self.channel = channel


class Receive(Case):
    """Takes a value, or notices the end."""

    __slots__ = ()

    @property
    def due(self) -> float | None:
        """When it may become possible with nobody's doing."""
        return self.channel._due

    def attempt(self) -> Taken | None:
        """Does it; None if it is not possible now. The channel's lock must be held."""
        return self.channel._take()

    def enlist(self, waiter: Waiter, index: int) -> None:
        """Has others do it once it is possible. The channel's lock must be held."""
        self.channel._receivers[waiter, index] = None

    def strike(self, waiter: Waiter, index: int) -> None:
        """Takes `enlist` back. The channel's lock must be held."""
        self.channel._receivers.pop((waiter, index), None)

    def before_waiting(self) -> None:
        """Once the waiter is enlisted everywhere, without a lock."""
        self.channel._before_waiting()

    def undo(self, value: Any, ok: bool) -> None:
        """What was done for somebody who is not there any more, without a lock."""
        if ok:
            with self.channel._lock:
                self.channel._give_back(value)
                self.channel._serve()


class Send(Case):
    """Adds a value. Its methods are those of `Receive`."""

    __slots__ = ("value",)

    def __init__(self, channel: "Channel[Any]", value: Any) -> None:
        super().__init__(channel)
        self.value = value

    @property
    def due(self) -> float | None:
        return None

    def attempt(self) -> Taken | None:
        return self.channel._put(self.value)

    def enlist(self, waiter: Waiter, index: int) -> None:
        self.channel._senders[waiter, index] = self.value

    def strike(self, waiter: Waiter, index: int) -> None:
        self.channel._senders.pop((waiter, index), None)

    def before_waiting(self) -> None:
        pass

    def undo(self, value: Any, ok: bool) -> None:
        pass  # a value that was taken stays sent


Cases: TypeAlias = Sequence[Receive | Send]
