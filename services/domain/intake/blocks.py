"""From pieces of text to blocks of whole lines, in bounded memory. Knows no columns.

A line longer than the limit is cut to a stub that is still too long, so that whoever looks at the lines sees one line
that is refused and never its bytes. Called by `Reading`.
"""

from collections.abc import Iterator
from typing import Final

# Large enough that the calls for a block cost its rows nothing, small enough that most of what is made of it stays in
# the processor's cache.
BLOCK_BYTES: Final = 2 << 20
ROW_BYTES_MAX: Final = 64 << 10
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Blocks:
    """One object's text: `feed` its pieces in order, then `finish`. Each block ends in a newline."""

    def __init__(self, *, block_bytes: int = BLOCK_BYTES, row_bytes_max: int = ROW_BYTES_MAX) -> None:
        self._block_bytes = block_bytes
        # One too many, and what will be stripped: a carriage return, a byte order mark.
        self._stub_bytes = row_bytes_max + 2 + len(_BYTE_ORDER_MARK)
        self._parts: list[bytes | memoryview] = []
        self._size_bytes = 0
        self._skipping = False
        self._at_start = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """At most one block; the rest waits."""
        if self._skipping:
            newline = piece.find(b"\n")
            if newline < 0:
                return
            piece, self._skipping = piece[newline:], False
        self._parts.append(piece)
        self._size_bytes += len(piece)
        if self._size_bytes < self._block_bytes:
            return
        cut = piece.rfind(b"\n") + 1
        if not cut:  # the last line began in an earlier piece
            piece = b"".join(self._parts)
            self._parts = [piece]
            cut = piece.rfind(b"\n") + 1
        self._parts[-1] = memoryview(piece)[:cut]
        block = b"".join(self._parts)
        rest = piece[cut:]
        self._skipping = len(rest) > self._stub_bytes
        self._keep(rest[: self._stub_bytes])
        if block:
            yield self._without_mark(block)

    def finish(self) -> bytes:
        """The last block, empty where nothing is left."""
        text = self._without_mark(b"".join(self._parts))
        self._keep(b"")
        return text if not text or text.endswith(b"\n") else text + b"\n"

    def _keep(self, rest: bytes) -> None:
        self._parts = [rest]
        self._size_bytes = len(rest)

    def _without_mark(self, text: bytes) -> bytes:
        if self._at_start:
            self._at_start = False
            return text.removeprefix(_BYTE_ORDER_MARK)
        return text
