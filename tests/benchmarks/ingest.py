"""Ingest: from a gzip object in S3 to sealed row batches on the topic, by an intake service of its own.

Its topics have a prefix of their own, so that nobody else reads or answers. CPU seconds are those of the intake process,
threads included; the broker and the S3 server share the cores with it, so the wall's figure is of all three. `memory` is
what that process takes at most while it reads objects that would not fit there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts import catalog, codec
from contracts.messages.entities import catalogue_key
from contracts.messages.intake import IntakeEvent, ObjectVersion, ReadingFinished, ReadingProgress, ReadRequest
from contracts.partitioning import space_partition
from contracts.records import Out, Record, TopicPartition
from services.adapters.connect import open_kafka
from services.client import Follower
from services.runtime.environment import load_settings
from services.runtime.log import Log, Producer
from services.tools.local_system import LocalSystem
from services.tools.topics import ensure_topics
from services.tools.topics_command import specs_of
from tests.benchmarks.ingest_objects import CASES as ROW_CASES
from tests.benchmarks.ingest_objects import ID_TYPES, ROWS_PER_REJECT, SPACE, Case, audiences, packed
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured, peak_rss_bytes_of
from tests.benchmarks.repeating_store import repeating

ROWS: Final = 10_000_000
RUNS: Final = 5
WITHIN_SECONDS: Final = 600.0
PREFIX: Final = "bench-ingest"
MEMBER_ROWS: Final = 1_000_000
MEMBERS: Final = {"memory": (10, 100), "memory 10 GB": (430,)}  # of 24 MB, 49 MB inflated
CASES: Final = (*ROW_CASES, *MEMBERS)


async def ingest(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """Rows by CPU seconds and by the clock, `RUNS` runs after one that isn't counted; `memory` with a process a size."""
    found: list[Measured] = []
    async with _intake(system) as bench:
        for case in ROW_CASES:
            if case in cases:
                found += await _case(bench, case)
    for name, sizes in MEMBERS.items():
        if name in cases:
            member = await asyncio.to_thread(packed, "uuid", MEMBER_ROWS)
            found += [await _memory(system, name, member, times) for times in sizes]
    return found


@dataclass
class _Bench:
    """The service and how to ask it."""

    system: LocalSystem
    log: Log
    producer: Producer
    follower: Follower
    ended: list[IntakeEvent]
    pids: dict[str, int]
    asked: int = 0

    async def read(self, case: Case, version: ObjectVersion, *, forgets: bool = False) -> ReadingFinished:
        """Asks for a reading and waits for its end; `forgets` what it has written meanwhile."""
        self.asked += 1
        request = ReadRequest(
            space_id=SPACE,
            import_id=f"imp_{self.asked}",
            attempt=1,
            object=version,
            feed_id="f",
            prefix=f"{PREFIX}/",
            mode="replace",
            id_type=ID_TYPES[case],
            format="caret",
            columns=None,
            audience_from="column",
            open_step=5,
        )
        await self.producer.send([Out(catalog.INTAKE_REQUESTS, SPACE.encode(), codec.encode(request), (), 0)])
        async with asyncio.timeout(WITHIN_SECONDS):
            while len(self.ended) < self.asked:
                await self.follower.pump(1.0 if forgets else 0.005)
                if forgets:
                    await self.forget_rows()
        said = self.ended[-1]
        assert isinstance(said, ReadingFinished), said
        return said

    async def forget_rows(self) -> None:
        """The broker's disk is not what is measured."""
        count = await self.log.partitions(catalog.INPUT)
        inputs = [TopicPartition(catalog.INPUT, partition) for partition in range(count)]
        await self.log.delete_records(await self.log.end_offsets(inputs))


@asynccontextmanager
async def _intake(system: LocalSystem, *, endpoint_url: str | None = None) -> AsyncIterator[_Bench]:
    ours = {"USHER_TOPIC_PREFIX": PREFIX, "USHER_OBJECT_NOTIFICATIONS": f"kafka:{PREFIX}.{catalog.OBJECTS}"}
    if endpoint_url is not None:
        ours |= {"USHER_S3_ENDPOINT_URL": endpoint_url, "USHER_OBJECT_BYTES_MAX": str(1 << 40)}
    settings = load_settings().model_copy(update={"topic_prefix": PREFIX})
    ended: list[IntakeEvent] = []

    def sink(record: Record) -> None:
        said: IntakeEvent = msgspec.json.decode(record.value or b"", type=IntakeEvent)
        if not isinstance(said, ReadingProgress):
            ended.append(said)

    async with open_kafka(settings, client_id="bench") as log:
        await ensure_topics(log, specs_of(settings))
        producer = await log.producer()
        home = space_partition(SPACE, await log.partitions(catalog.CATALOGUE))
        await producer.send(
            [
                Out(catalog.CATALOGUE, catalogue_key(one).encode(), codec.encode(one), (), home)
                for case in ROW_CASES
                for one in audiences(case)
            ]
        )
        follower = await Follower.open(log, [catalog.INTAKE_EVENTS], sink, from_end=True)
        pids = {"intake": await system.children.start(PREFIX, "services.intake", [], ours)}
        try:
            yield _Bench(system, log, producer, follower, ended, pids)
        finally:
            await follower.close()
            await system.children.stop(PREFIX)


async def _case(bench: _Bench, case: Case) -> list[Measured]:
    key = f"{PREFIX}/{case}.gz"
    body = await asyncio.to_thread(packed, case, ROWS)
    await bench.system.objects.write(bench.system.bucket, key, body, content_type="application/gzip")
    version = await bench.system.objects.stat(bench.system.bucket, key)
    by_cpu: list[float] = []
    by_clock: list[float] = []
    cpu: list[float] = []
    for run in range(RUNS + 1):
        began, before = time.monotonic(), cpu_seconds_of(bench.pids)
        said = await bench.read(case, version)
        seconds, used = time.monotonic() - began, cpu_seconds_of(bench.pids) - before
        assert (said.counts.rows, said.counts.rejected) == (ROWS, ROWS // ROWS_PER_REJECT), said
        await bench.forget_rows()
        if run:
            by_cpu.append(ROWS / used)
            by_clock.append(ROWS / seconds)
            cpu.append(used)
    return [
        measured("ingest", case, "rows per CPU second", "rows/s", by_cpu, cpu),
        measured("ingest", case, "rows per second", "rows/s", by_clock, cpu),
    ]


async def _memory(system: LocalSystem, case: str, member: bytes, times: int) -> Measured:
    async with repeating(member, times) as (url, version), _intake(system, endpoint_url=url) as bench:
        before = cpu_seconds_of(bench.pids)
        said = await bench.read("uuid", version, forgets=True)
        assert said.counts.rows == times * MEMBER_ROWS, said
        used = cpu_seconds_of(bench.pids) - before
        what = f"peak RSS, {len(member) * times / 1e9:.1f} GB"
        return measured("ingest", case, what, "bytes", [peak_rss_bytes_of(bench.pids)], [used], better="lower")
