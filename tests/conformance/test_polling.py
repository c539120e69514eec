"""`GroupMember.poll` and `seek`: order, what comes and what does not, lost offsets, rebalances under way."""

import asyncio

import pytest

from contracts.records import TopicPartition
from services.runtime.failures import Fatal, OffsetLost
from services.runtime.log import Log
from tests.conformance.harness import (
    LogHarness,
    Recording,
    eventually,
    new_topic,
    out,
    poll_until,
    seek_to_begin,
    unique,
    values,
    whole,
)


async def test_nothing_comes_before_a_seek(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, "a")])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    partition = TopicPartition(topic, 0)
    assert await member.poll([partition], records_max=10, timeout_seconds=1) == []
    member.seek(partition, 0)
    assert values(await poll_until(member, [partition], 1)) == ["a"]


async def test_records_come_in_order_from_where_the_seek_points(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(10)])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    partition = TopicPartition(topic, 0)
    member.seek(partition, 4)
    assert values(await member.poll([partition], records_max=3, timeout_seconds=20)) == ["4", "5", "6"]
    assert values(await poll_until(member, [partition], 3)) == ["7", "8", "9"]
    member.seek(partition, 8)
    assert values(await poll_until(member, [partition], 2)) == ["8", "9"]


async def test_it_knows_how_far_it_is_behind_the_end(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(10)])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    partition = TopicPartition(topic, 0)
    assert member.behind(partition) is None, "there is no position"
    member.seek(partition, 0)
    assert len(await member.poll([partition], records_max=3, timeout_seconds=20)) == 3
    assert member.behind(partition) == 7
    await poll_until(member, [partition], 7)
    assert member.behind(partition) == 0
    assert member.behind(TopicPartition(topic, 1)) is None, "it is not assigned"


async def test_a_poll_returns_only_what_it_was_asked_for(log: Log) -> None:
    topic = await new_topic(log, 2)
    await (await log.producer()).send([out(topic, "zero", partition=0), out(topic, "one", partition=1)])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0, 1))
    await seek_to_begin(log, member, whole(topic, 0, 1))
    assert values(await poll_until(member, [TopicPartition(topic, 1)], 1)) == ["one"]
    assert values(await poll_until(member, [TopicPartition(topic, 0)], 1)) == ["zero"]


async def test_polls_of_different_partitions_run_side_by_side(log: Log) -> None:
    topic = await new_topic(log, 3)
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0, 1, 2))
    await seek_to_begin(log, member, whole(topic, 0, 1, 2))
    idle = asyncio.ensure_future(member.poll([TopicPartition(topic, 0)], records_max=10, timeout_seconds=20))
    busy = [
        asyncio.ensure_future(member.poll([TopicPartition(topic, n)], records_max=10, timeout_seconds=20))
        for n in (1, 2)
    ]
    await asyncio.sleep(0)
    await (await log.producer()).send([out(topic, "one", partition=1), out(topic, "two", partition=2)])
    assert [values(await poll) for poll in busy] == [["one"], ["two"]]
    assert not idle.done()
    await (await log.producer()).send([out(topic, "zero", partition=0)])
    assert values(await idle) == ["zero"]


async def test_an_unpolled_partition_does_not_hold_up_the_others(log: Log) -> None:
    """A lane that hangs polls nothing; its neighbours go on, over more data than one fetch brings."""
    topic = await new_topic(log, 2)
    large = "x" * 50_000
    await (await log.producer()).send([out(topic, f"{n}:{large}", partition=n % 2) for n in range(80)])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic], partition_bytes_max=1 << 17)
    await listener.holds(whole(topic, 0, 1))
    await seek_to_begin(log, member, whole(topic, 0, 1))
    for partition in (1, 0):
        found = await poll_until(member, [TopicPartition(topic, partition)], 40)
        assert [int(value.split(":")[0]) for value in values(found)] == list(range(partition, 80, 2))


