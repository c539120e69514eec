"""`GroupMember.commit` and `committed`: whose they are, and until when one may commit."""

from functools import partial

from contracts.records import TopicPartition
from services.runtime.log import Log
from tests.conformance.harness import (
    LogHarness,
    Recording,
    becomes,
    eventually,
    new_topic,
    unique,
    whole,
)


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


async def test_a_transaction_under_way_may_end_while_its_member_is_being_revoked(harness: LogHarness, log: Log) -> None:
    topic, group = await new_topic(log, 2), unique("group")
    partition = TopicPartition(topic, 0)
    producer = await log.transactional_producer(unique("transactional"), timeout_seconds=30)

    class Ending(Recording):
        async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
            if not any(kind == "revoked" for kind, _ in self.calls):
                await producer.commit({partition: 9}, member.membership())
            await super().on_revoked(partitions)

    first, second = Ending(), Recording()
    member = await log.join(group, listener=first, topics=[topic])
    await first.holds(whole(topic, 0, 1))
    await producer.begin()
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
