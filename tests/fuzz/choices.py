"""Decisions read off the bytes that a fuzzer makes up: the more it changes, the more changes."""


class Choices:
    """Takes decisions from the front of `data`; once that is used up, all are the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is anything left to decide by."""
        return self._at < len(self._data)

    def number(self, most: int) -> int:
        """One of 0 to `most`, which is below 65536."""
        return int.from_bytes(self.bytes(1 if most < 256 else 2), "big") % (most + 1)

    def bytes(self, size: int) -> bytes:
        """Up to `size` bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def some_bytes(self) -> bytes:
        """Up to 300 bytes, their number being decided too."""
        return self.bytes(self.number(300))

    def rest(self) -> bytes:
        """All that is left."""
        return self.bytes(len(self._data))
