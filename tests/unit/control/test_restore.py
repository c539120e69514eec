"""Control in the fold loop on the memory log: a process that follows another goes on where it stood."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from contracts import catalog, codec
from contracts.catalog import topic_pages, topic_spec
from contracts.messages.published import Reply
from contracts.partitioning import space_partition
from contracts.records import Out
from services.adapters.memory import MemoryBroker
from services.control.app import control_service
from services.runtime.failures import Fatal
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from tests.conformance.harness import becomes, read_all
from tests.unit.domain.control.bench import command
from tests.unit.runtime.machine import FastClock

COUNTS = {"control": 2, "membership": 3, "intake": 2, "deliveries": 2}


async def made_topics(log: Log, **counts: int) -> None:
    """Every topic of the pages."""
    for name, page in topic_pages().items():
        if name not in catalog.PATTERN_PAGES:
            await log.ensure_topic(topic_spec(name, counts.get(page.partitions, COUNTS[page.partitions])))


@contextlib.asynccontextmanager
async def running(broker: MemoryBroker, name: str) -> AsyncIterator[Log]:
    """A control process."""
    log = broker.connect(name)
    clock, stopping = FastClock(), asyncio.Event()
    service = control_service(log, clock=clock, delivery_partitions=2)
    task = asyncio.create_task(run_folds(log, service, clock=clock, health=Health(clock), stopping=stopping))
    try:
        yield log
    finally:
        stopping.set()
        await task
        await log.close()


async def send(log: Log, value: bytes, space: str, *, partition: int | None = None) -> None:
    """A command, by the partition that Kafka's own partitioner chooses unless said otherwise."""
    producer = await log.producer()
    await producer.send([Out(catalog.COMMANDS, space.encode(), value, (), partition)])
    await producer.close()


async def replies(log: Log) -> list[tuple[str, Reply]]:
    """All replies: command id and reply, sorted by command id."""
    found = []
    for record in await read_all(log, catalog.REPLIES, COUNTS["control"]):
        assert record.value is not None
        found.append((codec.header(record.headers, "ce_correlationid") or "", codec.decode(record.value, Reply)))
    return sorted(found, key=lambda pair: pair[0])


async def answered(log: Log, count: int) -> list[tuple[str, Reply]]:
    """All replies, once there are so many."""

    async def how_many() -> int:
        return len(await replies(log))

    await becomes(how_many, count)
    return await replies(log)


async def test_a_process_goes_on_where_the_one_before_it_stood() -> None:
    broker = MemoryBroker(clock=FastClock())
    outside = broker.connect("outside")
    await made_topics(outside)
    async with running(broker, "first"):
        for space in ("acme", "beta", "gamma"):
            await send(outside, command("spaces.create", [{}], id_="c1", space=space), space)
            items = [{"name": "a", "id_type": "kuid"}]
            await send(outside, command("audiences.create", items, id_="c2", space=space), space)
        await answered(outside, 6)
    async with running(broker, "second"):
        for space in ("acme", "beta", "gamma"):
            items = [{"name": "a", "id_type": "kuid"}, {"name": "b", "id_type": "kuid"}]
            await send(outside, command("audiences.create", items, id_="c3", space=space), space)
            await send(outside, command("audiences.create", items[:1], id_="c2", space=space), space)
        found = await answered(outside, 12)

    again = [reply for id_, reply in found if id_ == "c2"]
    assert len(again) == 6
    assert len({repr(reply) for reply in again}) == 3
    for id_, reply in found:
        if id_ == "c3":
            assert [one.code for one in reply.errors] == ["name-must-be-unique"]
            assert reply.data[0]["step"] == 2


async def test_a_command_on_the_wrong_partition_finds_its_shard() -> None:
    broker = MemoryBroker(clock=FastClock())
    outside = broker.connect("outside")
    await made_topics(outside)
    wrong = 1 - space_partition("acme", 2)
    async with running(broker, "first"):
        await send(outside, command("spaces.create", [{}], id_="c1"), "acme", partition=wrong)
        ((_, reply),) = await answered(outside, 1)

    assert reply.counts.applied == 1
    assert {record.partition for record in await read_all(outside, catalog.CATALOGUE, 2)} == {1 - wrong}


async def test_a_destination_is_published_when_its_queue_is_there() -> None:
    broker = MemoryBroker(clock=FastClock())
    outside = broker.connect("outside")
    await made_topics(outside)
    item = {
        "name": "d",
        "connector": "webhook",
        "settings": {"url": "https://a.example/", "hue": 1},
        "secrets": {"k": "plain"},
    }
    async with running(broker, "first"):
        await send(outside, command("spaces.create", [{}], id_="c1"), "acme")
        await send(outside, command("destinations.create", [item], id_="c2"), "acme")
        await send(
            outside, command("destinations.create", [item | {"secrets": {"k": "env:USHER_SECRET_K"}}], id_="c3"), "acme"
        )
        await send(
            outside,
            command("destinations.create", [item | {"name": "e", "secrets": {"k": "env:HOME"}}], id_="c4"),
            "acme",
        )
        (_, (_, refused), (_, made), (_, not_ours)) = await answered(outside, 4)

    assert [(one.code, "plain" in one.detail) for one in refused.errors] == [("field-invalid", False)]
    assert [(one.code, "HOME" in one.detail) for one in not_ours.errors] == [("secret-refused", False)]
    assert [one.code for one in made.warnings] == ["unknown-field"]
    assert catalog.queue_topic(str(made.data[0]["queue"])) in await outside.topics()


@pytest.mark.parametrize("missing", [catalog.INPUT, catalog.CONTROL_STATE])
async def test_without_its_topics_control_says_what_to_do(missing: str) -> None:
    broker = MemoryBroker(clock=FastClock())
    log = broker.connect("only")
    for name, page in topic_pages().items():
        if name not in {missing, *catalog.PATTERN_PAGES}:
            await log.ensure_topic(topic_spec(name, COUNTS[page.partitions]))

    with pytest.raises(Fatal, match="usher topics"):
        await control_service(log, clock=FastClock(), delivery_partitions=2).restore(0, {})


async def test_topics_that_would_part_a_space_are_refused() -> None:
    broker = MemoryBroker(clock=FastClock())
    log = broker.connect("only")
    await log.ensure_topic(topic_spec(catalog.CATALOGUE, 5))
    await made_topics(log)

    with pytest.raises(Fatal, match="one and the same number"):
        await control_service(log, clock=FastClock(), delivery_partitions=2).restore(0, {})


async def test_state_of_another_partition_count_is_refused() -> None:
    broker = MemoryBroker(clock=FastClock())
    log = broker.connect("only")
    await made_topics(log)
    wrong = 1 - space_partition("acme", 2)
    producer = await log.producer()
    entry = b'{"type":"counters","space_id":"acme","id":"-","time_ms":1}'
    await producer.send([Out(catalog.CONTROL_STATE, b"acme/counters/-", entry, (), wrong)])

    with pytest.raises(Fatal, match="not its own"):
        await control_service(log, clock=FastClock(), delivery_partitions=2).restore(wrong, {})


@pytest.mark.parametrize("value", [b"nope", b"{}", b"x\x01broken"])
async def test_state_that_cannot_be_read_is_refused(value: bytes) -> None:
    broker = MemoryBroker(clock=FastClock())
    log = broker.connect("only")
    await made_topics(log)
    producer = await log.producer()
    await producer.send([Out(catalog.CONTROL_STATE, b"acme/counters/-", value, (), 0)])

    with pytest.raises(Fatal, match="no state of this version"):
        await control_service(log, clock=FastClock(), delivery_partitions=2).restore(0, {})
