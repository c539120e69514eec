"""`Log`: topics, their partitions and settings."""

from contracts.catalog import TopicSpec
from contracts.records import TopicPartition
from services.runtime.log import Log
from tests.conformance.harness import new_topic, out, read_all, unique, values


def spec(name: str, *, partitions: int = 2, cleanup: str = "delete", retention_ms: int = 3_600_000) -> TopicSpec:
    return TopicSpec(
        name=name, partitions=partitions, cleanup=cleanup, retention_ms=retention_ms, max_message_bytes=2_000_000
    )


async def test_a_topic_is_as_specified(log: Log) -> None:
    for wanted in (spec(unique("deleted")), spec(unique("compacted"), cleanup="compact", retention_ms=-1)):
        await log.ensure_topic(wanted)
        assert await log.differences(wanted) == []
        assert await log.partitions(wanted.name) == 2


async def test_a_new_topic_can_be_written_at_once(log: Log) -> None:
    topic = await new_topic(log, 3)
    await (await log.producer()).send([out(topic, "a", partition=2)])
    assert values(await read_all(log, topic, 3)) == ["a"]


async def test_an_existing_topic_is_left_as_it_is(log: Log) -> None:
    name = unique("topic")
    await log.ensure_topic(spec(name))
    await log.ensure_topic(spec(name))
    await log.ensure_topic(spec(name, partitions=4, cleanup="compact"))
    assert await log.differences(spec(name)) == []


async def test_differences_are_named(log: Log) -> None:
    name = unique("topic")
    assert await log.differences(spec(name)) == ["missing"]
    await log.ensure_topic(spec(name))
    assert await log.differences(spec(name, partitions=3, cleanup="compact", retention_ms=-1)) == [
        "partitions is 2, not 3",
        "cleanup.policy is delete, not compact",
        "retention.ms is 3600000, not -1",
    ]


async def test_topics_are_named_without_prefix(log: Log) -> None:
    name = await new_topic(log)
    assert name in await log.topics()


async def test_a_missing_topic_has_no_partitions(log: Log) -> None:
    name = unique("missing")
    assert await log.partitions(name) == 0
    assert name not in await log.topics()


async def test_offsets_of_an_empty_topic(log: Log) -> None:
    topic = await new_topic(log, 2)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    assert await log.begin_offsets(both) == {both[0]: 0, both[1]: 0}
    assert await log.end_offsets(both) == {both[0]: 0, both[1]: 0}
    assert await log.end_offsets(both, committed_only=True) == {both[0]: 0, both[1]: 0}
