"""From the bytes of an object to the bytes of its text: gunzip by content, within limits.

What begins with gzip's two magic bytes is gzip, whatever its name; anything else is passed on. Members may follow one
another; any other byte after a member makes the object damaged, zero padding included. Called by `Reading` in a thread
(isal releases the GIL).
"""

from collections.abc import Iterator
from typing import Final

from isal import igzip_lib

from contracts import codes
from services.domain.intake.refused import ObjectRefused

GZIP_MAGIC: Final = b"\x1f\x8b"
PIECE_BYTES_MAX: Final = 1 << 20
_INPUT_BYTES: Final = 1 << 16  # what follows a member is copied: small slices keep a million tiny members linear

SIZE_BYTES_MAX: Final = 64 << 30
# Deflate itself ends at 1,030. Different identities, even in order, cost it two bytes a row, so that rows of 100 bytes
# stay below 50; and what is under 16 MiB in all harms nobody.
RATIO_MAX: Final = 200
RATIO_FREE_BYTES: Final = 16 << 20


class Inflate:
    """One object: `feed` its chunks in order, drain each result, then `finish`."""

    def __init__(
        self,
        *,
        size_bytes_max: int = SIZE_BYTES_MAX,
        ratio_max: int = RATIO_MAX,
        ratio_free_bytes: int = RATIO_FREE_BYTES,
    ) -> None:
        self._size_bytes_max = size_bytes_max
        self._ratio_max = ratio_max
        self._ratio_free_bytes = ratio_free_bytes
        self._bytes_in = 0
        self._bytes_out = 0
        self._head = b""
        self._is_gzip: bool | None = None
        self._member: igzip_lib.IgzipDecompressor | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces of text of at most `PIECE_BYTES_MAX`; raises `ObjectRefused`(object-truncated, object-too-large)."""
        self._bytes_in += len(chunk)
        if self._is_gzip is None:
            self._head += chunk
            if len(self._head) < len(GZIP_MAGIC):
                return
            chunk, self._head = self._head, b""
            self._is_gzip = chunk.startswith(GZIP_MAGIC)
        unit = _INPUT_BYTES if self._is_gzip else PIECE_BYTES_MAX
        for start in range(0, len(chunk), unit):
            part = chunk[start : start + unit]
            if self._is_gzip:
                yield from self._gunzip(part)
            else:
                yield self._counted(part)

    def finish(self) -> bytes:
        """The last piece; raises `ObjectRefused`(object-truncated) where a member is cut."""
        if self._member is not None:
            raise ObjectRefused(codes.OBJECT_TRUNCATED, "the last gzip member is not complete")
        return self._head  # an object of one byte

    def _gunzip(self, data: bytes) -> Iterator[bytes]:
        while data:
            member = self._member = self._member or igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            while True:
                try:
                    piece = member.decompress(data, PIECE_BYTES_MAX)
                except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub says an instance
                    raise ObjectRefused(codes.OBJECT_TRUNCATED, f"damaged gzip: {error}") from None
                data = b""
                if piece:
                    yield self._counted(piece)
                if member.eof:
                    data, self._member = member.unused_data, None
                    break
                if member.needs_input:
                    break

    def _counted(self, piece: bytes) -> bytes:
        self._bytes_out += len(piece)
        if self._bytes_out > self._size_bytes_max:
            raise ObjectRefused(codes.OBJECT_TOO_LARGE, f"more than {self._size_bytes_max} bytes of text")
        if self._bytes_out > max(self._ratio_free_bytes, self._bytes_in * self._ratio_max):
            raise ObjectRefused(codes.OBJECT_TOO_LARGE, f"the text is more than {self._ratio_max} times the object")
        return piece
