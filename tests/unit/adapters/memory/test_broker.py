"""What befalls processes of the memory broker when a simulation says so: kills, zombies, lost answers."""

import asyncio

import pytest

from contracts.catalog import TopicSpec
from contracts.records import Out, TopicPartition
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.failures import Fatal, Fenced, Unavailable
from services.runtime.log import Log
from tests.conformance.harness import Recording, eventually, out, read_all, values, whole

TOPIC = TopicSpec(name="topic", partitions=2, cleanup="delete", retention_ms=-1, max_message_bytes=10_000)
ZERO, ONE = TopicPartition("topic", 0), TopicPartition("topic", 1)


class Failing(Faults):
    """Fails the next `act` of anybody, before or after its effect."""

    def __init__(self) -> None:
        self.next: tuple[str, Act] | None = None

    def before(self, client: str, act: Act) -> None:
        self._maybe_raise("before", act)

    def after(self, client: str, act: Act) -> None:
        self._maybe_raise("after", act)

    def _maybe_raise(self, moment: str, act: Act) -> None:
        if self.next == (moment, act):
            self.next = None
            raise Unavailable(f"{moment} {act}")


async def connected(broker: MemoryBroker, name: str = "first") -> Log:
    log = broker.connect(name)
    await log.ensure_topic(TOPIC)
    return log


@pytest.mark.parametrize(("moment", "expected"), [("before", []), ("after", ["a"])])
async def test_a_send_can_fail_before_or_after_its_effect(moment: str, expected: list[str]) -> None:
    faults = Failing()
    log = await connected(MemoryBroker(faults=faults))
    producer = await log.producer()
    faults.next = (moment, "send")
    with pytest.raises(Unavailable):
        await producer.send([out("topic", "a")])
    assert values(await read_all(log, "topic", 2)) == expected


@pytest.mark.parametrize(("moment", "expected", "offsets"), [("before", [], {}), ("after", ["a"], {ZERO: 1})])
async def test_a_commit_of_unknown_outcome_spoils_the_producer(
    moment: str, expected: list[str], offsets: dict[TopicPartition, int]
) -> None:
    faults = Failing()
    log = await connected(MemoryBroker(faults=faults))
    producer = await log.transactional_producer("id", timeout_seconds=10)
    await producer.begin()
    await producer.send([out("topic", "a")])
    faults.next = (moment, "commit")
    with pytest.raises(Unavailable):
        await producer.commit({ZERO: 1}, "group")
    for call in (producer.abort(), producer.send([]), producer.commit({}, "group")):
        with pytest.raises(Unavailable, match="made anew"):
            await call
    await log.transactional_producer("id", timeout_seconds=10)
    assert values(await read_all(log, "topic", 2)) == expected
    assert await log.committed("group", [ZERO]) == offsets


async def test_a_poll_can_fail() -> None:
    faults = Failing()
    log = await connected(MemoryBroker(faults=faults))
    listener = Recording()
    member = await log.join("group", listener=listener, topics=["topic"])
    await listener.holds(whole("topic", 0, 1))
    faults.next = ("before", "poll")
    with pytest.raises(Unavailable):
        await member.poll([ZERO], records_max=1, timeout_seconds=0)


async def test_a_killed_process_has_no_effects_and_hears_nothing() -> None:
    broker = MemoryBroker()
    log, other = await connected(broker), broker.connect("second")
    listener = Recording()
    member = await log.join("group", listener=listener, topics=["topic"])
    await listener.holds(whole("topic", 0, 1))
    producer = await log.transactional_producer("id", timeout_seconds=10)
    await producer.begin()
    await producer.send([out("topic", "a")])
    pending = asyncio.ensure_future(member.poll([ZERO], records_max=1, timeout_seconds=60))
    broker.kill("first")
    with pytest.raises(Unavailable, match="killed"):
        await pending
    with pytest.raises(Unavailable):
        await producer.commit({}, "group")
    with pytest.raises(Unavailable):
        await log.topics()
    await log.close()
    assert listener.calls == [("assigned", whole("topic", 0, 1))]
    assert await read_all(other, "topic", 2, one_is_open=True) == []


