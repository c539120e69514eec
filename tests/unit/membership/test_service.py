"""Membership on the memory log: whatever befalls its processes, each output stands there once, in order."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from contracts.catalog import CHANGES, INPUT, RESULTS, SIZES, TopicSpec
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import Faults, MemoryBroker
from services.membership.service import GROUP, Checkpoints, MembershipService
from services.runtime.clock import Clock
from services.runtime.failures import Fatal
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from tests.conformance.harness import DEADLINE_SECONDS, read_all
from tests.unit.domain.membership.world import World
from tests.unit.runtime.machine import FastClock, Flaky

PARTITIONS = 2
RESULT_PARTITIONS = 2  # as `World` has it
IDS = [f"u{number:06d}" for number in range(1, 41)]


def lived(days: int = 4) -> World:
    """A history with imports, commands, expiry and a composition."""
    world = World(PARTITIONS)
    for audience in ("a", "b"):
        world.define(audience)
    world.compose("x", {"and": ["a", {"not": "b"}]})
    for day in range(1, days + 1):
        world.tick(day)
        world.upload(f"imp_r{day}", "replace", [(one, "a") for one in IDS[day : day + 20]], on_day=day)
        world.upload(f"imp_a{day}", "append", [(one, "b") for one in IDS[day * 3 :][:5]], on_day=day, lookback_days=2)
        world.patch("b", "add", IDS[-day:])
    return world


async def topics(log: Log, **partitions: int) -> None:
    counts = {
        "changes": PARTITIONS,
        "sizes": PARTITIONS,
        "results": RESULT_PARTITIONS,
        "input": PARTITIONS,
    } | partitions
    for name, count in zip((CHANGES, SIZES, RESULTS, INPUT), counts.values(), strict=True):
        if count:
            await log.ensure_topic(
                TopicSpec(name=name, partitions=count, cleanup="delete", retention_ms=-1, max_message_bytes=16 << 20)
            )


async def feed(log: Log, logs: Sequence[Sequence[Record]]) -> None:
    producer = await log.producer()
    for records in logs:
        await producer.send([Out(INPUT, one.key, one.value, one.headers, one.partition) for one in records])


async def stands(log: Log) -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]:
    """Key and value of everything that a read_committed reader sees, by topic and partition."""
    found: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
    for topic, partitions in ((CHANGES, PARTITIONS), (SIZES, PARTITIONS), (RESULTS, RESULT_PARTITIONS)):
        for record in await read_all(log, topic, partitions):
            # Both input partitions write to one partition of results: only the order of each is given.
            speaker = record.partition if topic != RESULTS else int(b'"partition":1' in (record.value or b""))
            found.setdefault((topic, speaker), []).append((record.key, record.value))
    return found


def expected(world: World) -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]:
    found: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
    for partition, outs in enumerate(world.outs):
        for out in outs:
            found.setdefault((out.topic, partition), []).append((out.key, out.value))
    return found


async def comes_to_stand(log: Log, world: World) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while (found := await stands(log)) != expected(world):
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.01)


class Running:
    """One process of membership."""

    def __init__(
        self, broker: MemoryBroker, name: str, clock: Clock, *, checkpoints: Checkpoints | None = None
    ) -> None:
        self._broker, self._name = broker, name
        self._stopping = asyncio.Event()
        log = broker.connect(name)
        self.service = MembershipService(log, clock=clock, checkpoints=checkpoints)
        self.task = asyncio.create_task(
            run_folds(log, self.service, clock=clock, health=Health(clock), stopping=self._stopping)
        )

    async def stop(self) -> None:
        self._stopping.set()
        await self.task
        await self.service.close()

    async def kill(self) -> None:
        self._broker.kill(self._name)
        self.task.cancel()
        await asyncio.wait((self.task,))
        await self.service.close()
        self._broker.expire(self._name)


@contextlib.asynccontextmanager
async def running(broker: MemoryBroker, clock: FastClock, name: str = "one") -> AsyncIterator[Running]:
    process = Running(broker, name, clock)
    yield process
    await process.stop()


async def test_the_output_stands_there_once_in_order() -> None:
    clock, world = FastClock(), lived()
    broker = MemoryBroker(clock=clock)
    log = broker.connect("test")
    await topics(log)
    await feed(log, world.log)
    async with running(broker, clock):
        await comes_to_stand(log, world)
    places = [TopicPartition(INPUT, partition) for partition in range(PARTITIONS)]
    assert await log.committed(GROUP, places) == {
        place: len(records) for place, records in zip(places, world.log, strict=True)
    }


@pytest.mark.parametrize("seed", range(6))
async def test_kills_and_unknown_outcomes_lose_nothing_and_double_nothing(seed: int) -> None:
    """Calls fail before or after their effect, processes are killed in the middle, the log is fed meanwhile."""
    clock, world, luck = FastClock(), lived(), random.Random(seed)
    faults = Flaky(seed, share=0.05, spared="test")
    broker = MemoryBroker(clock=clock, faults=faults)
    log = broker.connect("test")
    await topics(log)
    fed = 0
    longest = max(map(len, world.log))
    while fed < longest:
        part = luck.randint(1, longest)
        process = Running(broker, f"process-{fed}", clock)
        await feed(log, [records[fed : fed + part] for records in world.log])
        fed += part
        for _ in range(luck.randint(0, 60)):
            await asyncio.sleep(0)
        await process.kill()
    faults.share = 0.0
    async with running(broker, clock, "last"):
        await comes_to_stand(log, world)


async def fails(broker: MemoryBroker, clock: FastClock) -> str:
    process = Running(broker, "fails", clock)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.wait((process.task,))
    error = process.task.exception()
    assert isinstance(error, Fatal)
    assert error.__cause__ is None, "a refusal is no bug"
    return str(error)


async def test_a_log_without_its_beginning_is_refused() -> None:
    clock, world = FastClock(), lived(1)
    broker = MemoryBroker(clock=clock)
    log = broker.connect("test")
    await topics(log)
    await feed(log, world.log)
    async with running(broker, clock):
        await comes_to_stand(log, world)
    await log.delete_records({TopicPartition(INPUT, 0): 3})
    assert f"{INPUT}/0 begins at offset 3" in await fails(broker, clock)


async def test_a_log_shorter_than_what_was_committed_is_refused() -> None:
    clock, world = FastClock(), lived(1)
    broker = MemoryBroker(clock=clock, faults=Faults())
    log = broker.connect("test")
    await topics(log)
    producer = await log.transactional_producer("other", timeout_seconds=60)
    await producer.begin()
    await producer.commit({TopicPartition(INPUT, 0): 7}, GROUP)
    await feed(log, [records[:5] for records in world.log])
    assert f"{INPUT}/0 ends at offset 5, but 7 was committed" in await fails(broker, clock)


async def test_other_numbers_of_partitions_are_refused() -> None:
    clock = FastClock()
    broker = MemoryBroker(clock=clock)
    await topics(broker.connect("test"), changes=PARTITIONS + 1)
    assert f"{CHANGES} has 3" in await fails(broker, clock)


async def test_missing_topics_are_named() -> None:
    clock = FastClock()
    broker = MemoryBroker(clock=clock)
    await topics(broker.connect("test"), sizes=0, results=0)
    assert f"no topic {SIZES}, {RESULTS}: `usher topics`" in await fails(broker, clock)


async def test_a_broken_log_stops_the_worker_and_says_where() -> None:
    clock = FastClock()
    broker = MemoryBroker(clock=clock)
    log = broker.connect("test")
    await topics(log)
    producer = await log.producer()
    await producer.send([Out(INPUT, None, b"not a step", (("ce_type", b"step"),), 1)])
    said = await fails(broker, clock)
    assert f"{INPUT}/1 at offset 0" in said
    assert "start anew" in said
