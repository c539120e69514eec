"""`TransactionalProducer`: all or none, fencing, what an open transaction hides, offsets within, unknown outcomes."""

import pytest

from contracts.records import Out, Record, TopicPartition
from services.runtime.failures import Fenced, Rejected
from services.runtime.log import Log, TransactionalProducer
from tests.conformance.harness import (
    LogHarness,
    Recording,
    becomes,
    eventually,
    new_topic,
    out,
    read_all,
    unique,
    values,
    whole,
)


async def transactional(log: Log, transactional_id: str | None = None) -> TransactionalProducer:
    return await log.transactional_producer(transactional_id or unique("transactional"), timeout_seconds=30)


async def test_a_transaction_shows_all_or_nothing(log: Log) -> None:
    topic, other = await new_topic(log, 2), await new_topic(log)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "a", partition=0), out(topic, "b", partition=1)])
    await producer.send([out(other, "c")])
    assert await read_all(log, topic, 2, one_is_open=True) == []
    assert await read_all(log, other, one_is_open=True) == []
    await producer.commit({}, unique("group"))
    assert sorted(values(await read_all(log, topic, 2))) == ["a", "b"]
    assert values(await read_all(log, other)) == ["c"]


async def test_transactions_follow_one_another(log: Log) -> None:
    topic, group = await new_topic(log), unique("group")
    producer = await transactional(log)
    sent = [str(n) * (1 + n % 2 * 20_000) for n in range(5)]  # large ones are batched by other code
    for n, value in enumerate(sent):
        await producer.begin()
        await producer.send([out(topic, value)])
        await producer.commit({TopicPartition(topic, 0): n}, group)
    assert values(await read_all(log, topic)) == sent


async def test_a_message_for_every_partition_comes_to_each_once(log: Log) -> None:
    topic, partitions = await new_topic(log, 3), range(3)
    producer = await transactional(log)
    for n in range(2):
        await producer.begin()
        for value in ("small", "large" * 5_000):  # what is the same is written out once, by size in either way
            first = out(topic, f"{value}{n}")
            await producer.send([Out(topic, first.key, first.value, first.headers, one) for one in partitions])
        await producer.commit({}, unique("group"))
    found = await read_all(log, topic, 3)
    for partition in partitions:
        mine = values([one for one in found if one.partition == partition])
        assert mine == [f"{value}{n}" for n in range(2) for value in ("small", "large" * 5_000)]


async def test_an_aborted_transaction_is_never_seen(log: Log) -> None:
    topic = await new_topic(log)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "aborted")])
    await producer.abort()
    await producer.begin()
    await producer.send([out(topic, "kept")])
    await producer.commit({}, unique("group"))
    assert values(await read_all(log, topic)) == ["kept"]
    assert values(await read_all(log, topic, committed_only=False)) == ["aborted", "kept"]


async def test_abort_is_harmless_where_nothing_is_open(log: Log) -> None:
    topic = await new_topic(log)
    producer = await transactional(log)
    await producer.abort()
    await producer.begin()
    await producer.send([out(topic, "a")])
    await producer.commit({}, unique("group"))
    await producer.abort()
    assert values(await read_all(log, topic)) == ["a"]


async def test_an_open_transaction_hides_later_records_of_everybody_on_that_partition(log: Log) -> None:
    topic = await new_topic(log, 2)
    producer, plain = await transactional(log), await log.producer()
    await plain.send([out(topic, "before", partition=0)])
    await producer.begin()
    await producer.send([out(topic, "open", partition=0)])
    await plain.send([out(topic, "behind", partition=0), out(topic, "beside", partition=1)])
    assert sorted(values(await read_all(log, topic, 2, one_is_open=True))) == ["before", "beside"]
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    assert await log.end_offsets(both) == {both[0]: 3, both[1]: 1}
    assert await log.end_offsets(both, committed_only=True) == {both[0]: 1, both[1]: 1}
    await producer.commit({}, unique("group"))
    assert values(await read_all(log, topic)) == ["before", "open", "behind"]


async def test_uncommitted_records_can_be_read_when_asked_for(log: Log) -> None:
    topic = await new_topic(log)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "open")])
    assert values(await read_all(log, topic, committed_only=False)) == ["open"]
    await producer.abort()


