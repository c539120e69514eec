"""Whatever a header's name is: every record of a fetch comes, once, and in order."""

import inspect
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy
from msgspec import structs

from contracts.records import Record
from services.adapters.kafka.fetched import records_of
from tests.unit.adapters.kafka.foreign import BAD, BAD_AS_READ, GZIP, NOW_MS, Headers, builder

PARTITION = TopicPartition("topic", 0)
GOOD: Headers = [(b"ce_id", b"\xff"), ("é".encode(), b"")]
Row = tuple[bytes, Headers]


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (_MemoryRecordsPy, ["self._next_slice", "DefaultRecordBatch(next_slice)", "LegacyRecordBatch(next_slice"]),
        (_DefaultRecordBatchPy, ["self._buffer = ", "buffer[pos : pos + h_key_len].decode("]),
        (
            PartitionRecords,
            [
                "self._records_iterator = self._unpack_records()",
                "self._consume_aborted_up_to(",
                "self._aborted_producers",
            ],
        ),
        (Fetcher, [" MemoryRecords(", ".getall(max_records)"]),
        (
            FetchResult,
            [
                "self._partition_records.next_fetch_offset",
                "def check_assignment(",
                "def has_more(",
                "def _update_position(",
            ],
        ),
    ],
)
def test_what_we_build_upon_is_there(owner: type, names: Sequence[str]) -> None:
    source = inspect.getsource(owner)
    assert [name for name in names if name not in source] == []


def fetched(*batches: bytes, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> list[Record]:
    """As aiokafka's fetcher makes them of an answer."""
    records = fetcher.MemoryRecords(b"".join(batches))
    return list(PartitionRecords(PARTITION, records, aborted, offset, None, None, False, READ_COMMITTED))


def batch(base: int, rows: Sequence[Row], *, compression: int = 0) -> bytes:
    made = bytearray(builder(rows, compression=compression).build())
    made[:8] = base.to_bytes(8, "big")  # no part of what its checksum is of
    return bytes(made)


def test_what_was_changed_on_its_way_is_not_taken() -> None:
    changed = bytearray(batch(6, [(b"second", GOOD)]))
    changed[-3] ^= 1
    records = fetcher.MemoryRecords(batch(5, [(b"first", GOOD)]) + changed)
    found = PartitionRecords(PARTITION, records, (), 5, None, None, False, READ_COMMITTED)
    assert next(found).value == b"first"
    with pytest.raises(CorruptRecordException, match="at 6"):
        next(found)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_batch_of_the_first_formats_is_checked_its_own_way(damaged: bool) -> None:
    old = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    old.append(0, NOW_MS, b"k", b"v")
    written = bytearray(old.build())
    written[-1] ^= damaged
    if damaged:
        with pytest.raises(CorruptRecordException):
            fetched(bytes(written))
    else:
        assert [one.value for one in fetched(bytes(written))] == [b"v"]


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_all_come_whichever_has_such_a_name(bad: int, compression: int) -> None:
    rows: list[Row] = [(b"%d" % at, [*GOOD, (BAD, b"1")] if at == bad else GOOD) for at in range(3)]
    found = fetched(batch(5, rows), batch(8, rows, compression=compression), batch(11, [(b"after", GOOD)]), offset=5)
    assert [(one.offset, one.value) for one in found] == [
        *((5 + at, b"%d" % at) for at in range(3)),
        *((8 + at, b"%d" % at) for at in range(3)),
        (11, b"after"),
    ]
    good = (("ce_id", b"\xff"), ("é", b""))
    expected = [(*good, (BAD_AS_READ, b"1")) if at == bad else good for at in range(3)]
    assert [one.headers for one in found] == [*expected, *expected, good]


def test_what_was_read_before_does_not_come_again() -> None:
    rows: list[Row] = [(b"%d" % at, [(BAD, b"")]) for at in range(4)]
    assert [one.offset for one in fetched(batch(5, rows), offset=7)] == [7, 8]


def test_keys_and_values_are_never_touched() -> None:
    """The same bytes stand in the value, before the name that is escaped."""
    (found,) = fetched(batch(0, [(BAD * 2, [(BAD, BAD)])]))
    assert (found.value, found.headers) == (BAD * 2, ((BAD_AS_READ, BAD),))


def test_a_record_has_headers_that_all_have_a_value_and_our_name_of_its_topic() -> None:
    found = fetched(batch(7, [(b"v", [(b"a", b"1"), (b"b", None), (b"a", b"")]), (b"w", [])]))
    expected = [
        Record(PARTITION.topic, PARTITION.partition, 7, NOW_MS, None, b"v", (("a", b"1"), ("b", b""), ("a", b""))),
        Record(PARTITION.topic, PARTITION.partition, 8, NOW_MS, None, b"w", ()),
    ]
    assert records_of(PARTITION.topic, found) == expected
    assert records_of("ours", found) == [structs.replace(one, topic="ours") for one in expected]
    assert records_of("ours", []) == []
