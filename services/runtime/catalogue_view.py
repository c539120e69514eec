"""The present catalogue in memory: all entities of all spaces, followed from the compacted topic.

Used by intake and the lanes; control, which writes the catalogue, has its own state. Decides nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from contracts.catalog import CATALOGUE
from contracts.messages.entities import CatalogueEntity, Feed
from contracts.records import Record, TopicPartition
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.catalogue_index import CatalogueIndex
from services.runtime.clock import Clock
from services.runtime.failures import Fatal, Unavailable
from services.runtime.health import Health, Pulse
from services.runtime.log import Log, Reader
from services.runtime.telemetry import Event, Gauge
from services.runtime.waiting import unless

E = TypeVar("E", bound=CatalogueEntity)

# A transaction's end moves the position and returns no record: so long may `caught_up` wait for it.
_READ_SECONDS: Final = 0.05
_SILENT_SECONDS_MAX: Final = 300.0

CATALOGUE_ENTITIES: Final = Gauge("usher_catalogue_view_records", "Entities in the view of the catalogue")

_decode: Final = msgspec.json.Decoder(CatalogueEntity).decode


@dataclass(frozen=True)
class CatalogueInterrupted(Event, counter="usher_catalogue_interrupted_total", level="warning"):
    """The catalogue could not be read; the view stays as it is and goes on by itself."""

    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class EntityUnreadable(Event, counter="usher_entities_unreadable_total", level="error"):
    """An entity of the catalogue is of a form that this version does not know: it is left out of the view."""

    partition: int
    offset: int
    detail: str


class CatalogueView:
    """Made by `app.py`; `run` is one of the service's tasks, everything else may be called at any time."""

    def __init__(self, log: Log, *, clock: Clock, health: Health, random: Random = SYSTEM_RANDOM) -> None:
        self._log = log
        self._clock = clock
        self._health = health
        self._gate = health.gate("catalogue")
        self._backoff = Backoff(base_seconds=0.1, cap_seconds=10.0, random=random)
        self._index = CatalogueIndex()
        self._positions: dict[TopicPartition, int] = {}
        self._places: list[TopicPartition] = []
        self._asking = asyncio.Lock()
        self._asked = 0  # questions for the ends that were begun
        self._answer: tuple[int, Mapping[TopicPartition, int]] = 0, {}  # of which question
        self._moved = asyncio.Condition()
        self._version = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows the topic until `stopping` is set; survives `Unavailable`. Opens a readiness gate when caught up."""
        with self._health.pulse("catalogue", allowed_seconds=_SILENT_SECONDS_MAX) as pulse:
            while not stopping.is_set():
                try:
                    await self._follow(stopping, pulse)
                except Unavailable as error:
                    delay = self._backoff.next_seconds(error.retry_after_seconds)
                    CatalogueInterrupted(str(error), delay).emit()
                    pulse.beat()
                    await unless(stopping, self._clock.sleep(delay))

    async def caught_up(self) -> None:
        """Returns when everything that was in the topic when this was called is in the view.

        Takes the high watermarks, not the last stable offsets: an entity in a transaction that is still open when the
        question comes counts too (architecture.md §3). May raise `Unavailable`.
        """
        targets = await self._ends()
        async with self._moved:
            await self._moved.wait_for(lambda: self._has_reached(targets))

    def get(self, kind: type[E], space_id: str, entity_id: str) -> E | None:
        """The entity with this id."""
        return self._index.get(kind, space_id, entity_id)

    def resolve(self, kind: type[E], space_id: str, reference: str) -> E | None:
        """The entity that a reference names: by id, else external id, else name (contracts.md §1)."""
        return self._index.resolve(kind, space_id, reference)

    def all(self, kind: type[E], space_id: str | None = None) -> Iterator[E]:
        """All entities of a kind, of one space or of all, in no order."""
        return self._index.all(kind, space_id)

    def feeds_for(self, bucket: str, key: str, *, default_bucket: str | None) -> list[Feed]:
        """For each space the enabled S3 feed whose prefix is the longest that `key` begins with, by space id."""
        return self._index.feeds_for(bucket, key, default_bucket=default_bucket)

    def topic_feeds(self) -> list[Feed]:
        """The enabled feeds of all spaces whose source is a topic."""
        return self._index.topic_feeds()

    @property
    def version(self) -> int:
        """Another number whenever something may have changed."""
        return self._version

    async def changed_since(self, version: int) -> None:
        """Returns when `version` is another."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._version != version)

    async def _ends(self) -> Mapping[TopicPartition, int]:
        """The ends by a question that was begun after this call: all who come during one share the next."""
        before = self._asked
        async with self._asking:
            if self._answer[0] <= before:
                self._asked = number = self._asked + 1
                self._answer = number, await self._log.end_offsets(await self._partitions())
            return self._answer[1]

    async def _partitions(self) -> list[TopicPartition]:
        """Their number never changes."""
        if not self._places:
            count = await self._log.partitions(CATALOGUE)
            if count == 0:
                raise Fatal(f"there is no topic {CATALOGUE}: run `usher topics`")
            self._places = [TopicPartition(CATALOGUE, partition) for partition in range(count)]
        return self._places

    async def _follow(self, stopping: asyncio.Event, pulse: Pulse) -> None:
        """Reads on from where the view stands; so does a new reader, for the topic forgets only what is outdated."""
        partitions = await self._partitions()
        first = await self._log.end_offsets(partitions)
        reader = await self._log.reader(partitions)
        try:
            for partition, offset in self._positions.items():
                reader.seek(partition, offset)
            while not stopping.is_set():
                self._apply(await reader.read(timeout_seconds=_READ_SECONDS))
                await self._move(reader, partitions)
                self._backoff.reset()
                pulse.beat()
                if not self._gate.is_open and self._has_reached(first):
                    self._gate.open()
        finally:
            await reader.close()

    def _apply(self, records: Sequence[Record]) -> None:
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self._index.remove(key)
                continue
            try:
                self._index.put(key, _decode(record.value))
            except msgspec.MsgspecError as error:
                self._index.remove(key)
                EntityUnreadable(record.partition, record.offset, str(error)).emit()
        if records:
            self._version += 1
            CATALOGUE_ENTITIES.set(len(self._index))

    async def _move(self, reader: Reader, partitions: Sequence[TopicPartition]) -> None:
        """Takes the positions only here, when everything read is applied: a position must not promise more."""
        positions = {partition: await reader.position(partition) for partition in partitions}
        if positions != self._positions:
            async with self._moved:
                self._positions = positions
                self._moved.notify_all()

    def _has_reached(self, targets: Mapping[TopicPartition, int]) -> bool:
        return all(self._positions.get(partition, -1) >= offset for partition, offset in targets.items())
