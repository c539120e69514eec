"""`Producer` and `Reader`: order, durability, partitions, too large a record, positions, lost offsets."""

import pytest

from contracts import codes
from contracts.partitioning import default_partition
from contracts.records import Out, TopicPartition
from services.runtime.failures import OffsetLost, Rejected
from services.runtime.log import Log
from tests.conformance.harness import LogHarness, new_topic, out, read_all, values


async def test_order_is_kept_for_each_partition(log: Log) -> None:
    topic = await new_topic(log, 2)
    producer = await log.producer()
    for first in range(0, 60, 20):
        await producer.send([out(topic, str(n), partition=n % 2) for n in range(first, first + 20)])
    found = await read_all(log, topic, 2)
    assert values([record for record in found if record.partition == 0]) == [str(n) for n in range(0, 60, 2)]
    assert values([record for record in found if record.partition == 1]) == [str(n) for n in range(1, 60, 2)]
    assert [record.offset for record in found if record.partition == 1] == list(range(30))


async def test_a_sent_record_is_there_for_every_other_process(harness: LogHarness, log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, "kept")])
    assert values(await read_all(harness.connect("second"), topic)) == ["kept"]


async def test_key_value_and_headers_come_back_as_they_were(log: Log) -> None:
    topic = await new_topic(log)
    headers = (("ce_id", b"1"), ("twice", b"a"), ("twice", b"b"), ("empty", b""))
    sent = [Out(topic, b"\x00\xff", b"value", headers, 0), Out(topic, None, None, (), 0), Out(topic, b"", b"", (), 0)]
    await (await log.producer()).send(sent)
    found = await read_all(log, topic)
    assert [(record.topic, record.partition, record.key, record.value, record.headers) for record in found] == [
        (topic, 0, b"\x00\xff", b"value", headers),
        (topic, 0, None, None, ()),
        (topic, 0, b"", b"", ()),
    ]
    assert all(record.timestamp_ms > 1_700_000_000_000 for record in found)


async def test_the_key_chooses_the_partition_where_none_is_given(log: Log) -> None:
    topic = await new_topic(log, 5)
    keys = [f"space-{n}" for n in range(40)]
    await (await log.producer()).send([out(topic, key, key=key, partition=None) for key in keys])
    found = await read_all(log, topic, 5)
    assert {record.value: record.partition for record in found} == {
        key.encode(): default_partition(key.encode(), 5) for key in keys
    }


async def test_a_record_without_key_or_partition_goes_somewhere(log: Log) -> None:
    topic = await new_topic(log, 2)
    await (await log.producer()).send([out(topic, str(n), key=None, partition=None) for n in range(4)])
    assert sorted(values(await read_all(log, topic, 2))) == ["0", "1", "2", "3"]


async def test_one_call_may_write_to_many_topics_and_more_than_a_batch(log: Log) -> None:
    topics = [await new_topic(log, 2, max_message_bytes=1 << 20) for _ in range(2)]
    large = "x" * 300_000
    sent = [out(topics[n % 2], f"{n}:{large}", partition=n // 2 % 2) for n in range(16)]
    await (await log.producer()).send(sent)
    for index, topic in enumerate(topics):
        found = await read_all(log, topic, 2)
        for partition in range(2):
            numbers = [int(text.split(":")[0]) for text in values([one for one in found if one.partition == partition])]
            assert numbers == [n for n in range(16) if n % 2 == index and n // 2 % 2 == partition]


async def test_sending_nothing_is_nothing(log: Log) -> None:
    await (await log.producer()).send([])


async def test_a_record_near_the_limit_of_its_topic_can_be_written(log: Log) -> None:
    topic = await new_topic(log, max_message_bytes=4_000_000)
    await (await log.producer()).send([out(topic, "x" * 3_999_000), out(topic, "after")])
    assert [len(value) for value in values(await read_all(log, topic))] == [3_999_000, 5]


async def test_too_large_a_record_is_rejected_before_anything_is_written(log: Log) -> None:
    topic = await new_topic(log, max_message_bytes=10_000)
    producer = await log.producer()
    with pytest.raises(Rejected) as caught:
        await producer.send([out(topic, "small"), out(topic, "x" * 10_001)])
    assert caught.value.code is codes.MESSAGE_TOO_LARGE
    assert await log.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 0}
    await producer.send([out(topic, "next")])
    assert values(await read_all(log, topic)) == ["next"]


async def test_a_reader_starts_at_the_beginning_and_follows(log: Log) -> None:
    topic = await new_topic(log)
    producer = await log.producer()
    await producer.send([out(topic, "a")])
    reader = await log.reader([TopicPartition(topic, 0)])
    assert values(await reader.read(timeout_seconds=10)) == ["a"]
    assert await reader.read(timeout_seconds=0.05) == []
    await producer.send([out(topic, "b")])
    assert values(await reader.read(timeout_seconds=10)) == ["b"]
    await reader.close()


async def test_a_reader_reads_no_more_than_asked_and_loses_nothing(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(10)])
    reader = await log.reader([TopicPartition(topic, 0)])
    assert values(await reader.read(timeout_seconds=10, records_max=4)) == ["0", "1", "2", "3"]
    assert await reader.position(TopicPartition(topic, 0)) == 4
    assert values(await reader.read(timeout_seconds=10, records_max=100)) == ["4", "5", "6", "7", "8", "9"]
    await reader.close()


async def test_a_reader_of_nothing_has_a_position(log: Log) -> None:
    topic = await new_topic(log)
    reader = await log.reader([TopicPartition(topic, 0)])
    assert await reader.read(timeout_seconds=0.05) == []
    assert await reader.position(TopicPartition(topic, 0)) == 0
    await reader.close()


async def test_a_reader_can_seek(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(5)])
    reader = await log.reader([TopicPartition(topic, 0)])
    reader.seek(TopicPartition(topic, 0), 3)
    assert await reader.position(TopicPartition(topic, 0)) == 3
    assert values(await reader.read(timeout_seconds=10)) == ["3", "4"]
    reader.seek(TopicPartition(topic, 0), 1)
    assert values(await reader.read(timeout_seconds=10)) == ["1", "2", "3", "4"]
    await reader.close()


async def test_the_beginning_is_where_deletion_has_left_it(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(5)])
    await log.delete_records({TopicPartition(topic, 0): 3})
    assert await log.begin_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 3}
    assert await log.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 5}
    assert values(await read_all(log, topic)) == ["3", "4"]


async def test_a_deleted_offset_is_lost_never_skipped(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(5)])
    await log.delete_records({TopicPartition(topic, 0): 3})
    reader = await log.reader([TopicPartition(topic, 0)])
    reader.seek(TopicPartition(topic, 0), 2)
    with pytest.raises(OffsetLost, match=topic):
        await reader.read(timeout_seconds=10)
    await reader.close()


async def test_everything_can_be_deleted(log: Log) -> None:
    topic = await new_topic(log)
    producer = await log.producer()
    await producer.send([out(topic, str(n)) for n in range(5)])
    await log.delete_records({TopicPartition(topic, 0): 5})
    await producer.send([out(topic, "new")])
    assert values(await read_all(log, topic)) == ["new"]
