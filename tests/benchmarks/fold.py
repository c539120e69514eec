"""The fold as it runs: row batches on the topic in, changes committed in transactions out, by a membership service.

Each run is a service with topics of its own, so that its state begins empty. CPU seconds are those of that process,
threads included, from the first record written to the last partition's answer; the broker shares the cores with it. No
checkpoint is written meanwhile: `checkpoint` measures that.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec
import psutil

from contracts import catalog
from contracts.messages.results import Applied, Result, Staged
from contracts.records import Out, Record, TopicPartition
from services.adapters.connect import open_kafka
from services.client import Follower
from services.domain.rows import Form, Identities
from services.runtime.environment import load_settings
from services.runtime.log import Log, Producer
from services.tools.local_system import LocalSystem
from services.tools.topics import ensure_topics
from services.tools.topics_command import specs_of
from tests.benchmarks.fold_alone import refreshed
from tests.benchmarks.fold_input import SPACE, Input, Values, Written, rows, uuids
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured

ROWS: Final = 10_000_000
RUNS: Final = 5
PARTITIONS: Final = 4
WITHIN_SECONDS: Final = 300.0
CASES: Final = ("new", "same", "refresh")
_AT_ONCE: Final = 16  # records in memory


async def fold(system: LocalSystem, *, count: int = ROWS, runs: int = RUNS) -> list[Measured]:
    """`new`, `same` and `refresh`, `runs` runs each after one that isn't counted; memory as `new` leaves it."""
    values = uuids(count, 1)
    files = dict(zip(CASES, (values, values, refreshed(values)), strict=True))
    cpu: dict[str, list[float]] = {case: [] for case in CASES}
    wall: dict[str, list[float]] = {case: [] for case in CASES}
    bytes_each: list[float] = []
    for run in range(runs + 1):
        async with _membership(system, f"bench-fold-{run}") as bench:
            empty_bytes = bench.rss_bytes()
            for case, file in files.items():
                used, seconds = await bench.replace(file)
                if case == "new" and run:
                    bytes_each.append((bench.rss_bytes() - empty_bytes) / count)
                if run:
                    cpu[case].append(used)
                    wall[case].append(seconds)
    found = []
    for case in CASES:
        by_cpu, by_clock = ([count / one for one in each] for each in (cpu[case], wall[case]))
        found.append(measured("fold", case, "rows per CPU second", "rows/s", by_cpu, cpu[case]))
        found.append(measured("fold", case, "rows per second", "rows/s", by_clock, cpu[case]))
    found.append(measured("fold", "new", "RSS of an identity", "bytes", bytes_each, cpu["new"], better="lower"))
    return found


@dataclass
class _Bench:
    """The service and what it said."""

    log: Log
    producer: Producer
    follower: Follower
    partitions: int
    pids: dict[str, int]
    said: list[Result]
    input: Input = field(default_factory=Input)

    async def replace(self, values: Values) -> tuple[float, float]:
        """A full refresh: CPU seconds and seconds until every partition has applied it."""
        import_id, opening = self.input.opening("replace")
        homes = Identities.of_bytes(Form.UUID, values).partitions(self.partitions)
        files = [values[homes == home] for home in range(self.partitions)]
        began, before = time.monotonic(), cpu_seconds_of(self.pids)
        await self.everywhere(opening)
        for home, file in enumerate(files):
            waiting: list[Out] = []
            for written in rows(import_id, file):
                waiting.append(_out(home, written))
                if len(waiting) == _AT_ONCE:
                    await self.producer.send(waiting)
                    waiting.clear()
            await self.producer.send(waiting)
        await self.answered(Staged)
        await self.everywhere(self.input.apply(import_id))
        await self.answered(Applied)
        return cpu_seconds_of(self.pids) - before, time.monotonic() - began

    async def everywhere(self, written: Written) -> None:
        await self.producer.send([_out(home, written) for home in range(self.partitions)])

    async def answered(self, kind: type[Staged] | type[Applied]) -> None:
        """Returns when all partitions have said so."""
        async with asyncio.timeout(WITHIN_SECONDS):
            while sum(isinstance(one, kind) for one in self.said) < self.partitions:
                await self.follower.pump(0.005)
        self.said.clear()

    def rss_bytes(self) -> int:
        return int(psutil.Process(self.pids["membership"]).memory_info().rss)


@asynccontextmanager
async def _membership(system: LocalSystem, prefix: str) -> AsyncIterator[_Bench]:
    environment = {"USHER_TOPIC_PREFIX": prefix, "USHER_CHECKPOINT_INPUT_BYTES": str(1 << 40)}
    settings = load_settings().model_copy(update={"topic_prefix": prefix, "topic_partitions_membership": PARTITIONS})
    said: list[Result] = []

    def sink(record: Record) -> None:
        said.append(msgspec.json.decode(record.value or b"", type=Result))

    async with open_kafka(settings, client_id="bench") as log:
        await ensure_topics(log, specs_of(settings))
        producer = await log.producer()
        follower = await Follower.open(log, [catalog.RESULTS], sink, from_end=False)
        pids = {"membership": await system.children.start(prefix, "services.membership", [], environment)}
        bench = _Bench(log, producer, follower, await log.partitions(catalog.INPUT), pids, said)
        try:
            await bench.everywhere(bench.input.definition())
            import_id, opening = bench.input.opening("append")  # nothing: says when the service is there
            await bench.everywhere(opening)
            for home in range(bench.partitions):
                await producer.send([_out(home, written) for written in rows(import_id, uuids(0, 0))])
            await bench.answered(Staged)
            await bench.everywhere(bench.input.apply(import_id))
            await bench.answered(Applied)
            yield bench
        finally:
            await follower.close()
            await system.children.stop(prefix)
            await _forget(log)


async def _forget(log: Log) -> None:
    """The broker's disk is not what is measured."""
    written = [
        TopicPartition(topic, partition)
        for topic in (catalog.INPUT, catalog.CHANGES)
        for partition in range(await log.partitions(topic))
    ]
    await log.delete_records(await log.end_offsets(written))


def _out(home: int, written: Written) -> Out:
    headers, value = written
    return Out(catalog.INPUT, SPACE.encode(), value, headers, home)
