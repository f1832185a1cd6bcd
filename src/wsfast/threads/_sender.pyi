"""What the compiled module offers. The docstrings live here, where editors and readers look."""

from typing import Self, final

from typing_extensions import Buffer, disjoint_base

from wsfast.codec import Outbox
from wsfast.threads.stream import Stream

@final
class Senders:
    """The senders of the ID API's open connections. Thread-safe."""

    def __new__(cls, error: type[Exception]) -> Self:
        """error: what `send` answers with False."""

    def set(self, id: int, sender: Sender) -> None:
        """The connection with this id is open."""

    def discard(self, id: int) -> None:
        """It is no longer."""

    def clear(self) -> None:
        """None is; also in the child of a fork, whatever another thread was doing here."""

    def send(self, id: int, data: str | Buffer) -> bool:
        """As `wsfast.send`, which it is."""

@disjoint_base
class Sender:
    """Adds messages to an outbox, and writes to a socket what gathers there. Thread-safe.

    `Writer` completes it: the methods at the end, which it calls without holding anything.
    """

    def __new__(
        cls, outbox: Outbox, *, max_bytes: int, max_frames: int, gap: float, idle: float
    ) -> Self:
        """At most `max_bytes` and `max_frames` wait to be sent, except that a single message always
        may. `gap` and `idle` are seconds; see `BURST_GAP` and `IDLE`."""

    def begin(self, fd: int, stream: Stream | None = None) -> None:
        """Gives it something to write to. `stream` encodes what is to be sent, if it must be."""

    def end(self) -> bool:
        """Nothing more will be written, whatever is added; the write thread ends. False, and
        nothing is changed, while somebody writes."""

    @property
    def outbox(self) -> Outbox:
        """Where the messages gather."""

    @property
    def busy(self) -> bool:
        """Whether somebody writes."""

    @property
    def broken(self) -> bool:
        """Whether nothing more can be sent, though the connection may not have seen its end."""

    @property
    def unsent(self) -> int:
        """As `Connection.unsent`."""

    def fits(self, size: int) -> bool:
        """Whether there is room; if not, `room_made` or `freed` will be called once there is."""

    def send(self, data: str | Buffer) -> None:
        """As `Connection.send`."""

    def kick(self) -> None:
        """Something was added to the outbox: writes it, unless somebody is at it."""

    def take_role(self) -> int:
        """Takes the writing role and what is pending, if there is anything to do and nobody has it.

        Returns what `go` must be called with next, without a lock.
        """

    def go(self, then: int) -> None:
        """Does what `take_role` has found."""

    def fail(self) -> None:
        """By who has the role: nothing can be sent any more."""

    def write_loop(self) -> None:
        """The write thread."""

    def thread_failed(self) -> None:
        """The write thread could not be started."""

    # -------------------------------------------------------------- what a Writer does

    def send_slowly(self, data: str | Buffer, size: int) -> None:
        """As `send`, when there is more to do than to frame the message."""

    def start_thread(self) -> None:
        """Starts `write_loop` on a thread, or calls `thread_failed`."""

    def freed(self) -> None:
        """Nobody writes any more, and somebody waits for room or the connection is not open."""

    def room_made(self) -> None:
        """There is room for those who wait for it."""

    def interrupted(self) -> None:
        """By who has the role: what has been sent of a frame is not known."""
