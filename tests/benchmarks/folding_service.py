"""A membership service of its own to measure: records on its topics in, what it answers out.

Its topics bear a prefix of their own, so that its state begins empty; the broker shares the cores with it. CPU seconds
are those of its process, threads included.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import psutil

from contracts import catalog
from contracts.messages.results import Applied, Result, Staged, Ticked
from contracts.records import Out, Record, TopicPartition
from services.adapters.connect import open_kafka
from services.client import Follower
from services.domain.rows import Form, Identities
from services.runtime.environment import load_settings
from services.runtime.log import Log, Producer
from services.tools.local_system import LocalSystem
from services.tools.topics import ensure_topics
from services.tools.topics_command import specs_of
from tests.benchmarks.fold_input import AUDIENCE, Input, Written, random_values
from tests.benchmarks.measure import cpu_seconds_of

PARTITIONS: Final = 4
NEVER: Final = {"USHER_CHECKPOINT_INPUT_BYTES": str(1 << 40), "USHER_CHECKPOINT_SECONDS": "1e9"}
"""Settings with which no checkpoint is written before the service stops."""
_WITHIN_SECONDS: Final = 300.0
_AT_ONCE: Final = 16  # records in memory


@dataclass
class Folding:
    """The service, and what it said."""

    name: str
    log: Log
    producer: Producer
    follower: Follower
    pid: int
    said: list[Result]
    empty_bytes: int = 0
    input: Input = field(default_factory=Input)

    async def replace(self, identities: Identities) -> tuple[float, float]:
        """A full refresh of `AUDIENCE`: CPU seconds and seconds until every partition has applied it."""
        import_id, opening = self.input.opening("replace")
        began, before = time.monotonic(), self.cpu_seconds()
        await self.read(self.input, import_id, opening, {AUDIENCE: identities})
        return self.cpu_seconds() - before, time.monotonic() - began

    async def append(self, identities: Identities, *, lookback_days: int) -> None:
        """Adds them to `AUDIENCE`, until they expire."""
        import_id, opening = self.input.opening("append", lookback_days=lookback_days)
        await self.read(self.input, import_id, opening, {AUDIENCE: identities})

    async def read(self, input: Input, import_id: str, opening: Written, members: Mapping[str, Identities]) -> None:
        """Opens the import, writes its rows, and applies it when every partition has staged them."""
        homes = {audience_id: identities.partitions(PARTITIONS) for audience_id, identities in members.items()}
        await self.everywhere(opening)
        for home in range(PARTITIONS):
            part = {
                audience_id: identities.take(np.flatnonzero(homes[audience_id] == home))
                for audience_id, identities in members.items()
            }
            await self._write(home, input.rows(import_id, part))
        await self.answered(Staged)
        await self.everywhere(input.apply(import_id, members))
        await self.answered(Applied)

    async def everywhere(self, written: Written) -> None:
        """To each partition."""
        await self.producer.send([_out(home, written) for home in range(PARTITIONS)])

    async def answered(self, kind: type[Staged] | type[Applied] | type[Ticked]) -> None:
        """Returns when all partitions have said so."""
        async with asyncio.timeout(_WITHIN_SECONDS):
            while sum(isinstance(one, kind) for one in self.said) < PARTITIONS:
                await self.follower.pump(0.005)
        self.said.clear()

    async def forget(self) -> None:
        """What was written so far goes: the broker's disk is not what is measured."""
        written = [
            TopicPartition(topic, partition)
            for topic in (catalog.INPUT, catalog.CHANGES)
            for partition in range(PARTITIONS)
        ]
        await self.log.delete_records(await self.log.end_offsets(written))

    def cpu_seconds(self) -> float:
        return cpu_seconds_of({self.name: self.pid})

    def rss_bytes(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    async def _write(self, home: int, written: Iterable[Written]) -> None:
        waiting: list[Out] = []
        for one in written:
            waiting.append(_out(home, one))
            if len(waiting) == _AT_ONCE:
                await self.producer.send(waiting)
                waiting.clear()
        await self.producer.send(waiting)


@asynccontextmanager
async def folding_service(system: LocalSystem, name: str, *, checkpoints: bool) -> AsyncIterator[Folding]:
    """One that has joined and knows `AUDIENCE`; with `checkpoints` it writes them as by default."""
    environment = {"USHER_TOPIC_PREFIX": name, **({} if checkpoints else NEVER)}
    settings = load_settings().model_copy(update={"topic_prefix": name, "topic_partitions_membership": PARTITIONS})
    said: list[Result] = []

    def sink(record: Record) -> None:
        said.append(msgspec.json.decode(record.value or b"", type=Result))

    async with open_kafka(settings, client_id="bench") as log:
        await ensure_topics(log, specs_of(settings))
        producer = await log.producer()
        follower = await Follower.open(log, [catalog.RESULTS], sink, from_end=False)
        pid = await system.children.start(name, "services.membership", [], environment)
        folding = Folding(name, log, producer, follower, pid, said)
        try:
            await folding.everywhere(folding.input.definition())
            nobody = Identities.of_bytes(Form.UUID, random_values(0, 0))
            await folding.append(nobody, lookback_days=30)  # says when the service is there
            folding.empty_bytes = folding.rss_bytes()
            yield folding
        finally:
            await follower.close()
            await system.children.stop(name)
            await folding.forget()


def _out(home: int, written: Written) -> Out:
    headers, value = written
    return Out(catalog.INPUT, b"bench", value, headers, home)
