"""How aiokafka unpacks what it has fetched, made ours: checksums, records at once, header names that are no UTF-8.

Importing this module changes aiokafka for the process; `internals.py` says the same of everything else in it, and
`tests/unit/adapters/kafka/test_fetched.py` fails when an upgrade moves what is used here.
"""
# ruff: noqa: SLF001 - reaching into aiokafka is what this module is for

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from contracts.codec import Headers
from contracts.records import Record
from services.adapters.kafka.batches import intact

_FORMAT: Final = 2  # before it, a batch had another checksum


def _record(_: Any, partition: TopicPartition, record: Any) -> Record:
    """What every consumer here yields in place of a `ConsumerRecord`; its topic is still named as on the broker.

    A dataclass of eleven fields takes four times as long to make: a fifth of the cost of a topic feed's event.
    """
    topic, number = partition
    headers = _headers(record.headers) if record.headers else ()
    return Record(topic, number, record.offset, record.timestamp, record.key, record.value, headers)


def _headers(headers: list[tuple[str, bytes | None]]) -> Headers:
    """As they are; only foreign producers write headers without value, which aiokafka has as None: then it is empty."""
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
    """The batches of one partition's fetch, of which the last can be had once more, read by `_Lenient`.

    Their checksums are checked here: consumers are told not to, since aiokafka is fifteen times as long at it.
    """

    _given: Any = None
    _again = False

    def has_next(self) -> bool:
        return self._again or super().has_next()

    def next_batch(self) -> Any:
        if self._again:
            self._again = False
            return _Lenient(self._given)
        given = self._given = self._next_slice
        batch = super().next_batch()
        if not (intact(given) if given[self.MAGIC_OFFSET] >= _FORMAT else batch.validate_crc()):
            raise CorruptRecordException(f"the checksum of the batch at {int.from_bytes(given[:8], 'big')} is wrong")
        return batch

    def give_again(self) -> None:
        self._again = True


class _Lenient(_DefaultRecordBatchPy):  # type: ignore[misc] # aiokafka ships no types
    r"""A batch that has `\xff` written out where a header's name is no UTF-8, as the broker lets anybody write it."""

    _buffer: Any

    def __iter__(self) -> "_Lenient":
        super().__iter__()
        self._buffer = _Escaping(self._buffer)
        return self


class _Escaping(bytearray):
    """A buffer, parts of which may be decoded whatever is in them. Only names of headers ever are."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Escaping(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


_unpack_strictly = PartitionRecords._unpack_records


def _unpack(self: Any) -> Iterator[Record]:
    """All records; aiokafka alone would raise at such a name, and lose what it had unpacked before."""
    while True:
        try:
            yield from _unpack_strictly(self)
        except UnicodeDecodeError:
            self._records.give_again()  # what of it was yielded is passed over by its offset
        else:
            return


fetcher.MemoryRecords = _Batches
PartitionRecords._consumer_record = _record
PartitionRecords._unpack_records = _unpack
