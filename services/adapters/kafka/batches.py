"""Batches of few large records, or of the same records as another, built and checked with the processor's own CRC-32C.

Pure. Stands in for aiokafka's `BatchBuilder`, which is better at many small records, and in front of its check of what
was fetched. Why, and what it saves: `services/decisions/0039-large-records-without-copies.md` and
`0043-copies-are-written-once.md`. `producers.py` chooses, `fetched.py` asks for the check.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import google_crc32c
from aiokafka.record.util import encode_varint

from contracts.records import Out

LARGE_BYTES: Final = 8192  # of a record: from here on this costs less than the compiled append and its checksum

# https://kafka.apache.org/documentation/#recordbatch: what stands before the checksum, and what it is of
_BEFORE: Final = struct.Struct(">qiibI")  # base offset, length of what follows, leader epoch, magic, checksum
_AFTER: Final = struct.Struct(">hiqqqhii")  # attributes, last offset, two timestamps, producer (3), count
_CHECKED_FROM: Final = _BEFORE.size
_LENGTH_FROM: Final = 12  # the length counts what stands behind itself
_CHECKSUM_AT: Final = 17
_MAGIC: Final = 2
_TRANSACTIONAL: Final = 0x10
_NO_EPOCH: Final = -1
_NO_PRODUCER: Final = (-1, -1, -1)
_PIECE_BYTES: Final = 64 << 10  # copied for the checksum, which only takes `bytes`: stays in the processor's cache


class WholeBatch:
    """A whole batch for aiokafka's `send_batch`: all that its producer asks of a `BatchBuilder` of its own.

    `parts` are what its `count` records take up, one after the other (`large`, `copied`), all of them of `now_ms`.
    """

    def __init__(self, parts: Sequence[bytes], count: int, now_ms: int, *, transactional: bool) -> None:
        self._parts = parts
        self._count = count
        self._now_ms = now_ms
        self._attributes = _TRANSACTIONAL if transactional else 0
        self._producer = _NO_PRODUCER
        self._built: bytes | None = None

    def record_count(self) -> int:
        return self._count

    def closed(self) -> bool:
        return True

    def close(self) -> None:
        """It was made whole."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        """The same at each call: a batch that is sent again must be the same."""
        if self._built is None:
            self._built = self._joined()
            self._parts = ()
        return self._built

    def _joined(self) -> bytes:
        id_, epoch, sequence = self._producer
        last = self._count - 1
        after = _AFTER.pack(self._attributes, last, self._now_ms, self._now_ms, id_, epoch, sequence, self._count)
        checksum = google_crc32c.value(after)
        for part in self._parts:
            checksum = google_crc32c.extend(checksum, part)
        size = _CHECKED_FROM - _LENGTH_FROM + len(after) + sum(map(len, self._parts))
        return b"".join((_BEFORE.pack(0, size, _NO_EPOCH, _MAGIC, checksum), after, *self._parts))


def large(outs: Sequence[Out]) -> list[bytes]:
    """The parts of records whose values are so large that they should not be copied: they are not."""
    return [part for at, out in enumerate(outs) for part in _record(at, out)]


def copied(built: bytes | bytearray) -> list[bytes]:
    """The records of a batch that was built, for others of the same records: only what stands before them differs."""
    return [bytes(memoryview(built)[_CHECKED_FROM + _AFTER.size :])]


def intact(batch: memoryview) -> bool:
    """Whether a batch of format 2 is what was written."""
    checksum = 0
    for begin in range(_CHECKED_FROM, len(batch), _PIECE_BYTES):
        checksum = google_crc32c.extend(checksum, bytes(batch[begin : begin + _PIECE_BYTES]))
    return checksum == int.from_bytes(batch[_CHECKSUM_AT:_CHECKED_FROM], "big")


def _record(at: int, out: Out) -> Iterator[bytes]:
    """The parts of the record that is `at` in its batch; its value is no copy."""
    before = bytearray(b"\0\0")  # no attributes; as old as the first
    encode_varint(at, before.append)
    _lengthen(before, out.key)
    before += out.key or b""
    _lengthen(before, out.value)
    value = out.value or b""
    after = bytearray()
    encode_varint(len(out.headers), after.append)
    for name, content in out.headers:
        for text in (name.encode(), content):
            _lengthen(after, text)
            after += text
    length = bytearray()
    encode_varint(len(before) + len(value) + len(after), length.append)
    yield bytes(length + before)
    yield value
    yield bytes(after)


def _lengthen(written: bytearray, text: bytes | None) -> None:
    encode_varint(-1 if text is None else len(text), written.append)