async def test_a_killed_member_holds_the_rebalance_until_its_session_times_out() -> None:
    broker = MemoryBroker()
    first, second = Recording(), Recording()
    await (await connected(broker, "first")).join("group", listener=first, topics=["topic"])
    await first.holds(whole("topic", 0, 1))
    broker.kill("first")
    await broker.connect("second").join("group", listener=second, topics=["topic"])
    for _ in range(50):
        await asyncio.sleep(0)
    assert second.calls == []
    broker.expire("first")
    await second.holds(whole("topic", 0, 1))


async def test_a_kill_ends_a_listener_that_hangs() -> None:
    broker = MemoryBroker()
    second = Recording()

    class Hanging(Recording):
        async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
            await super().on_assigned(partitions)
            await asyncio.Event().wait()

    hanging = Hanging()
    await (await connected(broker, "first")).join("group", listener=hanging, topics=["topic"])
    await eventually(lambda: hanging.calls != [], "hangs")
    await broker.connect("second").join("group", listener=second, topics=["topic"])
    broker.kill("first")
    broker.expire("first")
    await second.holds(whole("topic", 0, 1))


async def test_a_process_comes_back_under_its_name() -> None:
    broker = MemoryBroker()
    before, after = Recording(), Recording()
    await (await connected(broker)).join("group", listener=before, topics=["topic"], instance_id="one")
    await before.holds(whole("topic", 0, 1))
    broker.kill("first")
    await broker.connect("first").join("group", listener=after, topics=["topic"], instance_id="one")
    await after.holds(whole("topic", 0, 1))
    broker.expire("first")
    assert after.calls == [("assigned", whole("topic", 0, 1))]


async def test_a_zombie_keeps_its_belief_but_can_commit_nothing() -> None:
    broker = MemoryBroker()
    zombie_log, log = await connected(broker, "zombie"), broker.connect("second")
    zombie, heir = Recording(), Recording()
    member = await zombie_log.join("group", listener=zombie, topics=["topic"])
    await zombie.holds(whole("topic", 0, 1))
    old = await zombie_log.transactional_producer("id", timeout_seconds=10)
    broker.isolate("zombie")
    await log.join("group", listener=heir, topics=["topic"])
    await heir.holds(whole("topic", 0, 1))
    new = await log.transactional_producer("id", timeout_seconds=10)
    assert member.assigned() == whole("topic", 0, 1)
    with pytest.raises(Unavailable):
        await member.commit({ZERO: 1})
    await old.begin()
    with pytest.raises(Fenced):
        await old.send([out("topic", "late")])
    await new.close()
    await broker.heartbeat("zombie")
    await eventually(lambda: len(zombie.held) == 1 and len(heir.held) == 1, "shared again")
    assert zombie.calls[1] == ("revoked", whole("topic", 0, 1))


async def test_a_second_process_with_the_same_instance_id_stops_the_first() -> None:
    broker = MemoryBroker()
    first, second = Recording(), Recording()
    member = await (await connected(broker, "first")).join("g", listener=first, topics=["topic"], instance_id="one")
    await first.holds(whole("topic", 0, 1))
    await broker.connect("second").join("g", listener=second, topics=["topic"], instance_id="one")
    await second.holds(whole("topic", 0, 1))
    with pytest.raises(Fatal, match="instance id one"):
        await member.poll([ZERO], records_max=1, timeout_seconds=0)


async def test_a_topic_that_is_missing_is_unavailable() -> None:
    log = MemoryBroker().connect("first")
    with pytest.raises(Unavailable, match="no topic"):
        await (await log.producer()).send([Out("missing", b"k", b"v")])
    with pytest.raises(Unavailable, match="no partition"):
        await log.end_offsets([TopicPartition("missing", 0)])


async def test_compaction_is_seen_by_readers() -> None:
    broker = MemoryBroker()
    log = await connected(broker)
    producer = await log.producer()
    await producer.send([out("topic", "1", key="a"), out("topic", "2", key="b"), out("topic", "3", key="a")])
    broker.compact("topic")
    assert values(await read_all(log, "topic", 2)) == ["2", "3"]
    assert await log.end_offsets([ZERO]) == {ZERO: 3}
