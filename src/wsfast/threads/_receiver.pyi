"""What the compiled module offers. The docstrings live here, where editors and readers look."""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Self, final

from typing_extensions import disjoint_base

from wsfast.codec import Decoder
from wsfast.protocol.connection import Connection, Event, Message
from wsfast.protocol.parts import PartInbox
from wsfast.system._cipher import Cipher
from wsfast.threads._sender import Sender
from wsfast.threads.inbox import Inbox
from wsfast.threads.stream import Stream

def join(lists: list[list[Message]]) -> list[Message]:
    """The messages of all the lists, in order; the lists are empty afterwards. Nobody else may use
    them meanwhile, and they must be different ones."""

@final
class Delivery:
    """Calls back with each message. One thread at a time."""

    def __new__(
        cls, on_message: Callable[[Message], object], on_exception: Callable[[BaseException], None]
    ) -> Self:
        """`on_exception` gets what `on_message` raises, and must not raise; then the next is
        delivered."""

    def __call__(self, messages: Iterable[Message]) -> None:
        """Delivers them in order."""

@final
class Receiver:
    """Receives from a socket into a decoder. One thread at a time, except where it is said."""

    def __new__(
        cls,
        decoder: Decoder,
        sender: Sender,
        fd: int,
        cipher: Cipher | None = None,
        stream: Stream | None = None,
    ) -> Self:
        """`sender` is told that something has arrived. It is received from `fd`, and decrypted by
        `cipher` if there is one; or from `stream`, if there is that."""

    stop: bool
    """Set by anyone, at any time: `run` returns after the chunk that it is at."""

    @property
    def in_recv(self) -> bool:
        """Whether it waits for bytes. From any thread."""

    @property
    def heard_at(self) -> float:
        """When bytes arrived last, as `time.monotonic()` tells it; 0 for never. From any thread."""

    @property
    def message_at(self) -> float:
        """When messages did, and nothing else with them. From any thread."""

    @property
    def control(self) -> bool:
        """Whether the list returned last holds anything but messages."""

    @property
    def message_bytes(self) -> int:
        """The size of the messages in the list returned last."""

    def receive(self, deadline: float | None = None) -> list[Event] | None:
        """Waits for the next bytes; what they end, or None at the end of the stream.

        Raises `TimeoutError` without an `errno` at the deadline, `OSError`, `MemoryError`.
        """

    def run(self, deliver: Callable[[list[Message]], None]) -> list[Event] | None:
        """Goes on receiving, and delivers what comes as long as it is messages alone.

        Returns and raises as `receive` does; an empty list if it was told to stop.
        """

@disjoint_base
class Taker:
    """Takes messages one by one, and reads them itself if nobody else does. Thread-safe.

    The lock guards the attributes. `Reader` completes it by what is called here: `others_wait`,
    `take`, `put`, `wait`, `at_end` and `give_back` with the lock held, and without it `settle` and,
    by who has the reading role, `make_receiver`, `failed`, `ended` and `handle`.
    """

    def __new__(cls, protocol: Connection, lock: Lock, inbox: Inbox | PartInbox) -> Self:
        """`lock` is that of the connection."""

    @property
    def inbox(self) -> Inbox | PartInbox:
        """What has arrived and waits to be taken."""

    receiver: Receiver | None
    """From the first frames on."""

    reading: bool
    """Whether somebody has the reading role."""

    watching: bool
    """Whether somebody may wait for messages in another way than by `receive`."""

    promised: bool
    """Whether one of those may give back what it has been handed. Who waited for the network then
    would not see it."""

    held_back: bool
    """Whether the protocol must `resume` before anything else is received."""

    waiting: int
    """How many threads want the role, or what its holder receives."""

    waiting_for_pong: int
    """How many threads wait for a pong."""

    stand_in_due: float | None
    """When `check_stand_in` is to be called."""

    def receive(self, timeout: float | None = None) -> Message | None:
        """As `Connection.receive`; None if others are `watching`, or `promised` something: then the
        caller has to do as they do."""

    def wait_for(self, poll: Callable[[], object], timeout: float | None = None) -> Any:
        """As `receive`, but returns what `poll` does, which is called with the lock held whenever
        something may have changed, as soon as that is not None."""
