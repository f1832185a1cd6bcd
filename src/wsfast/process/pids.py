"""Names of processes that mean the same on every node."""

import re
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["PID", "Destination", "check_name"]

_PID = re.compile(r"\{([A-Za-z0-9]{1,64})@([A-Za-z0-9_.-]{1,64})\|([1-9][0-9]{0,17})\}")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class PID:
    """Which process: the node it runs on, that node's host, and its number there (seed 003).

    Immutable, hashable, and never used again, not by a node that is started again either.
    ``str(pid)`` has the form ``{node@host|id}``, which `parse` takes back.
    """

    node: str
    host: str
    id: int

    def __str__(self) -> str:
        return f"{{{self.node}@{self.host}|{self.id}}}"

    @classmethod
    def parse(cls, text: str) -> "PID":
        """The PID that `text` is the `str` of. `TypeError` for no str, `ValueError` for no PID."""
        if not isinstance(text, str):
            raise TypeError(f"a PID is parsed from a str, not {type(text).__name__}")
        match = _PID.fullmatch(text)
        if match is None:
            raise ValueError(f"not a PID of the form {{node@host|id}}: {text!r:.80}")
        node, host, number = match.groups()
        return cls(node, host, int(number))


Destination: TypeAlias = PID | str
"""A process: its PID, that as a str, or a registered name."""


def check_name(name: str) -> str:
    """Checks a name to register: 1 to 255 characters, and not what begins as a PID does."""
    if not isinstance(name, str):
        raise TypeError(f"a name must be a str, not {type(name).__name__}")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError(f"a name must have 1 to {_LONGEST_NAME} characters")
    if name.startswith("{"):
        raise ValueError(f"a name must not begin with '{{', as PIDs do: {name!r:.80}")
    name.encode()  # a ValueError too, if it is no Unicode
    return name