async def test_the_position_moves_past_markers_and_aborted_records(log: Log) -> None:
    topic = await new_topic(log)
    partition = TopicPartition(topic, 0)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "a")])
    await producer.commit({}, unique("group"))
    await producer.begin()
    await producer.send([out(topic, "aborted")])
    await producer.abort()
    # a, its marker, the aborted record, its marker
    await becomes(lambda: log.end_offsets([partition], committed_only=True), {partition: 4})
    reader = await log.reader([partition])
    found: list[Record] = []

    async def position_after_reading() -> int:
        found.extend(await reader.read(timeout_seconds=1))
        return await reader.position(partition)

    await becomes(position_after_reading, 4)
    assert values(found) == ["a"]
    await reader.close()


async def test_only_aborted_records_are_ready_at_once(log: Log) -> None:
    """The trap of recoveries that wait for a record at the end offset (faust issue 176)."""
    topic = await new_topic(log)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "aborted")])
    await producer.abort()
    assert await read_all(log, topic) == []


async def test_offsets_count_when_the_transaction_commits(log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    producer = await transactional(log)
    assert await log.committed(group, both) == {}
    await producer.begin()
    await producer.send([out(topic, "a")])
    await producer.commit({both[0]: 7}, group)
    await becomes(lambda: log.committed(group, both), {both[0]: 7})
    await producer.begin()
    await producer.commit({both[0]: 8, both[1]: 2}, group)
    await becomes(lambda: log.committed(group, both), {both[0]: 8, both[1]: 2})


async def test_offsets_of_another_group_are_its_own(log: Log) -> None:
    topic, group = await new_topic(log), unique("group")
    producer = await transactional(log)
    await producer.begin()
    await producer.commit({TopicPartition(topic, 0): 3}, group)
    assert await log.committed(unique("group"), [TopicPartition(topic, 0)]) == {}


async def test_a_newer_producer_of_the_same_id_fences_the_older_at_send(harness: LogHarness, log: Log) -> None:
    topic, transactional_id = await new_topic(log), unique("transactional")
    old = await transactional(log, transactional_id)
    await transactional(harness.connect("second"), transactional_id)
    with pytest.raises(Fenced):
        await _write(old, topic, "late")
    assert await read_all(log, topic) == []


async def test_a_newer_producer_of_the_same_id_fences_the_older_at_commit(harness: LogHarness, log: Log) -> None:
    topic, group, transactional_id = await new_topic(log), unique("group"), unique("transactional")
    old = await transactional(log, transactional_id)
    await old.begin()
    await old.send([out(topic, "old")])
    new = await transactional(harness.connect("second"), transactional_id)
    with pytest.raises(Fenced):
        await old.commit({TopicPartition(topic, 0): 1}, group)
    await _write(new, topic, "new")
    assert values(await read_all(log, topic)) == ["new"]
    assert await log.committed(group, [TopicPartition(topic, 0)]) == {}


async def test_a_fenced_producer_stays_fenced(harness: LogHarness, log: Log) -> None:
    topic, transactional_id = await new_topic(log), unique("transactional")
    old = await transactional(log, transactional_id)
    await old.begin()
    await old.send([out(topic, "old")])
    new = await transactional(harness.connect("second"), transactional_id)
    for _ in range(2):
        with pytest.raises(Fenced):
            await old.send([out(topic, "old")])
    await _write(new, topic, "new")
    await old.close()
    assert values(await read_all(log, topic)) == ["new"]


async def test_making_a_producer_settles_what_its_predecessor_left_open(harness: LogHarness, log: Log) -> None:
    topic, transactional_id = await new_topic(log), unique("transactional")
    old = await transactional(log, transactional_id)
    await old.begin()
    await old.send([out(topic, "left open")])
    await old.close()
    plain = await log.producer()
    await plain.send([out(topic, "behind")])
    assert await read_all(log, topic, one_is_open=True) == []
    await transactional(harness.connect("second"), transactional_id)
    assert values(await read_all(log, topic)) == ["behind"]


async def test_an_open_transaction_ends_with_its_timeout(harness: LogHarness, log: Log) -> None:
    topic, transactional_id = await new_topic(log), unique("transactional")
    producer = await log.transactional_producer(transactional_id, timeout_seconds=1)
    await producer.begin()
    await producer.send([out(topic, "forgotten")])
    await (await log.producer()).send([out(topic, "behind")])
    await harness.pass_transaction_timeout(transactional_id)
    reader = await log.reader([TopicPartition(topic, 0)])
    assert values(await reader.read(timeout_seconds=30)) == ["behind"]
    with pytest.raises(Fenced):
        await producer.commit({}, unique("group"))
    await reader.close()


async def test_whoever_initialises_next_finds_what_was_committed(harness: LogHarness, log: Log) -> None:
    """Restoring to the committed offset stands on this: it must not be older than the last commit."""
    topic, group, transactional_id = await new_topic(log), unique("group"), unique("transactional")
    partition, other = TopicPartition(topic, 0), harness.connect("second")
    for offset in range(1, 6):
        producer = await transactional(log, transactional_id)
        await producer.begin()
        await producer.send([out(topic, str(offset))])
        await producer.commit({partition: offset}, group)
        await transactional(other, transactional_id)
        assert await other.committed(group, [partition]) == {partition: offset}


async def test_offsets_by_a_member_count_while_it_is_one(log: Log) -> None:
    topic, group, listener = await new_topic(log), unique("group"), Recording()
    partition = TopicPartition(topic, 0)
    member = await log.join(group, topics=[topic], listener=listener)
    await listener.holds(whole(topic, 0))
    producer = await transactional(log)
    for offset in (1, 2):
        await producer.begin()
        await producer.send([out(topic, str(offset))])
        await producer.commit({partition: offset}, member.membership())
        await becomes(lambda: log.committed(group, [partition]), {partition: offset})
    await member.close()


async def test_a_member_of_an_earlier_generation_can_not_commit(harness: LogHarness, log: Log) -> None:
    """Whoever's id it goes by: the zombie's own producer was never made anew by anybody."""
    topic, group = await new_topic(log, 2), unique("group")
    listeners = Recording(), Recording()
    member = await log.join(group, topics=[topic], listener=listeners[0])
    await listeners[0].holds(whole(topic, 0, 1))
    old = member.membership()
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "zombie")])
    second = await harness.connect("second").join(group, topics=[topic], listener=listeners[1])
    await eventually(lambda: len(listeners[0].held) == len(listeners[1].held) == 1, "both hold one")
    with pytest.raises(Fenced):
        await producer.commit({TopicPartition(topic, 0): 1}, old)
    await producer.close()
    await transactional(log)
    assert await log.committed(group, [TopicPartition(topic, 0)]) == {}
    for one in (second, member):
        await one.close()


