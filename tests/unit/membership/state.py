"""Membership with a place for checkpoints, all in memory: processes, what lies there, and how to spoil it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from contracts.catalog import INPUT
from contracts.records import Record, TopicPartition
from services.adapters.memory import MemoryBroker
from services.adapters.memory_objects import MemoryObjects
from services.domain.membership.checkpoint.manifest import Manifest, decode_manifest, encode_manifest
from services.membership.checkpoint_store import MANIFEST, CheckpointStore
from services.membership.checkpointing import Pace
from services.membership.service import GROUP, Checkpoints
from services.runtime.clock import Clock
from services.runtime.failures import Fatal
from services.runtime.log import Log
from tests.conformance.harness import DEADLINE_SECONDS
from tests.unit.domain.membership.world import World
from tests.unit.membership.test_service import PARTITIONS, Running, comes_to_stand, feed, topics
from tests.unit.runtime.machine import FastClock

BUCKET = "bucket"
PREFIX = "state/usher"
ALWAYS = Pace(input_bytes=1, seconds=1e9)
NEVER = Pace(input_bytes=1 << 60, seconds=1e9)

Told = list[Any]
"""Log lines, as structlog captures them."""


class Everything:
    """A broker, an object store, and what is on them."""

    def __init__(self, *, clock: Clock | None = None, broker: MemoryBroker | None = None) -> None:
        self.clock = clock or FastClock()
        self.broker = broker or MemoryBroker(clock=self.clock)
        self.objects = MemoryObjects()
        self.log: Log = self.broker.connect("test")
        self.names = 0

    def start(self, name: str | None = None, *, pace: Pace = ALWAYS) -> Running:
        self.names += 1
        store = CheckpointStore(self.objects, BUCKET, PREFIX)
        checkpoints = Checkpoints(store, pace)
        return Running(self.broker, name or f"process-{self.names}", self.clock, checkpoints=checkpoints)

    async def live(self, world: World, *, pace: Pace = ALWAYS) -> Told:
        """A process folds all that is there and stops in order; returns what was told."""
        with capture_logs() as told:
            running = self.start(pace=pace)
            await comes_to_stand(self.log, world)
            await running.stop()
        return told

    async def refused(self) -> str:
        """A process starts and refuses; returns why."""
        running = self.start("refused")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.wait((running.task,))
        error = running.task.exception()
        assert isinstance(error, Fatal)
        assert error.__cause__ is None, "a refusal is no bug"
        return str(error)

    # What lies in the bucket.

    def offsets(self, partition: int) -> list[int]:
        """Of the complete checkpoints, oldest first."""
        return sorted(int(key.split("/")[3]) for key in self.keys(partition) if key.endswith(MANIFEST))

    def keys(self, partition: int, offset: int | None = None) -> list[str]:
        folder = f"{PREFIX}/{partition}/" + ("" if offset is None else f"{offset:020d}/")
        return [key for key in self.objects.keys(BUCKET) if key.startswith(folder)]

    def manifest(self, partition: int, offset: int) -> Manifest:
        return decode_manifest(self.objects.body(BUCKET, self.manifest_key(partition, offset)))

    def rewrite(self, manifest: Manifest, *, partition: int, offset: int) -> None:
        self.objects.put(BUCKET, self.manifest_key(partition, offset), encode_manifest(manifest))

    def manifest_key(self, partition: int, offset: int) -> str:
        return f"{PREFIX}/{partition}/{offset:020d}/{MANIFEST}"

    # What stands on the log.

    async def begins(self, partition: int) -> int:
        place = TopicPartition(INPUT, partition)
        return (await self.log.begin_offsets([place]))[place]

    async def committed(self, partition: int) -> int:
        place = TopicPartition(INPUT, partition)
        return (await self.log.committed(GROUP, [place])).get(place, 0)


@dataclass
class Feeding:
    """Brings the log of a world to the broker part by part."""

    log: Log
    world: World
    fed: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    async def some(self, share: float) -> None:
        """Up to this share of each partition's log."""
        logs: list[Sequence[Record]] = []
        for partition, records in enumerate(self.world.log):
            end = max(self.fed[partition], round(share * len(records)))
            logs.append(records[self.fed[partition] : end])
            self.fed[partition] = end
        await feed(self.log, logs)


async def everything(world: World, *, feed_all: bool = True) -> Everything:
    """Fresh, with the topics and the log of a world."""
    made = Everything()
    await topics(made.log)
    if feed_all:
        await feed(made.log, world.log)
    return made


def events(told: Told, name: str) -> Told:
    return [line for line in told if line["event"] == name]
