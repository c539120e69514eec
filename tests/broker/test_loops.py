"""Both loops on a real Kafka: what the memory log promised holds, in the same words."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial

import pytest

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition
from deploy.local.state import StackState
from services.runtime.clock import SystemClock
from services.runtime.deliver import run_deliveries
from services.runtime.fold import Fold, run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from tests.conformance.harness import KafkaHarness, eventually, new_topic, out, read_all, unique

pytestmark = pytest.mark.broker

SHARDS = 2
GUESTS = 4


@pytest.fixture
async def harness(stack: StackState) -> AsyncIterator[KafkaHarness]:
    made = KafkaHarness(stack.kafka_bootstrap_servers)
    yield made
    await made.close()


class Numbering:
    """Numbers a shard's records: its output is 1, 2, 3, … or something was lost or doubled."""

    def __init__(self, topic: str, shard: int, count: int) -> None:
        self._topic = topic
        self._shard = shard
        self._count = count

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        for _ in records:
            self._count += 1
            yield Out(self._topic, None, str(self._count).encode(), (), self._shard)

    def due_ms(self) -> int | None:
        return None


class Service:
    """Restores by reading its own output up to what is committed."""

    transaction_timeout_seconds = 10.0
    records_max = 50

    def __init__(self, log: Log, source: str, target: str) -> None:
        self.group = f"numbering-{source}"
        self.topics: Sequence[str] = (source,)
        self._log = log
        self._target = target
        self.restored: list[int] = []

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        self.restored.append(shard)
        written = [record for record in await read_all(self._log, self._target, SHARDS) if record.partition == shard]
        return Numbering(self._target, shard, len(written))


class Folding:
    def __init__(self, log: Log, source: str, target: str, *, instance_id: str | None = None) -> None:
        self.service = Service(log, source, target)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(
            run_folds(
                log,
                self.service,
                clock=SystemClock(),
                health=Health(SystemClock()),
                stopping=self.stopping,
                instance_id=instance_id,
            )
        )

    async def stop(self) -> None:
        self.stopping.set()
        await self.task


async def feed(log: Log, topic: str, count: int) -> None:
    producer = await log.producer()
    await producer.send([out(topic, str(number), partition=number % SHARDS, key=None) for number in range(count)])
    await producer.close()


async def numbered(log: Log, topic: str, count: int) -> None:
    """Returns when each shard's output is 1 to `count` / `SHARDS`; fails at once where it can't become so."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        found: dict[int, list[int]] = {shard: [] for shard in range(SHARDS)}
        for record in await read_all(log, topic, SHARDS):
            found[record.partition].append(int(record.value or b"0"))
        for values in found.values():
            assert values == list(range(1, len(values) + 1))
        if all(len(values) == count // SHARDS for values in found.values()):
            return
        assert asyncio.get_running_loop().time() < deadline, {shard: len(values) for shard, values in found.items()}


@pytest.mark.parametrize("static", [False, True])
async def test_folds_move_between_processes_and_lose_and_double_nothing(harness: KafkaHarness, static: bool) -> None:
    log = harness.connect("feeder")
    source, target = await new_topic(log, SHARDS), await new_topic(log, SHARDS)
    first = Folding(harness.connect("one"), source, target, instance_id=f"{source}-one" if static else None)
    await feed(log, source, 400)
    await numbered(log, target, 400)
    second = Folding(harness.connect("two"), source, target, instance_id=f"{source}-two" if static else None)
    await feed(log, source, 400)
    await eventually(lambda: bool(second.service.restored), "the second has a shard")
    await feed(log, source, 400)
    await numbered(log, target, 1200)
    await first.stop()
    await feed(log, source, 400)
    await numbered(log, target, 1600)
    await second.stop()
    assert sum((await log.committed(first.service.group, places(source))).values()) >= 1600


async def test_a_storm_of_rebalances_loses_and_doubles_nothing_and_is_soon_over(harness: KafkaHarness) -> None:
    """A worker comes or goes with every rebalance, as fast as the group can."""
    log = harness.connect("feeder")
    source, target = await new_topic(log, SHARDS), await new_topic(log, SHARDS)
    stays = Folding(harness.connect("stays"), source, target)
    for number in range(GUESTS):
        guest = Folding(harness.connect(f"guest-{number}"), source, target)
        await feed(log, source, 200)
        await eventually(partial(bool, guest.service.restored), "the guest has a shard")
        await guest.stop()
    began_seconds = time.monotonic()
    await feed(log, source, 200)
    await numbered(log, target, (GUESTS + 1) * 200)
    assert time.monotonic() - began_seconds < 10
    await stays.stop()


async def test_a_fenced_shard_waits_and_is_given_out_anew(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.fold.FENCED_GRACE_SECONDS", 0.5)
    log = harness.connect("feeder")
    source, target = await new_topic(log, SHARDS), await new_topic(log, SHARDS)
    folding = Folding(harness.connect("one"), source, target)
    await feed(log, source, 20)
    await numbered(log, target, 20)
    intruder = await log.transactional_producer(f"{folding.service.group}-0", timeout_seconds=10)
    fed = 20
    while len(folding.service.restored) == SHARDS and fed < 200:  # by whose producer a transaction goes is the worker's
        fed += 20
        await feed(log, source, 20)
        await numbered(log, target, fed)
    await intruder.close()
    await folding.stop()
    assert len(folding.service.restored) == 2 * SHARDS, "fenced, left, joined, restored"


class Receiver:
    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.handled: Counter[TopicPartition] = Counter()
        self.holding: dict[TopicPartition, asyncio.Event] = {}

    async def assigned(self, partition: TopicPartition) -> None: ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        self.handled[partition] += 1
        if partition in self.holding:
            await self.holding[partition].wait()
        self.got.update((record.value or b"").decode() for record in records)

    async def revoked(self, partition: TopicPartition) -> None: ...


def places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, shard) for shard in range(SHARDS)]


async def test_deliveries_go_on_beside_one_that_hangs_and_through_a_rebalance(harness: KafkaHarness) -> None:
    log = harness.connect("feeder")
    stem = unique("deliveries").removesuffix(".v1")
    topic = await new_topic(log, SHARDS, name=f"{stem}.a.v1")
    await feed(log, topic, 20)
    receiver, stopping = Receiver(), asyncio.Event()
    hung, free = places(topic)
    receiver.holding[hung] = asyncio.Event()
    task = asyncio.create_task(
        run_deliveries(
            harness.connect("lanes"),
            f"lanes-{stem}",
            receiver,
            clock=SystemClock(),
            health=Health(SystemClock()),
            stopping=stopping,
            pattern=f"{stem}\\.[a-z]+\\.v1",
        )
    )
    await commits(log, f"lanes-{stem}", topic, {free: 10})
    later = await new_topic(log, SHARDS, name=f"{stem}.b.v1")  # joins by pattern: a rebalance
    await feed(log, later, 20)
    await commits(log, f"lanes-{stem}", later, dict.fromkeys(places(later), 10))
    receiver.holding[hung].set()
    await commits(log, f"lanes-{stem}", topic, {hung: 10, free: 10})
    assert receiver.handled[hung] == 1, "what hung went on through the rebalance"
    stopping.set()
    await task
    assert set(receiver.got.values()) == {2}, "each value once from each topic"


async def commits(log: Log, group: str, topic: str, offsets: dict[TopicPartition, int]) -> None:
    """Returns when exactly these offsets are committed."""
    deadline = asyncio.get_running_loop().time() + 60
    while (found := await log.committed(group, places(topic))) != offsets:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.1)