async def test_a_static_member_that_was_replaced_can_not_commit(harness: LogHarness, log: Log) -> None:
    """Its successor has the same generation, since no rebalance was needed."""
    topic, group = await new_topic(log), unique("group")
    listeners = Recording(), Recording()
    member = await log.join(group, topics=[topic], listener=listeners[0], instance_id="one")
    await listeners[0].holds(whole(topic, 0))
    old = member.membership()
    successor = await harness.connect("second").join(group, topics=[topic], listener=listeners[1], instance_id="one")
    await listeners[1].holds(whole(topic, 0))
    zombie, producer = await transactional(log), await transactional(log)
    await zombie.begin()
    await zombie.send([out(topic, "zombie")])
    with pytest.raises(Fenced):
        await zombie.commit({TopicPartition(topic, 0): 1}, old)
    await producer.begin()
    await producer.commit({TopicPartition(topic, 0): 2}, successor.membership())
    await becomes(lambda: log.committed(group, [TopicPartition(topic, 0)]), {TopicPartition(topic, 0): 2})
    for one in (successor, member):
        await one.close()


async def test_two_ids_do_not_touch_each_other(log: Log) -> None:
    topic = await new_topic(log)
    one, two = await transactional(log), await transactional(log)
    await one.begin()
    await two.begin()
    await one.send([out(topic, "one")])
    await two.send([out(topic, "two")])
    await two.commit({}, unique("group"))
    await one.abort()
    assert values(await read_all(log, topic)) == ["two"]


async def test_too_large_a_record_spoils_neither_call_nor_transaction(log: Log) -> None:
    topic = await new_topic(log, max_message_bytes=10_000)
    producer = await transactional(log)
    await producer.begin()
    await producer.send([out(topic, "first")])
    with pytest.raises(Rejected):
        await producer.send([out(topic, "beside"), out(topic, "x" * 10_001)])
    await producer.send([out(topic, "second")])
    await producer.commit({}, unique("group"))
    assert values(await read_all(log, topic)) == ["first", "second"]


async def _write(producer: TransactionalProducer, topic: str, value: str) -> None:
    await producer.begin()
    await producer.send([out(topic, value)])
    await producer.commit({}, unique("group"))
