"""`GroupMember` and `AssignmentListener`: assignment, rebalance, leaving, patterns, static members."""

import time

import pytest

from contracts.records import TopicPartition
from services.runtime.failures import Fatal
from services.runtime.log import Log
from tests.conformance.harness import (
    LogHarness,
    Recording,
    eventually,
    new_topic,
    out,
    poll_until,
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
