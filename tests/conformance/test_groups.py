"""`GroupMember` and `AssignmentListener`: assignment, rebalance, polling, commits, patterns, static members."""

import asyncio
import time
from functools import partial

import pytest

from contracts.records import TopicPartition
from services.runtime.failures import Fatal, OffsetLost
from services.runtime.log import Log
from tests.conformance.harness import (
    LogHarness,
    Recording,
    becomes,
    eventually,
    new_topic,
    out,
    poll_until,
    seek_to_begin,
    unique,
    values,
    whole,
)


async def test_one_member_has_everything(log: Log) -> None:
    topics = [await new_topic(log, 2), await new_topic(log, 3)]
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=topics)
    everything = whole(topics[0], 0, 1) | whole(topics[1], 0, 1, 2)
    await listener.holds(everything)
    assert member.assigned() == everything
    assert listener.calls == [("assigned", everything)]


async def test_no_callback_runs_before_join_has_returned(log: Log) -> None:
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, topics=[await new_topic(log)])
    assert listener.calls == []
    assert member.assigned() == frozenset()
    await eventually(lambda: listener.calls != [], "assigned")


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


async def test_commits_are_the_groups_and_outlive_the_member(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    listener = Recording()
    member = await log.join(group, listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0, 1))
    assert await member.committed(both) == {}
    await member.commit({both[0]: 5})
    assert await member.committed(both) == {both[0]: 5}
    await member.commit({both[0]: 6, both[1]: 1})
    await member.close()
    other = harness.connect("second")
    assert await other.committed(group, both) == {both[0]: 6, both[1]: 1}
    listener = Recording()
    member = await other.join(group, listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0, 1))
    assert await member.committed(both) == {both[0]: 6, both[1]: 1}