async def test_an_unassigned_partition_yields_nothing(log: Log) -> None:
    topic, other = await new_topic(log), await new_topic(log)
    await (await log.producer()).send([out(other, "a")])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    member.seek(TopicPartition(other, 0), 0)
    assert await member.poll([TopicPartition(other, 0)], records_max=10, timeout_seconds=0.2) == []


async def test_a_poll_shows_committed_records_only(log: Log) -> None:
    topic = await new_topic(log)
    producer = await log.transactional_producer(unique("transactional"), timeout_seconds=30)
    await producer.begin()
    await producer.send([out(topic, "aborted")])
    await producer.abort()
    await producer.begin()
    await producer.send([out(topic, "a")])
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    member.seek(TopicPartition(topic, 0), 0)
    assert await member.poll([TopicPartition(topic, 0)], records_max=10, timeout_seconds=1) == []
    await producer.commit({}, unique("group"))
    assert values(await poll_until(member, [TopicPartition(topic, 0)], 1)) == ["a"]


async def test_a_lost_offset_is_raised_never_skipped(log: Log) -> None:
    topic = await new_topic(log)
    await (await log.producer()).send([out(topic, str(n)) for n in range(5)])
    await log.delete_records({TopicPartition(topic, 0): 3})
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    member.seek(TopicPartition(topic, 0), 2)
    with pytest.raises(OffsetLost, match=topic):
        await poll_until(member, [TopicPartition(topic, 0)], 1)


async def test_a_lost_offset_of_one_partition_is_raised_in_its_own_poll(log: Log) -> None:
    topic = await new_topic(log, 2)
    await (await log.producer()).send([out(topic, str(n), partition=n % 2) for n in range(10)])
    await log.delete_records({TopicPartition(topic, 0): 3})
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0, 1))
    for partition in whole(topic, 0, 1):
        member.seek(partition, 0)
    assert values(await poll_until(member, [TopicPartition(topic, 1)], 5)) == ["1", "3", "5", "7", "9"]
    with pytest.raises(OffsetLost):
        await poll_until(member, [TopicPartition(topic, 0)], 1)


async def test_after_a_rebalance_nothing_comes_before_a_new_seek(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    await (await log.producer()).send([out(topic, str(n), partition=n % 2) for n in range(6)])
    first, second = Recording(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    await seek_to_begin(log, member, whole(topic, 0, 1))
    pending = asyncio.ensure_future(member.poll([TopicPartition(topic, 0)], records_max=1, timeout_seconds=20))
    assert len(await pending) == 1
    await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    both = sorted(whole(topic, 0, 1))
    assert await member.poll(both, records_max=10, timeout_seconds=1) == []
    (mine,) = first.held
    member.seek(mine, 0)
    found = await poll_until(member, both, 3)
    assert {record.partition for record in found} == {mine.partition}


async def test_a_poll_under_way_neither_blocks_a_rebalance_nor_outlives_it(harness: LogHarness, log: Log) -> None:
    """The deadlock of aiokafka issue 335, and a poll that must not return what has just been revoked."""
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    await seek_to_begin(log, member, whole(topic, 0, 1))
    polls = [
        asyncio.ensure_future(member.poll([partition], records_max=10, timeout_seconds=3))
        for partition in whole(topic, 0, 1)
    ]
    await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    await (await log.producer()).send([out(topic, "a", partition=0), out(topic, "b", partition=1)])
    assert [await poll for poll in polls] == [[], []]


async def test_what_a_listener_raises_comes_out_of_the_next_poll(log: Log) -> None:
    topic = await new_topic(log)

    class Failing(Recording):
        async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
            await super().on_assigned(partitions)
            raise Fatal("the state can't be restored")

    listener = Failing()
    member = await log.join(unique("group"), listener=listener, topics=[topic])
    await eventually(lambda: listener.calls != [], "assigned")
    with pytest.raises(Fatal, match="can't be restored"):
        await member.poll([TopicPartition(topic, 0)], records_max=1, timeout_seconds=5)
