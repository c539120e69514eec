"""How aiokafka unpacks what it has fetched, made ours: checksums, records at once, header names that are no UTF-8.

Importing this module changes aiokafka for the process; `internals.py` says the same of everything else in it, and
`tests/unit/adapters/kafka/test_fetched.py` fails when an upgrade moves what is used here.
"""
# ruff: noqa: SLF001 - reaching into aiokafka is what this module is for

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, cast

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from contracts.codec import Headers
from contracts.records import Record
from services.adapters.kafka.batches import intact

_FORMAT: Final = 2  # before it, a batch had another checksum
_AT_ONCE: Final = 1000


def _headers(headers: list[tuple[str, bytes | None]]) -> Headers:
    """As they are; only foreign producers write headers without value, which aiokafka has as None: then it is empty."""
    if not headers:
        return ()
    for _, value in headers:
        if value is None:
            return tuple([(name, some or b"") for name, some in headers])
    return cast("Headers", tuple(headers))


def records_of(topic: str, fetched: Sequence[Record]) -> Sequence[Record]:
    """The records of one partition, which bear the broker's name of their topic, under ours."""
    if not fetched or fetched[0].topic == topic:
        return fetched
    return [
        Record(topic, one.partition, one.offset, one.timestamp_ms, one.key, one.value, one.headers) for one in fetched
    ]


class _Batches(_MemoryRecordsPy):  # type: ignore[misc] # aiokafka ships no types
    """The batches of one partition's fetch; the one that was given last can be had once more, read by `_Lenient`.

    Their checksums are checked here: consumers are told not to, since aiokafka is fifteen times as long at it.
    """

    _given: Any = None

    def next_batch(self) -> Any:
        given = self._given = self._next_slice
        batch = super().next_batch()
        if not (intact(given) if given[self.MAGIC_OFFSET] >= _FORMAT else batch.validate_crc()):
            raise CorruptRecordException(f"the checksum of the batch at {int.from_bytes(given[:8], 'big')} is wrong")
        return batch

    def again(self) -> "_Lenient":
        return _Lenient(self._given)


class _Lenient(_DefaultRecordBatchPy):  # type: ignore[misc] # aiokafka ships no types
    r"""A batch that has `\xff` written out where a header's name is no UTF-8, as the broker lets anybody write it."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        if not self._decompressed:
            super()._maybe_uncompress()
            self._buffer = _Escaping(self._buffer)


class _Escaping(bytearray):
    """A buffer, parts of which may be decoded whatever is in them. Only names of headers ever are."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Escaping(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def _unpack(self: Any) -> Iterator[Record]:
    """All records that are to be read, as `Record`; their topic is still named as on the broker.

    aiokafka's own makes a `ConsumerRecord` of each by itself, which costs a topic feed's event more than its JSON; and
    it raises where a header's name is no UTF-8, and loses what it had unpacked before.
    """
    while self._records.has_next():
        batch = self._records.next_batch()
        if _is_read(self, batch):
            for some in _unpacked(self, batch):
                for record in some:
                    self.next_fetch_offset = record.offset + 1  # the caller may stop at any record
                    yield record
        self.next_fetch_offset = batch.next_offset  # what was compacted away behind its last record is read too


def _is_read(self: Any, batch: Any) -> bool:
    """Not the marks of transactions, nor what belongs to one that was aborted."""
    if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in self._aborted_producers:
            return False
    return not batch.is_control_batch


def _unpacked(self: Any, batch: Any) -> Iterator[list[Record]]:
    try:
        yield from _some(self, batch)
    except UnicodeDecodeError:
        yield from _some(self, self._records.again())  # what of it was yielded is passed over by its offset


def _some(self: Any, batch: Any) -> Iterator[list[Record]]:
    """The records of a batch, some at once: a compressed one may hold very many. Earlier ones were not asked for."""
    topic, number = self._tp
    records = chain(batch)  # a batch itself can only be iterated over once
    while taken := list(islice(records, _AT_ONCE)):
        after = self.next_fetch_offset
        yield [
            Record(topic, number, one.offset, one.timestamp, one.key, one.value, _headers(one.headers))
            for one in taken
            if one.offset >= after
        ]


def _getall(self: Any, max_records: int | None = None) -> list[Record]:
    """At most so many; aiokafka has each record pass through two more calls."""
    if not self.check_assignment(self._topic_partition) or not self.has_more():
        return []
    found = list(islice(self._partition_records._records_iterator, max_records))
    self._update_position()
    if max_records is None or len(found) < max_records:
        self._partition_records = None
    return found


fetcher.MemoryRecords = _Batches
PartitionRecords._unpack_records = _unpack
FetchResult.getall = _getall