async def test_committed_sees_what_a_transaction_committed(log: Log) -> None:
    topic, group = await new_topic(log), unique("group")
    partition = TopicPartition(topic, 0)
    listener = Recording()
    member = await log.join(group, listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    producer = await log.transactional_producer(unique("transactional"), timeout_seconds=30)
    for offset in (3, 4):
        await producer.begin()
        await producer.commit({partition: offset}, group)
        await becomes(partial(member.committed, [partition]), {partition: offset})


async def test_two_members_share_by_range_so_that_shards_meet(harness: LogHarness, log: Log) -> None:
    topics, group = [await new_topic(log, 3), await new_topic(log, 3)], unique("group")
    first, second = Recording(), Recording()
    await log.join(group, listener=first, topics=topics)
    everything = whole(topics[0], 0, 1, 2) | whole(topics[1], 0, 1, 2)
    await first.holds(everything)
    await harness.connect("second").join(group, listener=second, topics=topics)
    await eventually(lambda: first.held | second.held == everything and first.held != everything, "shared out")
    assert not first.held & second.held
    shares = {frozenset(partition.partition for partition in held) for held in (first.held, second.held)}
    assert shares == {frozenset({0, 1}), frozenset({2})}
    for held in (first.held, second.held):
        assert {one.partition for one in held if one.topic == topics[0]} == {
            one.partition for one in held if one.topic == topics[1]
        }


async def test_a_member_is_revoked_before_anybody_is_assigned_what_it_had(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    told_second: list[int] = []
    held_when_revoked: list[frozenset[TopicPartition]] = []

    def note() -> None:
        told_second.append(len(second.calls))
        held_when_revoked.append(member.assigned())

    first.when_revoked = note
    await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    assert first.calls[:2] == [("assigned", whole(topic, 0, 1)), ("revoked", whole(topic, 0, 1))]
    assert [kind for kind, _ in first.calls] == ["assigned", "revoked"] * (len(first.calls) // 2) + ["assigned"]
    assert told_second[0] == 0
    assert held_when_revoked[0] == whole(topic, 0, 1)


async def test_a_member_may_commit_while_it_is_being_revoked(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    partition = TopicPartition(topic, 0)

    class Committing(Recording):
        async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
            if not any(kind == "revoked" for kind, _ in self.calls):
                await member.commit({partition: 9})
            await super().on_revoked(partitions)

    first, second = Committing(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(second.held) == 1, "second has its share")
    assert await log.committed(group, [partition]) == {partition: 9}


async def test_a_commit_after_revoke_is_left_out(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    (mine,), (theirs,) = first.held, second.held
    await member.commit({mine: 3, theirs: 4})
    assert await log.committed(group, [mine, theirs]) == {mine: 3}


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


async def test_close_revokes_and_hands_over(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    await log.join(group, listener=first, topics=[topic])
    member = await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    had = second.held
    before = len(second.calls)
    await member.close()
    assert second.calls[before:] == [("revoked", had)]
    assert member.assigned() == frozenset()
    await first.holds(whole(topic, 0, 1))
    await member.close()
    assert len(second.calls) == before + 1


async def test_a_log_that_closes_leaves_its_groups(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    other = harness.connect("second")
    await other.join(group, listener=second, topics=[topic])
    await second.holds(whole(topic, 0, 1))
    await other.close()
    assert second.calls[-1] == ("revoked", whole(topic, 0, 1))
    await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))


async def test_a_group_may_be_left_with_nothing_assigned(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 1), unique("group")
    first, second = Recording(), Recording()
    one = await log.join(group, listener=first, topics=[topic])
    two = await harness.connect("second").join(group, listener=second, topics=[topic])
    await eventually(lambda: len(first.held) + len(second.held) == 1 and bool(second.calls), "one has it")
    await two.close()
    await one.close()
    assert ("revoked", frozenset()) not in first.calls + second.calls


async def test_a_pattern_takes_whole_names_and_topics_made_later(harness: LogHarness, log: Log) -> None:
    family = unique("family")
    existing = await new_topic(log, 2, name=f"{family}.a.v1")
    await new_topic(log, 1, name=f"{family}.a.v1.twin")
    await new_topic(log, 1, name=f"other.{family}.a.v1")
    listener = Recording()
    pattern = family.replace(".", r"\.") + r"\.[a-z]+\.v1"
    member = await log.join(unique("group"), listener=listener, pattern=pattern)
    await listener.holds(whole(existing, 0, 1))
    later = await new_topic(harness.connect("second"), 1, name=f"{family}.b.v1")
    await listener.holds(whole(existing, 0, 1) | whole(later, 0))
    assert [kind for kind, _ in listener.calls] == ["assigned", "revoked", "assigned"]
    await (await log.producer()).send([out(later, "a")])
    member.seek(TopicPartition(later, 0), 0)
    assert values(await poll_until(member, [TopicPartition(later, 0)], 1)) == ["a"]


async def test_a_member_may_commit_when_a_new_topic_of_its_pattern_revokes_it(log: Log) -> None:
    """What a lane has delivered would be delivered again; aiokafka's own commit refuses here."""
    family, group = unique("family"), unique("group")
    existing = await new_topic(log, 1, name=f"{family}.a")
    partition = TopicPartition(existing, 0)

    class Committing(Recording):
        async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
            await member.commit({partition: 9})
            await super().on_revoked(partitions)

    listener = Committing()
    member = await log.join(group, listener=listener, pattern=family.replace(".", r"\.") + r"\.[a-z]+")
    await listener.holds(whole(existing, 0))
    later = await new_topic(log, 1, name=f"{family}.b")
    await listener.holds(whole(existing, 0) | whole(later, 0))
    assert await log.committed(group, [partition]) == {partition: 9}


async def test_a_pattern_may_match_nothing_yet(log: Log) -> None:
    family = unique("family")
    listener = Recording()
    member = await log.join(unique("group"), listener=listener, pattern=family.replace(".", r"\.") + r"\.[a-z]+")
    assert await member.poll([], records_max=1, timeout_seconds=0.2) == []
    topic = await new_topic(log, 1, name=f"{family}.a")
    await listener.holds(whole(topic, 0))


async def test_a_static_member_comes_back_to_its_partitions_at_once(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second, returned = Recording(), Recording(), Recording()
    await log.join(group, listener=first, topics=[topic], instance_id="one")
    restarting = harness.connect("second")
    await restarting.join(group, listener=second, topics=[topic], instance_id="two")
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    had, before = second.held, len(first.calls)
    await restarting.close()
    assert second.calls[-1] == ("revoked", had)
    started = time.monotonic()
    await harness.connect("second again").join(group, listener=returned, topics=[topic], instance_id="two")
    await returned.holds(had)
    assert time.monotonic() - started < 3
    assert len(first.calls) == before


async def test_a_static_member_that_stays_away_loses_its_place(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    await log.join(group, listener=first, topics=[topic], instance_id="one")
    leaving = harness.connect("second")
    await leaving.join(group, listener=second, topics=[topic], instance_id="two")
    await eventually(lambda: len(first.held) == 1 and len(second.held) == 1, "one each")
    await leaving.close()
    await harness.pass_session_timeout("second")
    await first.holds(whole(topic, 0, 1))


async def test_a_second_member_with_the_same_instance_id_ends_the_first(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    first, second = Recording(), Recording()
    member = await log.join(group, listener=first, topics=[topic], instance_id="one")
    await first.holds(whole(topic, 0, 1))
    await harness.connect("second").join(group, listener=second, topics=[topic], instance_id="one")
    await second.holds(whole(topic, 0, 1))
    with pytest.raises(Fatal, match="instance id one"):
        await poll_until(member, sorted(whole(topic, 0, 1)), 1)
    await log.close()
    assert first.calls[1:] == [("revoked", whole(topic, 0, 1))]
    assert second.calls == [("assigned", whole(topic, 0, 1))]


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
