"""A fold whose output shows every loss and every repeat, a fast clock, failing brokers: for the tests of the loops."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from contracts.catalog import TopicSpec
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.failures import Unavailable
from services.runtime.fold import Fold, run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from tests.conformance.harness import read_all

SHARDS = 2
INPUT, MORE, OUTPUT = "input.v1", "more.v1", "output.v1"


class FastClock:
    """Real time, faster: 15 s pass in 0.15 s."""

    def __init__(self, factor: float = 100.0) -> None:
        self._factor = factor

    def now_ms(self) -> int:
        return int(time.time() * 1000 * self._factor)

    def monotonic_seconds(self) -> float:
        return time.monotonic() * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._factor)


class HandClock:
    """Stands still until it is moved; a sleep moves it."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms

    def pass_seconds(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_seconds(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.pass_seconds(seconds)
        await asyncio.sleep(0)


class Flaky(Faults):
    """Fails a share of the calls of all clients but one, before or after their effect."""

    def __init__(self, seed: int, *, share: float, spared: str) -> None:
        self._random = random.Random(seed)
        self._spared = spared
        self.share = share

    def before(self, client: str, act: Act) -> None:
        self._maybe(client, act)

    def after(self, client: str, act: Act) -> None:
        self._maybe(client, act)

    def _maybe(self, client: str, act: Act) -> None:
        if client != self._spared and self._random.random() < self.share:
            raise Unavailable(f"{act} failed")


class Numbering:
    """Numbers the records of a shard: the output of a shard is 1, 2, 3, … whatever happens, or something is wrong."""

    def __init__(self, shard: int, count: int = 0) -> None:
        self.shard = shard
        self.count = count
        self.when_folding: Callable[[Record], None] = lambda record: None
        self.plan: int | None = None

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        for record in records:
            self.when_folding(record)
            self.count += 1
            text = f"{self.count} {(record.value or b'').decode()}"
            yield Out(OUTPUT, None, text.encode(), (), self.shard)
        if not records and self.plan is not None and now_ms >= self.plan:
            self.plan = None
            yield Out(OUTPUT, None, b"due", (), self.shard)

    def due_ms(self) -> int | None:
        return self.plan


class NumberingService:
    """Restores by counting the input up to the committed offsets."""

    group = "numbering"
    topics: Sequence[str] = (INPUT,)
    transaction_timeout_seconds = 10.0
    records_max = 7

    def __init__(self, log: Log) -> None:
        self._log = log
        self.restored: list[tuple[int, dict[str, int]]] = []
        self.when_folding: Callable[[Record], None] = lambda record: None
        self.plan: int | None = None

    async def restore(self, shard: int, offsets: Mapping[str, int]) -> Fold:
        self.restored.append((shard, dict(offsets)))
        fold = Numbering(shard, sum(offsets.values()))
        fold.when_folding = self.when_folding
        fold.plan = self.plan
        return fold


async def topics(log: Log, *names: str, partitions: int = SHARDS) -> None:
    for name in names or (INPUT, OUTPUT):
        await log.ensure_topic(
            TopicSpec(name=name, partitions=partitions, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
        )


async def feed(log: Log, count: int, first: int = 0) -> None:
    """`count` records, round the shards."""
    producer = await log.producer()
    await producer.send(
        [Out(INPUT, None, str(number).encode(), (), number % SHARDS) for number in range(first, first + count)]
    )


class Running:
    """One process that folds. `stopped` asks it to stop and gives what it raised, if anything."""

    def __init__(self, broker: MemoryBroker, name: str, clock: FastClock | None = None) -> None:
        self.log = broker.connect(name)
        self.service = NumberingService(self.log)
        self.clock = clock or FastClock()
        self.health = Health(self.clock)
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> "Running":
        self.task = asyncio.create_task(
            run_folds(
                self.log,
                self.service,
                clock=self.clock,
                health=self.health,
                stopping=self.stopping,
                random=lambda: 0.1,
            )
        )
        return self

    async def stopped(self) -> BaseException | None:
        self.stopping.set()
        return await self.ended()

    async def ended(self) -> BaseException | None:
        assert self.task is not None
        await asyncio.wait((self.task,))
        return None if self.task.cancelled() else self.task.exception()


@contextlib.asynccontextmanager
async def folding(broker: MemoryBroker, name: str = "first") -> AsyncIterator[Running]:
    running = Running(broker, name).start()
    yield running
    assert await running.stopped() is None


async def numbered(log: Log) -> list[list[str]]:
    """What a read_committed reader sees of each shard's output."""
    found: list[list[str]] = [[] for _ in range(SHARDS)]
    for record in await read_all(log, OUTPUT, SHARDS):
        found[record.partition].append((record.value or b"").decode())
    return found


def expected(count: int) -> list[list[str]]:
    """What must stand there after `feed(log, count)`."""
    return [
        [f"{index} {number}" for index, number in enumerate(range(shard, count, SHARDS), start=1)]
        for shard in range(SHARDS)
    ]


async def committed(log: Log, group: str = NumberingService.group, topic: str = INPUT) -> dict[int, int]:
    """Partition → committed offset."""
    offsets = await log.committed(group, [TopicPartition(topic, shard) for shard in range(SHARDS)])
    return {place.partition: offset for place, offset in offsets.items()}
