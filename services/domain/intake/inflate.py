"""From the bytes of an object to the bytes of its text: gunzip and unzstd by content, within limits.

What begins with the magic bytes of gzip or zstd is that, whatever its name; anything else is passed on. Members (zstd:
frames) may follow one another; any other byte after a member makes the object damaged, zero padding included. Called by
`Reading` in a thread (both libraries release the GIL).
"""

import sys
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from isal import igzip_lib

from contracts import codes
from services.domain.intake.refused import ObjectRefused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC: Final = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f: a frame for others, which pzstd begins with
_HEAD_BYTES: Final = 4
PIECE_BYTES_MAX: Final = 1 << 18
_INPUT_BYTES: Final = 1 << 16  # what follows a member is copied: small slices keep a million tiny members linear
_WINDOW_LOG_MAX: Final = 27  # 128 MiB, what a decoder must be able to keep (RFC 8878 recommends 8 MiB): `zstd -22`

SIZE_BYTES_MAX: Final = 64 << 30
# Deflate itself ends at 1,030, zstd at nothing. Different identities, even in order, cost two bytes a row, so that rows
# of 100 bytes stay below 50; and what is under 16 MiB in all harms nobody.
RATIO_MAX: Final = 200
RATIO_FREE_BYTES: Final = 16 << 20


class _Member(Protocol):
    """One gzip member or zstd frame, as it is unpacked."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


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
        self._head: bytes | None = b""  # until it is known what the object is
        self._new_member: Callable[[], _Member] | None = None
        self._member: _Member | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces of text of at most `PIECE_BYTES_MAX`; raises `ObjectRefused`(object-truncated, object-too-large)."""
        self._bytes_in += len(chunk)
        if self._head is not None:
            self._head += chunk
            if len(self._head) < _HEAD_BYTES:
                return
            chunk, self._head = self._head, None
            self._new_member = _kind(chunk)
        unit = _INPUT_BYTES if self._new_member else PIECE_BYTES_MAX
        for start in range(0, len(chunk), unit):
            part = chunk[start : start + unit]
            if self._new_member:
                yield from self._unpacked(part, self._new_member)
            else:
                yield self._counted(part)

    @property
    def plain_bytes(self) -> int:
        """How much of an object was fed that is not compressed; 0 of one that is."""
        return self._bytes_in if self._new_member is None else 0

    def finish(self) -> bytes:
        """The last piece; raises `ObjectRefused`(object-truncated) where a member is cut."""
        head = self._head or b""
        if self._member is not None or _kind(head) is not None:
            raise ObjectRefused(codes.OBJECT_TRUNCATED, "the last member is not complete")
        return head  # an object of a few bytes

    def _unpacked(self, data: bytes, new_member: Callable[[], _Member]) -> Iterator[bytes]:
        while data:
            member = self._member = self._member or new_member()
            while True:
                try:
                    piece = member.decompress(data, PIECE_BYTES_MAX)
                except (igzip_lib.IsalError, zstd.ZstdError) as error:  # type: ignore[misc]  # a stub says an instance
                    raise ObjectRefused(codes.OBJECT_TRUNCATED, f"damaged: {error}") from None
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


def _kind(head: bytes) -> Callable[[], _Member] | None:
    """What unpacks an object that begins so; None where it is text."""
    if head.startswith(_GZIP_MAGIC):
        return _gzip
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == _SKIPPABLE_MAGIC and head[0] & 0xF0 == 0x50):
        return _zstd
    return None


def _gzip() -> _Member:
    made: _Member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return made


def _zstd() -> _Member:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX})
